"""Names of projects, mended names, slugs."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.names import NAME_LIMIT, is_name, parse_name, sanitize, slugify, unquote
from core.errors import BadName

ALLOWED = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")
HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from(" ._-/\\\"'`“”«»\n\t\0#%?*~$;|&<>..aA9é中🙂")),
    max_size=100,
)


@given(HOSTILE)
def test_a_name_is_what_the_contract_says(text: str) -> None:
    wanted = bool(ALLOWED.fullmatch(text)) and ".." not in text and not text.endswith(" ")
    assert is_name(text) == wanted


@given(HOSTILE)
def test_a_mended_name_is_a_name_and_mending_is_done_once(text: str) -> None:
    mended = sanitize(text)
    assert is_name(mended)
    assert sanitize(mended) == mended


@given(HOSTILE)
def test_a_name_is_kept_as_it_is(text: str) -> None:
    if is_name(text):
        assert sanitize(text) == parse_name(text) == parse_name(f' "{text}" ') == text
    else:
        try:
            assert is_name(parse_name(text))
        except BadName as error:
            assert repr(sanitize(text)) in error.hint


@pytest.mark.parametrize(
    ("given_name", "mended"),
    [
        ("../etc/passwd", "etc passwd"),
        ("--help", "help"),
        ("a..b", "a.b"),
        ("todo\nlist", "todo list"),
        ('"todo', "todo"),
        ("todo”", "todo"),
        ("Ünïcode Café", "Unicode Cafe"),
        ("🚀🚀", "project"),
        ("", "project"),
        ("x" * 100, "x" * NAME_LIMIT),
        ("a" * 63 + " b", "a" * 63),
    ],
)
def test_mended_names(given_name: str, mended: str) -> None:
    assert sanitize(given_name) == mended
    with pytest.raises(BadName):
        parse_name(given_name)


@pytest.mark.parametrize("name", ['"todo api"', "“todo api”", "'todo api'", "  «todo api» "])
def test_quotes_around_a_name_are_taken_off(name: str) -> None:
    assert unquote(name) == parse_name(name) == "todo api"


@given(HOSTILE, st.sets(st.text("ab-", max_size=3)))
def test_a_slug_is_plain_short_and_not_taken(text: str, taken: set[str]) -> None:
    slug = slugify(text, taken)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert len(slug) <= 48
    assert slug not in taken


@given(HOSTILE)
def test_slugs_stay_plain_and_short_however_many_are_taken(text: str) -> None:
    taken: list[str] = []
    for _ in range(12):
        taken.append(slugify(text, taken))
    assert len(set(taken)) == 12
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug) for slug in taken)
    assert all(len(slug) <= 48 for slug in taken)


def test_a_name_of_a_megabyte_is_mended_at_once() -> None:
    started = time.monotonic()
    assert is_name(sanitize(". " * 500_000))
    assert time.monotonic() - started < 2
