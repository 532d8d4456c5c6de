"""What may be a spec, and the name it gives its project."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.names import is_name
from core.domain.spec import SPEC_LIMIT, digest, name_from, read_spec
from core.errors import BadSpec


@given(st.binary(max_size=200))
def test_bytes_are_a_spec_or_refused_in_words(data: bytes) -> None:
    try:
        text = read_spec(data)
    except BadSpec as error:
        assert str(error).startswith("The spec ")
        assert error.hint
    else:
        assert text.encode() == data
        assert text.strip()
        assert "\0" not in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b" \n\t\r\n", "empty"),
        ("\ufeff \u00a0".encode(), "empty"),
        (b"x" * (SPEC_LIMIT + 1), "1,000,000 bytes"),
        (b"\x7fELF\x02\x00\x00", "NUL"),
        (b"caf\xe9", "not UTF-8 text \\(byte 3\\)"),
    ],
)
def test_what_is_no_spec_is_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(BadSpec, match=words):
        read_spec(data)


@pytest.mark.parametrize("data", [b"x", b"x" * SPEC_LIMIT, "é".encode(), b"\xef\xbb\xbf# a"])
def test_a_byte_and_a_megabyte_are_taken(data: bytes) -> None:
    assert read_spec(data).encode() == data


@given(st.text(), st.text())
def test_a_spec_always_gives_a_name(text: str, stem: str) -> None:
    assert is_name(name_from(text, stem))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("# Todo API\n\nwords", "Todo API"),
        ("words\n\n## Second level ##\n# First", "Second level"),
        ("# C# parser", "C parser"),
        ("#no heading", "the stem"),
        ("####### seven", "the stem"),
        ("# 🙂", "the stem"),
        ("Title\n=====", "the stem"),
        ("#\n\nwords", "the stem"),
        ("\ufeff# Marked", "Marked"),
        ("# a\r\nb", "a"),
    ],
)
def test_the_first_heading_is_the_name(text: str, name: str) -> None:
    assert name_from(text, "the stem") == name


@pytest.mark.parametrize("filling", [" ", "#", "# ", "\n", "\t", "# #\n"])
def test_a_hostile_heading_of_a_megabyte_is_read_at_once(filling: str) -> None:
    text = "# a" + filling * (500_000 // len(filling)) + "b"
    started = time.monotonic()
    assert is_name(name_from(text, "stem"))
    assert time.monotonic() - started < 2


@given(st.text(), st.text())
def test_different_specs_have_different_digests(one: str, other: str) -> None:
    assert (digest(one) == digest(other)) == (one == other)
