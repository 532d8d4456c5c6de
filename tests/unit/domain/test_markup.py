"""Light Markdown: what was escaped is read back as it was, whatever it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import markup
from core.domain.markup import Line, Look, Span

WORDS = st.text(st.sampled_from("ab `*_[]()/\\-\n!<>~#|1."), max_size=60)


def one_line(text: str) -> str:
    return " ".join(text.split())


@given(WORDS)
def test_escaped_words_are_plain_words(words: str) -> None:
    lines = markup.parse(markup.escape(words))
    assert not [line for line in lines if line.item]
    assert {span.look for line in lines for span in line.spans} <= {Look.PLAIN}
    assert "\n".join(line.text for line in lines) == words


@given(WORDS)
def test_bold_and_code_hold_their_words(words: str) -> None:
    plain = one_line(words)
    for made, look in ((markup.bold(words), Look.BOLD), (markup.code(words), Look.CODE)):
        assert "".join(line.text for line in markup.parse(made)) == plain
        if plain and "`" not in plain:
            assert markup.parse(made)[0].spans == (Span(plain, look),)


@given(st.text(st.sampled_from("ab `*_[]()/\\-\n\t+@"), max_size=60))
def test_what_is_verbatim_keeps_its_spaces_and_is_never_markup(words: str) -> None:
    lines = markup.parse(markup.verbatim(words))
    assert all(line.verbatim and not line.item for line in lines)
    assert [line.spans for line in lines] == [(Span(w, Look.CODE),) for w in words.split("\n")]
    assert not any(line.verbatim for line in markup.parse(markup.escape(words)))


@given(WORDS)
def test_any_body_can_be_read(body: str) -> None:
    assert len(markup.parse(body)) == body.count("\n") + 1


def test_a_body_is_lines_of_spans() -> None:
    body = "**9 of 14** tasks\n- `pytest -q` green\n\n[Board](/projects/todo-api)"
    assert markup.parse(body) == (
        Line((Span("9 of 14", Look.BOLD), Span(" tasks"))),
        Line((Span("pytest -q", Look.CODE), Span(" green")), item=True),
        Line(()),
        Line((Span("Board", Look.LINK, "/projects/todo-api"),)),
    )
    assert markup.plain(body) == "9 of 14 tasks\n- pytest -q green\n\nBoard"


@pytest.mark.parametrize(
    "link", ["[x](https://evil)", "[x](//evil)", "[x](javascript:x)", "[x](/a b)", "[](/a)"]
)
def test_links_lead_to_ourselves_only(link: str) -> None:
    assert markup.parse(link) == (Line((Span(link),)),)


def test_a_link_is_written_as_it_is_read() -> None:
    made = markup.link("a [b] *c*", "/projects/x")
    assert markup.parse(made) == (Line((Span("a [b *c*", Look.LINK, "/projects/x"),)),)
