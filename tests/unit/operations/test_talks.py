"""Interviews and additions on a real database: names, answers, kills, plans of what is new."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from core.domain.agents import AgentKind, RunOutcome
from core.domain.failure import EndedHow, RunEnd
from core.domain.lifecycle import (
    ApprovalStatus,
    Cause,
    FeatureStatus,
    InterviewKind,
    InterviewStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    move,
)
from core.domain.money import MessageUsage, Price, Tokens
from core.domain.order import StartRun
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.domain.rules import Models, Rules
from core.errors import BadName, InputError, StalePress, StateError
from core.operations import (
    additions,
    approvals,
    interviews,
    planners,
    plans,
    projects,
    questions,
    runs,
    specs,
    spending,
)
from core.operations.runs import RunRef
from core.orchestrator import briefing
from core.ports.chat import Attachment, Place
from core.store.chat_tables import Interview, OutboxItem
from core.store.tables import Approval, Feature, Phase, Project, Question, Run, Table, Task

NOW = datetime(2027, 3, 10, 12, tzinfo=UTC)
MAIN = Place("web", "main")
RULES = Rules(models=Models(chain=("sonnet",)))
ENDED = RunEnd(RunOutcome.FINISHED, EndedHow.AGENT, "done")
KILLED = RunEnd(RunOutcome.INTERRUPTED, EndedHow.SERVICE, "killed")


@pytest.fixture
def tx() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Table.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


class Talk:
    """One interview, run by run."""

    def __init__(self, tx: Session, interview_id: int) -> None:
        self.tx = tx
        self.id = interview_id
        self.serial = 0

    @property
    def row(self) -> Interview:
        return self.tx.get_one(Interview, self.id)

    def status(self) -> InterviewStatus:
        return self.row.status

    def begin(self, kind: AgentKind = AgentKind.INTERVIEWER) -> RunRef:
        last = interviews.last_run(self.tx, self.id) if kind is AgentKind.INTERVIEWER else None
        order = StartRun(kind, "sonnet", "test", resumes=last, interview_id=self.id)
        run = runs.begin(
            self.tx, self.row.project_id, order, session_id=UUID(int=1), boot_id="1", host="h",
            now=NOW,
        )  # fmt: skip
        assert run is not None
        return self._at_work(run)

    def _at_work(self, run: RunRef) -> RunRef:
        runs.register_process(self.tx, run.id, run.kind, run.model, "w", now=NOW)
        return run

    def go_on(self, run: RunRef) -> RunRef:
        taken = runs.take_up(
            self.tx, run.id, session_id=UUID(int=2), boot_id="1", host="h", now=NOW
        )
        assert taken is not None
        return self._at_work(taken)

    def prompt(self, run: RunRef) -> str:
        return briefing.for_interviewer(
            interviews.load_session(self.tx, run.id), resumed=run.takes_over
        )

    def spend(self, run: RunRef) -> None:
        """The model answered this run."""
        self.serial += 1
        process = runs.register_process(self.tx, run.id, run.kind, "sonnet", "w", now=NOW)
        tokens = Tokens(input=1, output=1)
        usage = MessageUsage(f"m{self.serial}", "claude-sonnet-5", "sonnet", tokens)
        spending.book(
            self.tx, process, f"p-{process}", usage,
            lambda _: Price(Decimal("0.01"), Decimal("0.01")), RULES, now=NOW,
        )  # fmt: skip

    def ask(self, run: RunRef, text: str) -> int:
        self.spend(run)
        return questions.ask(self.tx, run.id, text, ("A", "B"), False, now=NOW)

    def say(self, question: int, text: str) -> None:
        questions.answer(self.tx, question, text, by="web:ann", now=NOW)

    def end(self, run: RunRef, how: RunEnd = ENDED) -> None:
        runs.end(self.tx, run.id, how, RULES, now=NOW)


def new(tx: Session, name: str = "Todo", place: Place = MAIN) -> interviews.Begun:
    return interviews.begin(
        tx, name, place, by="web:ann", practice=True, budget=Decimal(5), now=NOW
    )


@pytest.fixture
def talk(tx: Session) -> Talk:
    new(tx)
    return Talk(tx, tx.scalars(select(Interview.id)).one())


def test_a_lost_transcript_is_another_session_that_is_told_everything(talk: Talk) -> None:
    first = talk.begin()
    question = talk.ask(first, "Who is it for?")
    talk.end(first)
    talk.say(question, "Cooks")
    second = talk.go_on(first)
    assert interviews.load_session(talk.tx, second.id).begun
    runs.fresh_start(talk.tx, second.id, UUID(int=77))
    talk.spend(second)
    talk.end(second, KILLED)
    third = talk.begin()
    assert third.session_id == str(UUID(int=77))
    prompt = talk.prompt(third)
    assert "You asked some questions already; go on after them." in prompt
    assert "You asked: Who is it for?\nAnswer: Cooks" in prompt


def test_a_name_is_begun_once(tx: Session) -> None:
    first = new(tx)
    thread = Place("web", "main", "17")
    again = new(tx, " 'TODO' ", thread)
    assert (first.new, again.new) == (True, False)
    assert (again.id, again.card_key) == (first.id, "interview:todo")
    assert [row.key for row in tx.scalars(select(OutboxItem))] == ["interview:todo"]
    with pytest.raises(InputError, match=r"exists already, in web:main"):
        new(tx, "todo", Place("web", "other"))
    with pytest.raises(BadName):
        new(tx, "../etc")
    assert len(tx.scalars(select(Project)).all()) == 1


def test_answers_are_heard_verbatim(talk: Talk) -> None:
    first = talk.begin()
    assert "Its name is: Todo" in talk.prompt(first)
    question = talk.ask(first, "What?")
    assert runs.park(talk.tx, first.id, now=NOW)
    talk.say(question, "it's «so»\n\n  indented")
    second = talk.go_on(first)
    assert talk.prompt(second) == "it's «so»\n\n  indented"
    row = talk.tx.get_one(Question, question)
    assert (row.number, row.interview_id) == (1, talk.id)
    with pytest.raises(StalePress):
        talk.say(question, "later")


def test_places_become_labels(talk: Talk) -> None:
    question = talk.ask(talk.begin(), "Which?")
    for places in ((), (2,), (-1,)):
        with pytest.raises(InputError):
            questions.choose(talk.tx, question, places, by="web:ann", now=NOW)
    questions.choose(talk.tx, question, (1, 0, 1), by="web:ann", now=NOW)
    assert talk.tx.get_one(Question, question).answer == "B, A"


@pytest.mark.parametrize("text", [" \n", "a\0b", "\ud800"])
def test_what_is_no_answer_leaves_the_question_open(talk: Talk, text: str) -> None:
    question = talk.ask(talk.begin(), "What?")
    with pytest.raises(InputError):
        talk.say(question, text)
    assert talk.tx.get_one(Question, question).answer is None


def test_killed_after_asking(talk: Talk) -> None:
    """The session may lack the question, so it comes with the answer."""
    first = talk.begin()
    talk.prompt(first)
    one = talk.ask(first, "One?")
    runs.park(talk.tx, first.id, now=NOW)
    talk.say(one, "1")
    second = talk.go_on(first)
    two = talk.ask(second, "Two?")
    talk.end(second, KILLED)
    assert talk.tx.get_one(Run, second.id).status is RunStatus.WAITING
    talk.say(two, "2")
    third = talk.go_on(second)
    told = talk.prompt(third)
    assert told.startswith(briefing.INTERVIEWER_GO_ON)
    assert told.endswith("You asked: One?\nAnswer: 1\n\nYou asked: Two?\nAnswer: 2")


def test_killed_before_the_model_heard_the_answer(talk: Talk) -> None:
    first = talk.begin()
    question = talk.ask(first, "One?")
    runs.park(talk.tx, first.id, now=NOW)
    talk.say(question, "verbatim")
    second = talk.go_on(first)
    assert talk.prompt(second) == "verbatim"
    talk.end(second, KILLED)
    assert talk.prompt(talk.begin()) == "verbatim"


def test_killed_before_anything_was_said(talk: Talk) -> None:
    first = talk.begin()
    begins = talk.prompt(first)
    talk.end(first, KILLED)
    assert talk.prompt(talk.begin()) == begins


def test_a_changed_answer_reaches_the_agent_now_or_with_its_next_message(talk: Talk) -> None:
    first = talk.begin()
    one = talk.ask(first, "One?")
    runs.park(talk.tx, first.id, now=NOW)
    with pytest.raises(StateError):
        interviews.change_answer(talk.tx, one, "x", by="web:bob", now=NOW)
    talk.say(one, "1")
    second = talk.go_on(first)
    two = talk.ask(second, "Two?")
    runs.park(talk.tx, second.id, now=NOW)
    interviews.change_answer(talk.tx, one, "uno", by="web:bob", now=NOW)
    third = talk.go_on(second)
    assert "You asked: One?\nAnswer: uno" in talk.prompt(third)
    assert talk.tx.get_one(Question, two).answered_by == "web:bob"
    interviews.change_answer(talk.tx, one, "eins", by="web:bob", now=NOW)
    talk.spend(third)
    talk.end(third)
    assert talk.status() is InterviewStatus.ASKING, "it was not told yet"
    assert "Answer: eins" in talk.prompt(talk.begin())


def test_material_is_named_until_it_was_heard_of(talk: Talk) -> None:
    first = talk.begin()
    files = (Attachment("id1", "../a b.png", 9), Attachment("id2", "…", 1))
    named = interviews.add_material(talk.tx, talk.row.project_id, files)
    assert named == ("material/1-a-b.png", "material/2-file")
    assert interviews.add_material(talk.tx, talk.row.project_id, files) == ()
    assert "material/1-a-b.png" in talk.prompt(first)
    talk.end(first, KILLED)
    second = talk.begin()
    assert "material/1-a-b.png" in talk.prompt(second)
    question = talk.ask(second, "One?")
    runs.park(talk.tx, second.id, now=NOW)
    talk.say(question, "1")
    assert talk.prompt(talk.go_on(second)) == "1"


def test_sent_back_three_times_then_a_person_is_needed(talk: Talk) -> None:
    for _ in range(specs.SEND_BACKS + 1):
        run = talk.begin()
        talk.prompt(run)
        talk.end(run)
        assert talk.status() is InterviewStatus.CHECKING
        specs.send_back(talk.tx, talk.id, ["app_spec.txt: it is not there."], now=NOW)
        assert talk.status() is InterviewStatus.ASKING
    project = talk.tx.get_one(Project, talk.row.project_id)
    assert project.status is ProjectStatus.BLOCKED
    assert "not there" in (project.blocked_reason or "")
    projects.resume(talk.tx, project.id, actor="web:ann", now=NOW)
    talk.tx.refresh(talk.row)
    assert (project.status, talk.row.failures) == (ProjectStatus.INTERVIEWING, 0)
    assert "not there" in talk.prompt(talk.begin())


def test_accidents_are_free_for_a_while_and_faults_are_not(talk: Talk) -> None:
    accident = RunEnd(RunOutcome.FAILED, EndedHow.ACCIDENT, "502")
    for _ in range(3):
        talk.end(talk.begin(), accident)
    assert (talk.row.failures, talk.row.restarts) == (0, 3)
    fault = RunEnd(RunOutcome.FAILED, EndedHow.AGENT, "turns used up")
    for _ in range(3):
        talk.end(talk.begin(), fault)
    project = talk.tx.get_one(Project, talk.row.project_id)
    assert project.status is ProjectStatus.BLOCKED
    assert "turns used up" in (project.blocked_reason or "")


def small(name: str, *, setup: tuple[str, ...] = (), tasks: int = 1) -> Plan:
    made = tuple(PlannedTask(f"{name} {n}", checks=("true",)) for n in range(tasks))
    feature = PlannedFeature(name=f"Feature {name}", tasks=made)
    return Plan(phases=(PlannedPhase(name=f"Phase {name}", features=(feature,)),), setup=setup)


@pytest.fixture
def built(talk: Talk) -> Talk:
    """A project with an approved plan of one phase."""
    run = talk.begin()
    talk.end(run)
    specs.spec_written(talk.tx, talk.id, "c0", "digest", excerpt="", now=NOW)
    planner = runs.begin(
        talk.tx, talk.row.project_id, StartRun(AgentKind.PLANNER, "opus", "plan"),
        session_id=UUID(int=3), boot_id="1", host="h", now=NOW,
    )  # fmt: skip
    assert planner is not None
    submitted = additions.submit(
        talk.tx, planner.id, small("One"), {}, main="c0", max_attempts=5, now=NOW
    )
    assert submitted.accepted
    approve(talk.tx)
    return talk


def approve(tx: Session) -> None:
    opened = tx.scalars(select(Approval).where(Approval.status == ApprovalStatus.OPEN)).one()
    approvals.approve(tx, opened.id, by="web:ann", main="c1", max_attempts=5, now=NOW)


def complete(built: Talk) -> Project:
    """As if all were built and approved."""
    for feature in built.tx.scalars(select(Feature)):
        move(feature, FeatureStatus.COMPLETED, by=Cause.SERVICE)
    phase = built.tx.scalars(select(Phase)).one()
    move(phase, PhaseStatus.AWAITING_APPROVAL, by=Cause.SERVICE)
    move(phase, PhaseStatus.COMPLETED, by=Cause.PERSON)
    projects.complete(built.tx, phase.project_id, "r", now=NOW)
    return built.tx.get_one(Project, phase.project_id)


def add(built: Talk, kind: InterviewKind, text: str = "More") -> Talk:
    added = additions.begin(built.tx, built.row.project_id, kind, text, by="web:ann", now=NOW)
    return Talk(built.tx, added.id)


def submit(added: Talk, plan: Plan) -> tuple[str, ...]:
    planner = added.begin(AgentKind.PLANNER)
    problems = additions.submit(
        added.tx, planner.id, plan, {}, main="c2", max_attempts=5, now=NOW
    ).problems
    added.end(planner)
    return problems


def test_nothing_is_added_before_there_is_a_plan(talk: Talk) -> None:
    for kind in (InterviewKind.FEATURE, InterviewKind.JOB):
        with pytest.raises(StateError, match="interviewing"):
            add(talk, kind)


def test_a_job_is_one_task_without_a_decision(built: Talk) -> None:
    project = complete(built)
    job = add(built, InterviewKind.JOB)
    assert job.status() is InterviewStatus.PLANNING
    assert submit(job, small("Job", tasks=2)) == ("A job is one feature with one task.",)
    assert "no setup" in submit(job, small("Job", setup=("npm ci",)))[0]
    assert submit(job, small("Job")) == ()
    assert job.status() is InterviewStatus.DONE
    assert (project.status, project.completed_at) == (ProjectStatus.RUNNING, None)
    phases = built.tx.scalars(select(Phase).order_by(Phase.position)).all()
    assert [phase.status for phase in phases] == [PhaseStatus.COMPLETED, PhaseStatus.IN_PROGRESS]
    assert phases[1].base_commit == "c2"


def test_a_feature_goes_to_the_phase_at_work_once_approved(built: Talk) -> None:
    feature = add(built, InterviewKind.FEATURE)
    feature.end(feature.begin())
    specs.spec_written(built.tx, feature.id, "c2", "other", excerpt="", now=NOW)
    assert submit(feature, small("One")) != (), "names must be new"
    assert submit(feature, small("Two", setup=("npm ci",))) == ()
    assert feature.status() is InterviewStatus.AWAITING_APPROVAL
    assert [task.name for task in built.tx.scalars(select(Task))] == ["One 0"]
    project = built.tx.get_one(Project, built.row.project_id)
    assert project.status is ProjectStatus.RUNNING, "it goes on beside the decision"
    job = add(built, InterviewKind.JOB)
    assert "exists already" in submit(job, small("Two"))[0], "these names are spoken for"
    approve(built.tx)
    assert feature.status() is InterviewStatus.DONE
    assert [(t.number, t.name) for t in built.tx.scalars(select(Task))] == [
        (1, "One 0"),
        (2, "Two 0"),
    ]
    assert len(built.tx.scalars(select(Phase)).all()) == 1
    assert project.setup == ["npm ci"]


def test_the_text_a_project_began_with_still_finds_it_after_an_addition(built: Talk) -> None:
    project = built.tx.get_one(Project, built.row.project_id)
    feature = add(built, InterviewKind.FEATURE)
    feature.end(feature.begin())
    specs.spec_written(built.tx, feature.id, "c2", "other", excerpt="", now=NOW)

    def again(digest: str) -> int:
        return projects.create(
            built.tx, name=project.name, spec_digest=digest, practice=project.practice,
            budget=Decimal(1), actor="web:local", now=NOW,
        ).id  # fmt: skip

    assert again("digest") == project.id
    with pytest.raises(InputError, match="with another spec"):
        again("other")


def test_a_gate_that_is_open_is_not_added_to(built: Talk) -> None:
    for feature in built.tx.scalars(select(Feature)):
        move(feature, FeatureStatus.COMPLETED, by=Cause.SERVICE)
    phase = built.tx.scalars(select(Phase)).one()
    approvals.open_gate(built.tx, phase.id, "c9", (), now=NOW)
    assert phase.status is PhaseStatus.AWAITING_APPROVAL
    assert submit(add(built, InterviewKind.JOB), small("Job")) == ()
    phases = built.tx.scalars(select(Phase).order_by(Phase.position)).all()
    assert [p.status for p in phases] == [PhaseStatus.AWAITING_APPROVAL, PhaseStatus.PENDING]


def test_no_gate_opens_over_what_was_added_while_it_was_proved(built: Talk) -> None:
    for feature in built.tx.scalars(select(Feature)):
        move(feature, FeatureStatus.COMPLETED, by=Cause.SERVICE)
    phase = built.tx.scalars(select(Phase)).one()
    assert submit(add(built, InterviewKind.JOB), small("Job")) == ()
    approvals.open_gate(built.tx, phase.id, "c9", (), now=NOW)
    assert phase.status is PhaseStatus.IN_PROGRESS


def test_a_rejected_addition_is_planned_anew_and_may_be_withdrawn(built: Talk) -> None:
    task = add(built, InterviewKind.TASK)
    assert submit(task, small("Two")) == ()
    opened = plans.open_approval
    approval = built.tx.scalars(
        select(Approval).where(Approval.status == ApprovalStatus.OPEN)
    ).one()
    approvals.reject(built.tx, approval.id, "smaller", by="web:ann", now=NOW)
    project = built.tx.get_one(Project, built.row.project_id)
    assert (task.status(), project.status) == (InterviewStatus.PLANNING, ProjectStatus.RUNNING)
    requested = additions.requested(built.tx, task.id)
    told = briefing.for_addition(requested, "")
    assert "smaller" in told
    assert '"Two 0"' in told
    assert submit(task, small("Three")) == ()
    additions.withdraw(built.tx, task.id, by="web:ann", now=NOW)
    assert opened(built.tx, project.id, approval.kind) is None
    assert [t.name for t in built.tx.scalars(select(Task))] == ["One 0"]


@pytest.mark.parametrize("parked", [True, False])
def test_nobody_waits_for_what_a_withdrawn_addition_asked(built: Talk, parked: bool) -> None:
    """Its interviewer waits for the answer already, or is about to end its turn."""
    added = add(built, InterviewKind.FEATURE)
    run = added.begin()
    question = added.ask(run, "What?")
    if parked:
        assert runs.park(built.tx, run.id, now=NOW)
    additions.withdraw(built.tx, added.id, by="web:ann", now=NOW)
    if not parked:
        with pytest.raises(StateError, match="Nobody wants this any more"):
            added.ask(run, "And what else?")
        added.end(run)
    assert built.tx.get_one(Run, run.id).status is RunStatus.ENDED
    with pytest.raises(StalePress, match="withdrawn: it is not wanted any more at "):
        added.say(question, "late")
    assert added.status() is InterviewStatus.WITHDRAWN


def test_a_planner_in_vain_blocks_its_addition_alone(built: Talk) -> None:
    task = add(built, InterviewKind.TASK)
    for _ in range(3):
        planner = task.begin(AgentKind.PLANNER)
        planners.plan_refused(task.tx, planner.id, ["Task 'a' has no check."], now=NOW)
        task.end(planner)
    assert task.status() is InterviewStatus.BLOCKED
    told = (task.row.blocked_reason or "").splitlines()
    assert told[0].startswith("The planner ended 3 times in vain")
    assert told[1:] == ["The last plan was refused:", "- Task 'a' has no check."]
    assert built.tx.get_one(Project, built.row.project_id).status is ProjectStatus.RUNNING
    specs.resume(built.tx, task.id, by="web:ann", now=NOW)
    assert (task.status(), task.row.failures) == (InterviewStatus.PLANNING, 0)
