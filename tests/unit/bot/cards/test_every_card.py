"""Every card in every state, with whatever people and agents may write: it stays a card."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import cards
from core.domain import markup
from core.domain.agents import AgentKind, RunOutcome
from core.domain.cards import (
    BODY_LIMIT,
    BUTTONS,
    FIELDS,
    OPTION_BUTTONS,
    TITLE_LIMIT,
    Card,
    Form,
    Label,
    parse_press,
)
from core.domain.events import CardKind, Event
from core.domain.failure import EndedHow, RunEnd
from core.domain.lifecycle import (
    Cause,
    FeatureStatus,
    InterviewKind,
    InterviewStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
    move,
)
from core.domain.people import Role
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.domain.rules import Rules
from core.operations import (
    approvals,
    inquiries,
    interviews,
    journal,
    members,
    outbox,
    project_overrides,
    projects,
    questions,
    reminders,
    specs,
    tasks,
)
from core.ports.host import BoxLevel
from core.store.chat_tables import Interview, Member, OutboxItem
from core.store.tables import Feature, Phase, Project, Run, Task
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW, PLACE, scene, tell

ANN, BOB = "web:ann", "slack:U0BOB"
HOUR = timedelta(hours=1)
_FALLBACK_LIMIT = 600  # of an answer there is more: no screen without cards shall lack it
_ANSWER_LIMIT = 8_000
_FIXED = {CardKind.DIGEST, CardKind.NOTICE, CardKind.HELP, CardKind.ANSWER}  # when they are said


@dataclass(frozen=True)
class Words:
    """What people and agents write here."""

    name: str  # of a task, a feature, a person
    sentence: str  # a request, a reason, an answer
    many: bool  # as much of everything as there may be


_MARKUP = "**INJ** `INJ` [INJ](/x) [INJ](time:2027-01-01T00:00:00Z) \\"
WORDS = {
    "little": Words("x", "It does not work.", many=False),
    "usual": Words("Sign-in", "It does not work.", many=True),
    "markup": Words(_MARKUP, f"- {_MARKUP}\n# {_MARKUP}\n\t{_MARKUP}\n{_MARKUP * 200}", many=True),
    "strange": Words("שלום \u202eevil\u202c 👩‍👩‍👧 e\u0301 a\x1b[31m\x07b\r\nc\u2028d",
                     "مرحبا \u2067x\u2069 \x1b]8;;http://x\x07l\x1b\\\x01 🇩🇪\r\n" * 90, many=False),
    "without end": Words("very" * 60, "*" * 9_000, many=True),
}  # fmt: skip


def boot_id(tx: Session, words: Words) -> Iterator[None]:
    """A project from its first words to its report; a step for each thing that may be shown."""
    members.set_role(tx, ANN, Role.ADMIN, by="web:local", now=NOW)
    tx.get_one(Member, ANN).name = words.name[:128]
    begun = interviews.begin(
        tx, "todo-api", PLACE, by=ANN, practice=True, budget=Decimal(12), request=words.sentence,
        now=NOW,
    )  # fmt: skip
    project = tx.get_one(Project, begun.id)
    yield
    yield from _interview(tx, words, project)
    interview = tx.scalars(select(Interview)).one()
    interview.status = InterviewStatus.CHECKING
    yield
    specs.spec_written(tx, interview.id, stage.COMMIT, "x", excerpt=words.sentence, now=NOW)
    yield
    first = stage.submit(tx, project.id, _plan(words))
    yield
    reminders.remind(tx, HOUR, now=NOW + 2 * HOUR)
    yield
    approvals.reject(tx, first.id, words.sentence, by=BOB, now=NOW)
    yield
    stage.approve(tx, stage.submit(tx, project.id, _plan(words, changed=True)), by=ANN)
    yield
    yield from _work(tx, words, project)
    yield from _gates(tx, words, project)
    projects.complete(tx, project.id, stage.COMMIT, now=NOW + timedelta(hours=3))
    yield


def _interview(tx: Session, words: Words, project: Project) -> Iterator[None]:
    asker = stage.run(tx, project.id, AgentKind.INTERVIEWER)
    asker.interview_id = tx.scalars(select(Interview.id)).one()
    sizes = (0, 1, 2, OPTION_BUTTONS, OPTION_BUTTONS + 1, questions.OPTIONS)
    asked = [
        questions.ask(
            tx, asker.id, f"{number}? {words.sentence}"[: questions.TEXT_LIMIT],
            _options(words, size), multiple, topic=words.name, expected=number, now=NOW,
        )
        for number, (size, multiple) in enumerate((s, m) for s in sizes for m in (False, True))
    ]  # fmt: skip
    yield
    for number in asked[:-1]:
        questions.answer(tx, number, words.sentence, by=BOB, now=NOW)
    yield
    questions.withdraw(
        tx, questions.unanswered(tx), words.sentence, by=journal.SERVICE, now=NOW
    )  # fmt: skip
    move(asker, RunStatus.ENDED, by=Cause.SERVICE)
    yield


def _options(words: Words, size: int) -> tuple[str, ...]:
    """Alike for as long as a label may be."""
    most = questions.OPTION_LIMIT
    return tuple(f"{words.name * most}"[: most - 3] + f" {n}" for n in range(size))


def _plan(words: Words, *, changed: bool = False) -> Plan:
    size = 4 if words.many else 1
    plain = "".join(letter for letter in words.name if letter.isprintable())[:90]

    def task(name: str) -> PlannedTask:
        checks = (f"echo {plain}",)
        return PlannedTask(name, description=words.sentence[:9_000], checks=checks, complexity=4)

    def name(what: str, *numbers: int) -> str:
        return f"{plain} {what} {'.'.join(map(str, numbers))}"

    return Plan(
        summary=words.sentence[:1_900],
        setup=tuple(f"echo {n} {'x' * 120}" for n in range(9 if words.many else changed)),
        checks=("pytest -q",) if changed else (),
        phases=tuple(
            PlannedPhase(
                name("phase", p),
                tuple(
                    PlannedFeature(
                        name("feature", p, f),
                        tuple(task(name("task", p, f, t)) for t in range(size)),
                        spec=words.sentence[:9_000],
                    )
                    for f in range(size)
                ),
            )
            for p in range(2 if words.many else 1)
        ),
    )


def _work(tx: Session, words: Words, project: Project) -> Iterator[None]:
    """Agents at work: money, limits, questions, what is stuck, what blocks."""
    coder = stage.claim(tx, project.id, 1)
    for number, usd in enumerate(("6.00", "3.60", "1.80", "0.60")):
        stage.spend(tx, coder, usd, message=f"m{number}")
        yield
    project_overrides.set_budget(tx, project.id, Decimal(100), by=ANN, now=NOW)
    for event, scope in ((Event.BUDGET_WARNING, "day"), (Event.BUDGET_REACHED, "month")):
        journal.record(
            tx, event, f"todo-api has spent 80 % of today's budget, a {scope}'s.", now=NOW,
            project=project,
            data={"scope": scope, "own": scope == "day", "cap": 2_000_000,
                  "until": (NOW + 2 * HOUR).isoformat()},
        )  # fmt: skip
    yield
    question = questions.ask(tx, coder.id, words.sentence[:9_000], (), False, now=NOW)
    tx.get_one(Run, coder.id).status = RunStatus.WAITING
    yield
    questions.answer(tx, question, words.sentence, by=ANN, now=NOW)
    coder.status = RunStatus.WORKING
    tasks.stick(tx, stage.task(tx, project.id, 1).id, words.sentence, now=NOW)
    move(coder, RunStatus.ENDED, by=Cause.SERVICE)
    yield
    stuck = stage.task(tx, project.id, 1)
    tasks.guide(tx, stuck.id, words.sentence, by=BOB, max_attempts=5, now=NOW)
    yield
    stage.fail(tx, project.id, 1)
    yield
    tasks.retry(tx, stuck.id, model="opus", by=ANN, max_attempts=5, now=NOW)
    yield
    stage.limit(tx, project.id, seconds=5_400)
    yield
    tx.refresh(stuck)
    stuck.status, stuck.run_id = TaskStatus.PENDING, None
    projects.block(tx, project.id, words.sentence, now=NOW)
    yield
    projects.resume(tx, project.id, actor=BOB, now=NOW)
    yield


def _gates(tx: Session, words: Words, project: Project) -> Iterator[None]:
    """Both phases are proved and landed; the first gate is refused once."""
    for phase in tx.scalars(
        select(Phase).where(Phase.project_id == project.id).order_by(Phase.position)
    ).all():
        proved = 0
        for row in tx.scalars(select(Task).where(Task.phase_id == phase.id)).all():
            if row.number == 1 and words.many:
                tasks.skip(tx, row.id, cause=Cause.PERSON, by=ANN, now=NOW)
                continue
            stage.prove(tx, project.id, row.number)
            proved += 1
        yield
        for feature in tx.scalars(select(Feature).where(Feature.phase_id == phase.id)).all():
            if feature.status is not FeatureStatus.COMPLETED:
                stage.land(tx, project.id, feature.name)
        yield
        gate = stage.open_gate(tx, project.id, phase.position, red=words.many)
        yield
        reminders.remind(tx, HOUR, now=NOW + 3 * HOUR)
        yield
        stage.approve(tx, gate, by=BOB)
        yield


SCENES = (
    scene(now=NOW),
    scene(now=NOW + HOUR, box=BoxLevel.NONE, activity={1: "x" * 500}),
    scene(now=NOW + timedelta(days=9), box=BoxLevel.REDUCED),
)


def drawn(tx: Session, known: dict[int, int]) -> Iterator[Card]:
    """Every card that is wanted anew: now, later or much later, on a host that is fit or not."""
    tell(tx)
    for row in tx.scalars(select(OutboxItem).order_by(OutboxItem.id)).all():
        if known.get(row.id) != row.wanted:
            known[row.id] = row.wanted
            at = SCENES[(row.id + row.wanted) % len(SCENES)]
            yield cards.draw(tx, outbox._due(row, None), at).card


def check(card: Card, words: Words) -> None:
    assert 0 < len(card.title) <= TITLE_LIMIT
    assert "\n" not in card.title
    assert len(card.body) <= BODY_LIMIT
    assert len(card.fields) <= FIELDS
    whole = card.kind is CardKind.ANSWER
    assert 0 < len(card.fallback.strip()) <= (_ANSWER_LIMIT if whole else _FALLBACK_LIMIT)
    options = [button for button in card.buttons if button.press.more and _is_option(button.press)]
    assert len(options) <= OPTION_BUTTONS
    assert len(card.buttons) - len(options) <= BUTTONS
    _check_ids(card)
    _check_text(card, words)
    assert all(link.label and link.to for link in card.links)
    if card.table is not None:
        assert all(len(row) == len(card.table.head) for row in card.table.rows)
    if card.whole is not None:
        assert card.whole.name
        assert card.whole.text


def _is_option(press: object) -> bool:
    return getattr(press, "label", None) is Label.ANSWER


def _check_ids(card: Card) -> None:
    ids = [button.press.encode() for button in card.buttons]
    names = [each.name for each in card.inputs]
    assert len({*ids, *names}) == len(ids) + len(names), (ids, names)
    for button, action_id in zip(card.buttons, ids, strict=True):
        assert len(action_id) <= 100
        assert parse_press(action_id) == button.press
        assert button.label.strip()
    forms = [button.form for button in card.buttons if button.form] + [Form("", card.inputs)]
    for form in forms:
        assert len({each.name for each in form.inputs}) == len(form.inputs)
        for each in form.inputs:
            shown = [option.label[:74] for option in each.options]
            assert len(set(shown)) == len(shown), "two options that read the same"
            assert all(option.label.strip() for option in each.options)
    labels = [button.label[:74] for button in card.buttons]
    assert len(set(labels)) == len(labels), labels


_BROKEN = re.compile(
    r"\.,|,\.|(?<!\.)\.\.(?!\.)|,\s*,|\bNone\b| [,;]"
    r"|(?<![\d.,:$-])1 (?!is|was|has|does|passes|waits|hours)[a-z]+s\b"
)


def _check_text(card: Card, words: Words) -> None:
    """It steers no screen; words of others have no looks; ours are whole sentences."""
    plain = markup.plain(card.body)
    values = [field.value for field in card.fields]
    for text in (card.title, plain, card.fallback, *values, *(b.label for b in card.buttons)):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", text), text
        if words.sentence == WORDS["little"].sentence:
            broken = _BROKEN.search(text)
            assert broken is None, (broken, text)
    if card.kind in (CardKind.SPEC, CardKind.ANSWER):
        return  # an agent's Markdown has its looks
    for line in markup.parse(card.body):
        for span in line.spans:
            assert span.look is not markup.Look.LINK
            assert span.look is markup.Look.PLAIN or span.text != "INJ"
    assert not re.search(r"(?<![*`\[])INJ", plain), "markup of others was taken for ours"


@pytest.mark.parametrize("name", WORDS)
def test_every_card_of_a_projects_life(tx: Session, name: str) -> None:
    words = WORDS[name]
    known: dict[int, int] = {}
    seen = set()
    for _ in boot_id(tx, words):
        for card in drawn(tx, known):
            check(card, words)
            seen.add(card.kind)
    assert seen == set(CardKind) - _FIXED


@pytest.mark.parametrize("name", ["little", "markup"])
def test_every_card_of_what_is_added_and_asked(tx: Session, name: str) -> None:
    words = WORDS[name]
    known: dict[int, int] = {}
    project = tx.get_one(Project, stage.build(tx, practice=True))
    asked = [
        inquiries.begin(
            tx, project.id, f"why did task {n} fail? {words.sentence}", inbox_id=n, place=PLACE, by=ANN, now=NOW
        )
        for n in range(1, 4)
    ]  # fmt: skip
    added = [
        Interview(project_id=project.id, number=n, kind=kind, status=status, request=words.sentence,
                  by=ANN, asked=1, begun_at=NOW, blocked_reason=words.sentence)
        for n, (kind, status) in enumerate(
            ((k, s) for k in InterviewKind for s in InterviewStatus), start=1
        )
    ]  # fmt: skip
    tx.add_all(added)
    tx.flush()
    for row in added:
        journal.record(
            tx, Event.INTERVIEW_BEGUN, "Something more.", now=NOW, project=project,
            data={"interview": row.id},
        )  # fmt: skip
    for _ in _turns(tx, words, project, asked):
        for card in drawn(tx, known):
            check(card, words)
    for status in ProjectStatus:
        project.status, project.blocked_reason = status, words.sentence
        for kind in (CardKind.INTERVIEW, CardKind.PROGRESS, CardKind.ANSWER):
            outbox.refresh(tx, project.id, kind, now=NOW)
        for card in drawn(tx, known):
            check(card, words)


def _turns(tx: Session, words: Words, project: Project, asked: Sequence[int]) -> Iterator[None]:
    """What is asked waits, is tried again, worked on, answered or given up."""
    yield
    stage.limit(tx, project.id, seconds=5_400)
    inquiries.taken_up(tx, asked[1], now=NOW)
    yield
    for inquiry, how, outcome in (
        (asked[0], EndedHow.ACCIDENT, RunOutcome.FAILED),
        (asked[0], EndedHow.AGENT, RunOutcome.FINISHED),
        (asked[1], EndedHow.CREDENTIALS, RunOutcome.FAILED),
        (asked[2], EndedHow.BUDGET, RunOutcome.FAILED),
    ):
        run = stage.run(tx, project.id, AgentKind.ASSISTANT)
        run.inquiry_id = inquiry
        inquiries.taken_up(tx, inquiry, now=NOW)
        yield
        move(run, RunStatus.ENDED, by=Cause.SERVICE)
        ended = RunEnd(outcome, how, words.sentence)
        inquiries.run_ended(tx, run, ended, Rules(), now=NOW)
        yield
