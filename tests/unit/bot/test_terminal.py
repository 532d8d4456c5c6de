"""The terminal as a chat platform: what cards look like there, what lines mean, how both begin."""

import asyncio
import io
import os
import pty
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.text import Text

from adapters.terminal import render
from adapters.terminal.live import LiveScreen, open_screen
from adapters.terminal.reader import LineReader
from adapters.terminal.screen import PlainScreen
from adapters.terminal.typed import may_type, meant, waits
from bot import cards
from core.domain import markup
from core.domain.cards import (
    Card,
    Field,
    Input,
    InputKind,
    Link,
    Option,
    Progress,
    TableBlock,
    TextFile,
)
from core.domain.events import CardKind
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.errors import InputError
from core.operations import notices, questions
from tests.unit.bot.cards import stage as work

WIDE = "建" * 30
HOSTILE = "x\x1b[2J\x1b]0;owned\x07\x9b1m\r\x08y\u202ez `code` **bold** second"


def texts(lines: list[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def plan_of(name: str) -> Plan:
    def feature(number: int) -> PlannedFeature:
        task = PlannedTask(f"{number} {name}", checks=("true",), complexity=3)
        waits = (f"1 {name}",) if number > 1 else ()
        return PlannedFeature(f"{number} {name}", (task,), depends_on=waits)

    return Plan((PlannedPhase(name, (feature(1), feature(2))),), name, setup=("true",))


def along(name: str) -> dict[str, Card]:
    """Cards of a project on its way; its names and texts are `name`."""
    found: dict[str, Card] = {}
    with work.database() as tx:

        def see(kind: CardKind, what: str, **more: object) -> None:
            while notices.tell(tx, cards.CARDS, now=work.NOW):
                pass
            found[what] = work.card(tx, kind, markup=work.scene(**more))

        project = work.begin(tx, practice=True)
        approval = work.submit(tx, project, plan_of(name))
        see(CardKind.INTERVIEW, "root")
        see(CardKind.SPEC, "spec")
        see(CardKind.PLAN, "plan")
        work.approve(tx, approval, by="web:ada")
        see(CardKind.PLAN, "approved")
        coder = work.run(tx, project)
        asked = questions.ask(tx, coder.id, name, ("Red", "Green"), False, now=work.NOW)
        see(CardKind.QUESTION, "question")
        see(CardKind.PROGRESS, "progress", activity={coder.id: f"edits {name}"})
        questions.answer(tx, asked, "Green", by="web:ada", now=work.NOW)
        see(CardKind.QUESTION, "answered")
        work.prove(tx, project, 1)
        work.land(tx, project, f"1 {name}")
        see(CardKind.LANDED, "landed")
        work.fail(tx, project, 2)
        see(CardKind.STUCK, "stuck")
    with work.database() as tx:
        gate = work.to_gate(tx, work.build(tx, practice=True))
        see(CardKind.GATE, "gate")
        work.approve(tx, gate)
        see(CardKind.GATE, "passed")
    return found


CARDS = along("Storage")
TABLE = TableBlock(("Model", "Cost"), (("Opus", "$1.00"), (WIDE, "$0.10")))
OPTIONS = tuple(Option(label, label) for label in ("Red", "Green", "Blue"))


def drawn(card: Card, width: int | None) -> list[Text]:
    """In each of the ways."""
    return [
        *render.whole(card, width),
        *render.in_one(card, width, "0:06"),
        *render.live(card, width or 100, 40),
    ]


@pytest.mark.parametrize("width", [40, 60, 78, 110])
@pytest.mark.parametrize("name", ["Storage", WIDE, " ".join(["long words"] * 8)])
def test_nothing_is_wider_than_the_terminal(name: str, width: int) -> None:
    for what, card in along(name).items():
        for line in drawn(replace(card, table=TABLE, whole=None), width):
            assert cell_len(line.plain) <= width, (what, line.plain)


def test_other_peoples_words_do_not_steer_the_terminal() -> None:
    bare = Card("k", CardKind.ANSWER, HOSTILE, markup.escape(HOSTILE), HOSTILE, table=TABLE)
    raw = replace(
        bare,
        body=f"✓ {HOSTILE}\n\t{HOSTILE}",
        fields=(Field(HOSTILE, HOSTILE),),
        links=(Link(HOSTILE, f"https://x/{HOSTILE}"),),
        table=TableBlock((HOSTILE,), ((HOSTILE,),)),
        inputs=(Input("a", HOSTILE, InputKind.SELECT, options=(Option(HOSTILE, "x"),)),),
    )
    long = replace(bare, whole=TextFile("a.md", HOSTILE))
    for card in (bare, raw, long):
        for width in (None, 50):
            text = texts(drawn(card, width))
            assert not [c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)]
            assert "\u202e" not in text
            assert "owned" not in text


def test_a_card_says_all_it_has() -> None:
    plan = texts(render.whole(CARDS["plan"], 110))
    assert plan.startswith("\n▲ Plan for todo-api\n")
    assert "└─ ○ 2 Storage, 1 task ← 1 Storage" in plan
    assert ", budget $12.00   Time about" in plan
    gate = texts(render.whole(CARDS["gate"], 110))
    assert "█  4 of 4\n" in gate
    assert "✓ pytest -q 48 passed in 3.10s · exit 0" in gate
    stuck = texts(render.whole(CARDS["stuck"], 110))
    assert "E AssertionError: 429 != 200" in stuck
    asked = texts(render.whole(CARDS["question"], 110))
    assert "    1  Red\n    2  Green\n" in asked
    table = texts(render.whole(replace(CARDS["spec"], table=TABLE), 40))
    assert "  Model" in table
    assert "$1.00" in table


def test_what_continues_an_item_stands_below_its_words() -> None:
    body = (
        "**1 Foundation**\n- Storage\n  1 Schema · 2/5\n- Docs\n  2 README\nRuns with: x\n  alone"
    )
    card = replace(CARDS["spec"], title="", body=body)
    assert texts(render.whole(card, 80)).split("\n")[:7] == [
        "  1 Foundation",
        "    - Storage",
        "      1 Schema · 2/5",
        "    - Docs",
        "      2 README",
        "  Runs with: x",
        "    alone",
    ]


def test_all_of_a_text_is_shown_that_a_card_shortens() -> None:
    text = "\n".join(f"line {n}" for n in range(2_000))
    card = replace(CARDS["spec"], whole=TextFile("a.md", text), table=TABLE)
    shown = texts(render.whole(card, 80))
    assert "\n  line 999\n  and 1,000 more lines" in shown
    assert "Model" not in shown
    decides = texts(render.whole(replace(CARDS["plan"], whole=TextFile("a.md", text)), 80))
    assert "line 1" not in decides


def test_what_was_said_for_good_is_not_said_again() -> None:
    known = {"Practice model: scripted, offline, costs nothing"}
    assert known <= set(texts(render.whole(CARDS["stuck"], None)).replace("\n  ", "\n").split("\n"))
    assert "Practice" not in texts(render.whole(CARDS["stuck"], None, known))
    assert "Practice" not in texts(render.live(CARDS["progress"], 100, 40, known))


def test_what_is_settled_is_one_line() -> None:
    assert texts(render.in_one(CARDS["landed"], None, "0:11")) == (
        "  0:11 ✓ todo-api 1 Storage landed   1 of 1 task, 3 checks green, 4f2c9e1 · practice   $0.00"
    )
    wide = texts(render.in_one(CARDS["landed"], 100, "0:11"))
    assert len(wide) == 100
    assert wide.endswith("$0.00")
    said = texts(render.in_one(CARDS["passed"], None, "0:25"))
    assert said.startswith("  0:25 ✓ Gate: phase 1 Foundation   4 of 4 tasks proved, 2 features")
    assert "   › Approved by ann, 10:48" in said
    assert "4 of 4" not in texts(render.in_one(CARDS["passed"], None, seen=True))
    assert texts(render.in_one(CARDS["answered"], None)) == "  ✓ coder-1 asks   Storage   › Green"
    narrow = texts(render.in_one(CARDS["landed"], 44, "0:11"))
    assert narrow.split("\n")[0].endswith("$0.00")


@pytest.mark.parametrize("height", [1, 3, 6, 30])
def test_the_area_keeps_its_height(height: int) -> None:
    assert len(render.live(CARDS["progress"], 80, height)) <= height


def test_the_area_says_how_it_stands() -> None:
    text = texts(render.live(CARDS["progress"], 110, 40))
    first, sums, phases, agent, *_rest = text.split("\n")
    assert first.startswith("  todo-api: building phase 1 of 1   ░")
    assert "0 of 2 tasks passing, 0 %" in sums
    assert phases == "  ◐ 1 Storage 0/2"
    assert agent.startswith("  ◐ coder-1 Sonnet")
    assert "edits Storage" in agent
    bar = render.bar_of(Progress(1, 40, active=1, stuck=1), 20).plain
    assert (len(bar), bar[:3]) == (20, "█▓▓")


def buttons(*labels: str) -> Card:
    """A stuck task's card, with some of its buttons."""
    card = CARDS["stuck"]
    return replace(card, buttons=tuple(b for b in card.buttons if b.label in labels))


SEVERAL = replace(
    CARDS["question"],
    buttons=CARDS["question"].buttons[-1:],
    inputs=(Input("several", "Choose", InputKind.MULTI_SELECT, options=OPTIONS),),
)


@pytest.mark.parametrize(
    ("card", "line", "action", "values"),
    [
        (CARDS["plan"], "approve", "approve:plan:1", {}),
        (CARDS["plan"], " Approve ", "approve:plan:1", {}),
        (CARDS["plan"], "reject naming: is wrong", "reject:plan:1", {"reason": "naming: is wrong"}),
        (CARDS["plan"], "details", "details:plan:1", {}),
        (CARDS["stuck"], "retry opus", "retry_with_opus:task:2:1", {}),
        (CARDS["stuck"], "retry with opus", "retry_with_opus:task:2:1", {}),
        (CARDS["stuck"], "retry", "retry:task:2:1", {}),
        (buttons("Retry", "Skip"), "retry opus", "retry_with_opus:task:2:1", {}),
        (CARDS["stuck"], "guide 'it'; $(x)", "guide:task:2:1", {"hint": "'it'; $(x)"}),
        (CARDS["question"], "2", "answer:question:1:1", {}),
        (CARDS["question"], "green", "answer:question:1:1", {}),
        (CARDS["question"], "approve", "answer:question:1", {"answer": "approve"}),
        (SEVERAL, "1, blue", "answer:question:1", {"several": ["Red", "Blue"]}),
        (SEVERAL, "03,1", "answer:question:1", {"several": ["Blue", "Red"]}),
        (SEVERAL, "0", "answer:question:1", {"answer": "0"}),
        (SEVERAL, "9" * 5000, "answer:question:1", {"answer": "9" * 5000}),
        (SEVERAL, "1, pink", "answer:question:1", {"answer": "1, pink"}),
    ],
)
def test_a_line_is_a_press(
    card: Card, line: str, action: str, values: dict[str, str | list[str]]
) -> None:
    pressed = meant(card, line)
    assert pressed is not None
    given = {name: [value] if isinstance(value, str) else value for name, value in values.items()}
    assert pressed.press.encode() == action
    assert {name: list(several) for name, several in pressed.values.items()} == given


def test_a_line_is_none_or_says_what_it_lacks() -> None:
    assert meant(CARDS["plan"], "approved?") is None
    assert meant(CARDS["plan"], "hello") is None
    for card, line in ((CARDS["plan"], "reject"), (CARDS["stuck"], "retry gpt")):
        with pytest.raises(InputError) as caught:
            meant(card, line)
        assert may_type(card) in caught.value.hint
    assert may_type(CARDS["plan"]) == "approve · reject REASON · details"
    assert may_type(CARDS["stuck"]) == "retry opus · retry · skip · guide HINT"
    assert may_type(CARDS["question"]) == "a number, or your own words"
    assert may_type(replace(SEVERAL, inputs=())) == "your answer in one line"


def test_what_waits_for_a_person() -> None:
    assert {what for what, card in CARDS.items() if waits(card)} == {
        "plan", "gate", "question", "stuck",
    }  # fmt: skip


async def answers(content: bytes, count: int) -> list[str | None]:
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    reader = LineReader(read)
    found = [await asyncio.wait_for(reader.line(), 5) for _ in range(count)]
    os.close(read)
    return found


async def test_lines_of_a_pipe() -> None:
    assert await answers(b"approve\r\n\nreject no \xc3\xa4\nlast", 5) == [
        "approve", "", "reject no ä", "last", None,
    ]  # fmt: skip
    assert await answers(b"\xff\xfe\n", 2) == ["\ufffd\ufffd", None]


async def test_no_input_is_its_end() -> None:
    assert await LineReader(None).line() is None
    with open(os.devnull) as nothing:
        assert await LineReader(nothing.fileno()).line() is None
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    assert await LineReader(read).line() is None


async def test_waiting_for_a_line_does_not_stop_the_loop() -> None:
    """A question may be given up; the line that comes after all answers the next one."""
    read, write = os.pipe()
    reader = LineReader(read)
    asked = asyncio.create_task(reader.line())
    await asyncio.sleep(0.05)
    assert not asked.done()
    asked.cancel()
    await asyncio.wait((asked,))
    os.write(write, b"approve\n")
    assert await asyncio.wait_for(reader.line(), 5) == "approve"
    os.close(write)
    assert await asyncio.wait_for(reader.line(), 5) is None
    os.close(read)


def _nothing() -> None: ...


@pytest.mark.parametrize(("term", "live"), [("xterm-256color", True), ("dumb", False), ("", False)])
async def test_only_an_able_terminal_is_edited_in_place(term: str, live: bool) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r+b", buffering=0) as raw:
        tty = io.TextIOWrapper(raw, write_through=True)
        for stdin, stdout, able in (
            (tty, tty, live),
            (tty, io.StringIO(), False),
            (io.StringIO(), tty, False),
        ):
            screen = open_screen(_nothing, _nothing, {"TERM": term}, stdin=stdin, stdout=stdout)
            assert isinstance(screen, LiveScreen) is able
            await screen.close()
    os.close(ours)


def test_nobody_reads_the_output_any_more() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        screen = PlainScreen(out, LineReader(None))
        for _ in range(2):
            screen.show(lambda width: render.whole(CARDS["plan"], width))
        assert screen._gone


def test_an_encoding_that_cannot_carry_the_marks() -> None:
    raw = io.BytesIO()
    screen = PlainScreen(io.TextIOWrapper(raw, encoding="ascii"), LineReader(None))
    screen.show(lambda width: render.whole(CARDS["plan"], width))
    assert b"? Plan for todo-api\n" in raw.getvalue()
