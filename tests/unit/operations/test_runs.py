"""Runs: begun, parked, taken up, ended once; what becomes of their tasks and of their money."""

from uuid import UUID

import pytest
from sqlalchemy import func, select

from core.domain.agents import AgentKind, FailureKind, RunOutcome
from core.domain.failure import WINDOW_LIMIT, EndedHow, RunEnd
from core.domain.lifecycle import FeatureStatus, ProjectStatus, RunStatus, TaskStatus
from core.domain.order import Requeue, ResumeRun, StartRun
from core.domain.orders import next_orders
from core.errors import InputError, StalePress
from core.operations import projects, questions, runs
from core.operations.runs import RunRef
from core.store.tables import AgentProcess, JournalEntry, Project, Question, Run
from tests.unit.operations.build import DIED, GIVEN_UP, LIMITED, NOW, RULES, Site, task


def row(site: Site, run: RunRef) -> Run:
    return site.db.ask(lambda tx: tx.get_one(Run, run.id))


def events(site: Site) -> list[str]:
    return site.db.ask(lambda tx: [e.value for e in tx.scalars(select(JournalEntry.event))])


def the_start(site: Site) -> StartRun:
    (order,) = (o for o in next_orders(site.look()) if isinstance(o, StartRun))
    return order


def start(site: Site) -> RunRef:
    """Carry out the start that is ordered."""
    order = the_start(site)
    return site.begin(order.kind, **{k: v for k, v in vars(order).items() if k != "kind"})


