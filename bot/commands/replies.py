"""Replies as cards: one look for every answer, error and help."""

from collections.abc import Iterable

from bot.cards.formatting import count, cut
from bot.cards.rendering import RenderContext
from bot.commands.command import Reply
from core.domain import card_keys, markup
from core.domain.cards import (
    BODY_LIMIT,
    FIELDS,
    TITLE_LIMIT,
    Button,
    Card,
    TableBlock,
    TextFile,
    Tone,
)
from core.domain.events import CardKind
from core.domain.redaction import clean
from core.errors import AutocoderError, StalePress

_FALLBACK_LIMIT = 4_000


def card_of(reply: Reply, item_id: int) -> Card:
    """The card of a reply; its key names the delivery it answers."""
    if reply.card is not None:
        return reply.card
    whole = reply.whole
    if whole is None and len(reply.body) > BODY_LIMIT:
        whole = TextFile("answer.md", f"{_one_line(reply.title)}\n\n{_plain_text(reply.body)}\n")
    body = shorten(reply.body, whole=whole.name if whole else "")
    return Card(
        key=card_keys.reply(reply.kind, item_id),
        kind=reply.kind,
        title=cut(_one_line(reply.title), TITLE_LIMIT),
        body=body,
        fallback=fallback(reply.title, body, reply),
        project=reply.project.name if reply.project else None,
        fields=reply.fields[:FIELDS],
        progress=reply.progress,
        pictures=reply.pictures,
        tone=reply.tone,
        buttons=reply.buttons,
        links=reply.links,
        table=reply.table,
        whole=whole,
    )


_CODE = (markup.Look.CODE, markup.Look.COMMAND)


def fallback(title: str, body: str, reply: Reply | None = None) -> str:
    """The same as plain text, for screens without cards; commands keep their backticks."""
    lines = [_one_line(title), _plain_text(body)]
    if reply is not None:
        lines += [f"{field.name}: {field.value}" for field in reply.fields]
        rows = (reply.table.head, *reply.table.rows) if reply.table else ()
        lines += [" · ".join(row) for row in rows]
    return cut("\n".join(lines).strip(), _FALLBACK_LIMIT) or "–"


def _one_line(title: str) -> str:
    return " ".join(clean(title).split())


def _plain_text(body: str) -> str:
    lines = []
    for line in markup.parse(body):
        words = "".join(
            f"`{span.text}`" if span.look in _CODE and not line.verbatim else span.text
            for span in line.spans
        )
        lines.append(f"- {words}" if line.item else words)
    return "\n".join(lines)


def shorten(body: str, limit: int = BODY_LIMIT, *, whole: str = "") -> str:
    """At most `limit` characters, in whole lines, and how many were left out; `whole` has all."""
    if len(body) <= limit:
        return body
    kept: list[str] = []
    length, lines = 0, body.split("\n")
    for line in lines:
        if length + len(line) + 1 > limit - 40 - len(whole):
            break
        kept.append(line)
        length += len(line) + 1
    if not kept:  # one line that is longer than a card
        return markup.escape(cut(markup.plain(lines[0]), limit // 2))
    where = f": {markup.code(whole)}" if whole else ""
    return "\n".join([*kept, f"… {count(len(lines) - len(kept), 'more line')}{where}"])


def told(problem: AutocoderError, scene: RenderContext) -> tuple[str, str, str]:
    """A title, what else there is to say in a body, and both as one plain sentence."""
    if isinstance(problem, StalePress) and problem.at is not None:
        zone = problem.at.astimezone(scene.zone).tzname()  # no platform writes it in another
        title, said = problem.since(""), problem.since(f"{scene.clock(problem.at)} {zone}")
        return clean(title), f"That was at {scene.when(problem.at)}.", clean(said)
    message = clean(str(problem))
    first, _, rest = message.partition("\n")
    return first, own_words(rest), message


def error(
    problem: AutocoderError,
    scene: RenderContext,
    *,
    reason: str = "",
    instead: str = "",
    buttons: tuple[Button, ...] = (),
) -> Reply:
    """What happened, what to do, what stands there now; for this person only."""
    title, rest, message = told(problem, scene)
    return Reply(
        title=title,
        body=lines(rest, own_words(problem.hint), own_words(instead)),
        tone=Tone.WARNING,
        kind=CardKind.ERROR,
        buttons=buttons,
        private=True,
        said=" ".join(part for part in (message, problem.hint, instead) if part),
        ok=False,
        reason=reason,
    )


def own_words(text: str) -> str:
    """Our own sentences, in which `this` is code; whatever else they repeat is shown as it is."""
    parts = clean(text).split("`")
    if len(parts) % 2 == 0:
        return markup.escape(clean(text))
    return "".join(
        markup.code(part) if at % 2 else markup.escape(part) for at, part in enumerate(parts)
    )


def lines(*found: str | Iterable[str]) -> str:
    """Lines of a body; empty ones are left out."""
    flat: list[str] = []
    for part in found:
        flat += [part] if isinstance(part, str) else part
    return "\n".join(line for line in flat if line)


def markdown(table: TableBlock) -> str:
    """A table as lines of a file."""
    rows = (table.head, ("---",) * len(table.head), *table.rows)
    return "\n".join(f"| {' | '.join(cell.replace('|', '¦') for cell in row)} |" for row in rows)


def words(text: str, limit: int = 200) -> str:
    """Somebody's words on one line, safe in a body."""
    return markup.escape(cut(" ".join(clean(text).split()), limit))
