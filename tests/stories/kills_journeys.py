"""Journeys: a scenario, what its person says, and what must stand at the end."""

from collections import Counter
from dataclasses import dataclass

from tests.scripted.interviewer import APP_SPEC, FIRST, INITIALIZER, spec
from tests.scripted.scenario import ANSWER, Ask, Case, Scenario, call, passing, say, submit, write
from tests.stories.kills_person import Habits
from tests.stories.works import Piece, Work, cases, honest, plan

NAME = "thing"
HINT = "The answer is: right."
TOO_SMALL = "Say that it is small."


@dataclass(frozen=True)
class Journey:
    """A scenario, what its person says, and what must stand at the end."""

    scenario: Scenario
    habits: Habits
    tasks: dict[str, tuple[str, int]]  # name → status, attempts
    files: dict[str, str]  # on `main`, beside the report
    cards: Counter[tuple[str, str]]  # key, kind
    decisions: list[tuple[str, str, str | None]]  # kind, status, reason
    answers: list[str]
    once: dict[str, int]  # journal event → how often
    measures: dict[str, int]  # how far an undisturbed one goes, about


ASKS = (
    Ask("What is it for?", ("Work", "Play")),
    Ask("What must it do?", ("Add", "Find", "Forget"), multiple=True),
    Ask("How will you see it is done?"),
)
OWN = "It «works»: $HOME, 'so' to say."
SHADE = 'green, or nearly; "so" <b>'
ANSWERS = {
    "What is it for?": ("option", 1),
    "What must it do?": ("several", ["Add", "Forget"]),
    "How will you see it is done?": ("thread", OWN),
    "Which colour?": ("form", SHADE),
}
SAID = {
    "What is it for?": "Play",
    "What must it do?": "Add, Forget",
    "How will you see it is done?": OWN,
}


def asking() -> Work:
    """A task whose agent asks, and writes what it hears."""
    ask = call("ask_person", question="Which colour?")
    paint = (write("colour.txt", ANSWER), passing())
    # A run that was parked goes on with the answer as its prompt, one that was lost with both.
    asks = [Case((ask, *paint), prompt=begins) for begins in ("Begin: ", "You were interrupted")]
    told = Case(paint, prompt="Answer: "), *asks, Case(paint)
    return Work("paint", (), ("test -s colour.txt",), told)


def whole() -> Journey:
    """Everything a person may be asked, two phases, a rejected plan, a rejected phase."""
    orphaned_runs = (write("answer.txt", "wrong"), passing(), say("I am lost."))
    answer = Work(
        "answer", (), ("grep -q right answer.txt",),
        (Case((write("answer.txt", "right"), passing()), notes=HINT), Case(orphaned_runs)),
    )  # fmt: skip
    base = Piece("Base", (honest("base"),))
    right = Piece("Right", (answer,))
    paint = Piece("Paint", (asking(),))
    last = Piece("Last", (honest("last", needs=("base",)),))
    mend = Piece("Mend", (honest("mend", needs=("base",)),))
    phases = (base, right, paint), (last,)
    done = [work for phase in (*phases, (mend,)) for piece in phase for work in piece.works]
    scenario = Scenario(
        interview=ASKS,
        planner=(
            (TOO_SMALL, (submit(plan((mend,))),)),
            ("Shorter.", (submit(plan(*phases, checks=("ls",))),)),
            ("", (submit(plan((base, right, paint, last), checks=("ls",))),)),
        ),
        tasks=cases(done),
        latency=0.02,
    )
    names = [work.name for work in done]
    return Journey(
        scenario,
        Habits(ANSWERS, {"plan:thing:1": "Shorter.", "gate:thing:3": TOO_SMALL}, HINT),
        tasks={name: ("passing", 1 if name == "answer" else 0) for name in names},
        files={
            **_written(done),
            "answer.txt": "right",
            "colour.txt": SHADE,
            APP_SPEC: spec(SAID),
            INITIALIZER: FIRST,
        },
        cards=Counter(
            [
                ("interview:thing", "interview"),
                *((f"question:thing:{n}", "question") for n in range(1, 5)),
                ("spec:thing", "spec"),
                ("plan:thing:1", "plan"),
                ("plan:thing:2", "plan"),
                ("progress:thing", "progress"),
                *(
                    (f"landed:thing:{piece.name.lower()}", "landed")
                    for piece in (base, right, paint, last, mend)
                ),
                ("stuck:thing:2", "stuck"),
                *((f"gate:thing:{n}", "gate") for n in (3, 4, 5)),
                ("report:thing:1", "report"),
                ("answer", "answer"),
            ]
        ),
        decisions=[
            ("plan", "rejected", "Shorter."),
            ("plan", "approved", None),
            ("gate", "rejected", TOO_SMALL),
            ("gate", "approved", None),
            ("gate", "approved", None),
        ],
        answers=[*SAID.values(), SHADE],
        once={
            "project_created": 1,
            "spec_written": 1,
            "plan_submitted": 2,
            "plan_rejected": 1,
            "plan_approved": 1,
            "phase_rejected": 1,
            "phase_approved": 2,
            "phase_started": 2,
            "feature_landed": 5,
            "task_passed": len(names),
            "task_stuck": 1,
            "question_asked": 4,
            "question_answered": 4,
            "project_completed": 1,
            "press_refused": 0,
            "landing_conflict": 0,
        },
        measures={
            "seconds": 24,
            "requests": 44,
            "journal": 72,
            "cards": 20,
            "edits": 75,
            "proved": len(names),
            "main": 7,
            "sent": 12,
            "heard": 12,
            "asked": 4,
        },
    )


def short() -> Journey:
    """One question, one plan, one feature whose agent asks, one gate."""
    work = asking()
    piece = Piece("Paint", (work,))
    return Journey(
        Scenario(
            interview=ASKS[:1],
            planner=(("", (submit(plan((piece,))),)),),
            tasks=cases([work]),
        ),
        Habits(ANSWERS, {}),
        tasks={work.name: ("passing", 0)},
        files={
            "colour.txt": SHADE,
            APP_SPEC: spec({"What is it for?": "Play"}),
            INITIALIZER: FIRST,
        },
        cards=Counter(
            [
                ("interview:thing", "interview"),
                ("question:thing:1", "question"),
                ("question:thing:2", "question"),
                ("spec:thing", "spec"),
                ("plan:thing:1", "plan"),
                ("progress:thing", "progress"),
                ("landed:thing:paint", "landed"),
                ("gate:thing:2", "gate"),
                ("report:thing:1", "report"),
                ("answer", "answer"),
            ]
        ),
        decisions=[("plan", "approved", None), ("gate", "approved", None)],
        answers=["Play", SHADE],
        once={
            "project_created": 1,
            "spec_written": 1,
            "plan_submitted": 1,
            "plan_approved": 1,
            "phase_started": 1,
            "phase_approved": 1,
            "feature_landed": 1,
            "task_passed": 1,
            "question_asked": 2,
            "question_answered": 2,
            "project_completed": 1,
            "press_refused": 0,
        },
        measures={
            "seconds": 7,
            "requests": 14,
            "journal": 26,
            "cards": 10,
            "edits": 30,
            "proved": 1,
            "main": 3,
            "sent": 6,
            "heard": 6,
            "asked": 2,
        },
    )


def _written(works: list[Work]) -> dict[str, str]:
    """The files of honest works."""
    return {
        step.calls[0].arguments["file_path"]: step.calls[0].arguments["content"]
        for work in works
        for step in work.steps
        if step.calls and step.calls[0].tool == "Write"
    }