def test_a_coder_begins_with_its_task(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    assert run.first_task is not None
    assert (run.first_task.id, run.feature_slug, run.takes_over) == (1, "a", False)
    assert row(site, run).status is RunStatus.WORKING
    assert site.task(1).status is TaskStatus.IN_PROGRESS
    assert site.feature("a").status is FeatureStatus.IN_PROGRESS
    assert next_orders(site.look()) == ()


def test_a_run_ends_once(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    site.end(run, GIVEN_UP)
    site.end(run, RunEnd(RunOutcome.FAILED, EndedHow.CREDENTIALS, "401"))
    assert row(site, run).outcome is RunOutcome.FINISHED
    assert site.task(1).attempts == 1
    assert site.db.ask(lambda tx: tx.get_one(Project, site.project).status) is ProjectStatus.RUNNING


@pytest.mark.parametrize(
    ("ended", "attempts", "resumes"),
    [
        (GIVEN_UP, 1, False),
        (RunEnd(RunOutcome.FAILED, EndedHow.AGENT, "turns", FailureKind.AGENT), 1, False),
        (RunEnd(RunOutcome.FAILED, EndedHow.AGENT, "400", FailureKind.REQUEST), 1, False),
        (RunEnd(RunOutcome.OUT_OF_BUDGET, EndedHow.AGENT, "its own budget"), 1, False),
        (DIED, 0, True),
        (LIMITED, 0, True),
        (RunEnd(RunOutcome.OUT_OF_BUDGET, EndedHow.BUDGET, "spent"), 0, True),
        (RunEnd(RunOutcome.STOPPED, EndedHow.SERVICE, "paused"), 0, True),
        (RunEnd(RunOutcome.INTERRUPTED, EndedHow.SERVICE, "stopping"), 0, True),
    ],
)
def test_only_the_agents_own_doing_is_an_attempt(
    site: Site, ended: RunEnd, attempts: int, resumes: bool
) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    site.end(run, ended)
    task_row = site.task(1)
    assert (task_row.attempts, task_row.status) == (attempts, TaskStatus.PENDING)
    assert (site.feature("a").resume_run_id == run.id) == resumes
    again = start(site)
    assert again.takes_over == resumes
    assert (again.session_id == run.session_id) == resumes
    assert site.feature("a").resume_run_id is None


def test_a_session_is_not_taken_over_by_another_model_or_task(site: Site) -> None:
    site.build({"a": (task("1"), task("2"))})
    run = start(site)
    site.end(run, DIED)
    other = site.begin(number=1, model="opus", resumes=run.id)
    assert (other.takes_over, other.leftover) == (False, True)
    site.end(other, DIED)
    task_two = site.begin(number=2, model="opus", resumes=other.id)
    assert (task_two.takes_over, task_two.leftover) == (False, True)


def test_wrong_credentials_block_the_project_until_a_person_goes_on(site: Site) -> None:
    site.build({"a": (task("1"),)})
    site.end(start(site), RunEnd(RunOutcome.FAILED, EndedHow.CREDENTIALS, "401: wrong key"))
    project = site.db.ask(lambda tx: tx.get_one(Project, site.project))
    assert (project.status, project.blocked_reason) == (ProjectStatus.BLOCKED, "401: wrong key")
    assert site.task(1).attempts == 0


def test_an_account_that_ends_run_after_run_asks_a_person(site: Site) -> None:
    site.build({"a": (task("1"),)})
    for n in range(1, 2 * WINDOW_LIMIT + 1):
        site.end(start(site), LIMITED)
        project = site.db.ask(lambda tx: tx.get_one(Project, site.project))
        assert (project.status is ProjectStatus.BLOCKED) == (n % WINDOW_LIMIT == 0)
        if project.status is ProjectStatus.BLOCKED:
            site.db.do(projects.resume, site.project, actor="p", now=NOW)
    assert site.task(1).attempts == 0


def ask(site: Site, run: RunRef, text: str = "red or blue?") -> int:
    return site.db.do(questions.ask, run.id, text, ["red", "blue"], False, now=NOW)


def answer(site: Site, question: int, text: str = "red") -> None:
    site.db.do(questions.answer, question, text, by="p", now=NOW)


def test_a_parked_run_is_taken_up_with_its_answer(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    question = ask(site, run)
    assert ask(site, run) == question, "the same question again is the same"
    assert site.db.do(runs.park, run.id, now=NOW)
    assert row(site, run).status is RunStatus.WAITING
    assert site.task(1).status is TaskStatus.IN_PROGRESS
    assert next_orders(site.look()) == ()
    answer(site, question)
    assert next_orders(site.look()) == (ResumeRun(run.id, AgentKind.CODER, run.feature_id),)
    again = take_up(site, run)
    assert again is not None
    assert again.takes_over
    assert again.answers == (("red or blue?", "red"),)
    assert again.first_task is not None
    assert (row(site, run).status, site.task(1).run_id) == (RunStatus.ENDED, again.id)
    assert site.task(1).attempts == 0
    assert take_up(site, run) is None, "taken up once"


def take_up(site: Site, run: RunRef) -> RunRef | None:
    return site.db.do(
        runs.take_up, run.id, session_id=UUID(int=1), boot_id=site.boot_id, host="h", now=NOW
    )


@pytest.mark.parametrize(
    "how", [EndedHow.SERVICE, EndedHow.ACCIDENT, EndedHow.WINDOW, EndedHow.BUDGET]
)
def test_a_run_that_died_while_it_asked_need_not_ask_again(site: Site, how: EndedHow) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    question = ask(site, run)
    site.end(run, RunEnd(RunOutcome.INTERRUPTED, how, "killed"))
    assert row(site, run).status is RunStatus.WAITING
    assert next_orders(site.look()) == ()
    answer(site, question)
    again = take_up(site, run)
    assert again is not None
    assert again.answers == (("red or blue?", "red"),)
    assert again.answer is None, "its session may lack the question"
    assert site.task(1).attempts == 0


def test_an_answer_that_comes_just_after_its_agent_died_is_not_lost(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    question = ask(site, run)
    site.end(run, DIED)
    answer(site, question)
    site.db.do(questions.take_answer, question)  # by the tool call that still waited
    assert next_orders(site.look()) == (ResumeRun(run.id, AgentKind.CODER, run.feature_id),)


def test_what_was_lost_while_it_asked_is_settled_once(site: Site) -> None:
    """The order may be given again from a look that was taken before the first had its effect."""
    site.build({"a": (task("1"),)})
    run = start(site)
    ask(site, run)
    for _ in range(2):
        site.db.do(runs.requeue, run.id, RULES, now=NOW)
        assert row(site, run).status is RunStatus.WAITING
    assert site.task(1).status is TaskStatus.IN_PROGRESS


def test_a_run_with_two_questions_waits_for_both_answers(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    one, other = ask(site, run, "one?"), ask(site, run, "other?")
    site.db.do(runs.park, run.id, now=NOW)
    answer(site, one)
    assert next_orders(site.look()) == ()
    assert take_up(site, run) is None
    answer(site, other)
    assert next_orders(site.look())


def test_answers_outlive_a_transcript_that_is_lost_and_an_agent_that_dies_of_it(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    question = ask(site, run)
    site.db.do(runs.park, run.id, now=NOW)
    answer(site, question)
    heard = take_up(site, run)
    assert heard is not None
    stopped = RunEnd(RunOutcome.INTERRUPTED, EndedHow.SERVICE, "stopping")
    site.end(heard, stopped)
    anew = start(site)
    site.db.do(runs.fresh_start, anew.id, UUID(int=77))
    site.end(anew, stopped)
    again = start(site)
    assert again.session_id == str(UUID(int=77))
    assert (again.takes_over, again.answers) == (True, (("red or blue?", "red"),))


def test_a_run_without_an_open_question_is_not_parked(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    assert not site.db.do(runs.park, run.id, now=NOW)
    question = ask(site, run)
    answer(site, question)
    assert site.db.do(questions.take_answer, question) == "red"
    assert not site.db.do(runs.park, run.id, now=NOW)


def test_a_run_that_passed_its_task_waits_for_no_answer(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    question = ask(site, run)
    site.prove(1, run)
    assert not site.db.do(runs.park, run.id, now=NOW)
    site.end(run, GIVEN_UP)
    assert [type(o).__name__ for o in next_orders(site.look())] == ["Land"]
    with pytest.raises(StalePress, match="withdrawn: the run that asked is over at 12:00"):
        answer(site, question)


def test_a_question_of_a_run_that_failed_is_withdrawn(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    question = ask(site, run)
    site.end(run, RunEnd(RunOutcome.FAILED, EndedHow.AGENT, "turns", FailureKind.AGENT))
    with pytest.raises(StalePress, match="withdrawn"):
        answer(site, question)
    assert "question_withdrawn" in events(site)
    again = start(site)
    assert (again.takes_over, again.answers) == (False, ())
    assert site.task(1).recovery_notes is None


def test_an_answer_that_a_failed_run_did_not_hear_is_for_the_next_attempt(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    answer(site, ask(site, run))
    site.end(run, RunEnd(RunOutcome.FAILED, EndedHow.AGENT, "turns", FailureKind.AGENT))
    assert site.task(1).recovery_notes == "p answers “red or blue?”: red"
    assert "question_withdrawn" not in events(site)


def test_the_first_answer_stays(site: Site) -> None:
    site.build({"a": (task("1"),)})
    question = ask(site, start(site))
    answer(site, question)
    with pytest.raises(StalePress, match="answered by p at 12:00"):
        answer(site, question, "blue")
    with pytest.raises(InputError, match="answer has words"):
        answer(site, question, " ")
    assert site.db.ask(lambda tx: tx.get_one(Question, question).answer) == "red"


@pytest.mark.parametrize(
    ("text", "options"),
    [("", []), (" ", []), ("x" * 10_001, []), ("x", ["o"] * 26), ("x", [""]), ("x", ["o" * 201])],
)
def test_a_question_that_cannot_be_shown_is_refused(
    site: Site, text: str, options: list[str]
) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    with pytest.raises(InputError):
        site.db.do(questions.ask, run.id, text, options, False, now=NOW)


@pytest.mark.parametrize("option", ["Approve", " reject ", "Raise  budget"])
def test_no_option_looks_like_a_button_that_decides(site: Site, option: str) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    with pytest.raises(InputError, match="button of autocoder's own"):
        site.db.do(questions.ask, run.id, "Which?", ["red", option], False, now=NOW)


def test_the_next_life_closes_what_the_last_left_and_goes_on(site: Site) -> None:
    site.build({"a": (task("1"),), "b": (task("2"),)})
    run = site.begin(number=1)
    parked = site.begin(number=2, slot=2)
    question = ask(site, parked)
    site.db.do(runs.park, parked.id, now=NOW)
    assert next_orders(site.look(boot_id="next")) == (Requeue(run.id),)
    site.db.do(runs.requeue, run.id, RULES, now=NOW)
    assert (site.task(1).status, site.task(1).attempts) == (TaskStatus.PENDING, 0)
    site.boot_id = "next"
    order = the_start(site)
    assert (order.task_id, order.resumes) == (site.task(1).id, run.id)
    answer(site, question)
    assert ResumeRun(parked.id, AgentKind.CODER, parked.feature_id) in next_orders(site.look())


def test_runs_that_died_elsewhere_take_no_place(site: Site) -> None:
    site.build({"a": (task("1"),)})
    site.begin(number=1)
    site.db.do(lambda tx: setattr(tx.scalars(select(Run)).all()[-1], "boot_id", "dead"))
    assert site.look().runs[-1].ours is False
    other = site.db.do(lambda tx: _another_project(tx.get_one(Project, site.project)))
    site.db.do(lambda tx: tx.add(other))
    site.project = site.db.ask(lambda tx: tx.scalars(select(func.max(Project.id))).one())
    assert site.look().agents_elsewhere == 0
    assert site.look(boot_id="dead").agents_elsewhere == 1


def _another_project(like: Project) -> Project:
    return Project(
        name="Other", slug="other", status=ProjectStatus.PLANNING, spec_digest="", practice=True,
        budget_micro_usd=like.budget_micro_usd, created_at=NOW,
    )  # fmt: skip


def test_a_process_works_for_its_run_until_the_run_ends(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    process = site.db.ask(
        lambda tx: tx.scalars(select(AgentProcess.id).where(AgentProcess.run_id == run.id)).one()
    )
    site.db.do(runs.process_started, process, 4711, 1.5)
    assert row(site, run).pid == 4711
    assert site.db.do(runs.current_run, process) == run.id
    site.end(run, GIVEN_UP)
    assert site.db.do(runs.current_run, process) is None
    again = start(site)
    site.db.do(runs.assign_process, process, again.id, "cleared")
    assert site.db.do(runs.current_run, process) == again.id
    assert (row(site, again).pid, row(site, again).session_id) == (4711, "cleared")
    site.db.do(runs.process_ended, process, now=NOW)
    assert site.db.do(runs.current_run, process) is None
    assert site.db.do(runs.current_run, 999) is None


def test_a_run_is_told_in_the_journal_from_begin_to_end(site: Site) -> None:
    site.build({"a": (task("1"),)})
    run = start(site)
    site.prove(1, run)
    site.end(run, GIVEN_UP)
    assert events(site)[-4:] == ["run_started", "task_started", "task_passed", "run_ended"]
