"""Specs: what an interviewer's runs leave, looked at, sent back, or put on `main`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from core.domain import failure
from core.domain.agents import AgentKind, RunOutcome
from core.domain.events import Event, Level
from core.domain.failure import EndedHow, RunEnd
from core.domain.lifecycle import (
    Cause,
    InterviewKind,
    InterviewStatus,
    ProjectStatus,
    may_move,
    move,
)
from core.domain.rules import Rules
from core.operations import interviews, journal, planners, plans, projects
from core.store.chat_tables import Interview
from core.store.tables import Project, Run

SEND_BACKS = 3  # and as many failures of the agent's own; then a person is needed
EXCERPT = 20_000  # characters of a spec that its journal entry keeps for the card


def run_ended(tx: Session, run: Run, ended: RunEnd, rules: Rules, *, now: datetime) -> None:
    """A run of an interview, or an addition's planner, ended without an open question."""
    interview = interviews.of(tx, run)
    wanted = InterviewStatus.PLANNING if run.kind is AgentKind.PLANNER else InterviewStatus.ASKING
    if interview.status is not wanted:
        return
    if ended.how is EndedHow.CREDENTIALS:
        block(tx, interview.id, ended.words, now=now)
        return
    done = ended.how is EndedHow.AGENT and ended.outcome is RunOutcome.FINISHED
    if run.kind is AgentKind.INTERVIEWER and done:
        if all(interviews.heard(tx, note["run"]) for note in interview.notes):
            move(interview, InterviewStatus.CHECKING, by=Cause.SERVICE)
            return
        if interviews.heard(tx, run.id):
            return  # something was said while it worked
    settled = failure.settle(ended.how, rules.agents, restarts=interview.restarts)
    interview.restarts = settled.restarts
    interview.not_before = now + settled.wait if settled.wait else None
    if not settled.attempt:
        return
    interview.failures += 1
    if interview.failures >= SEND_BACKS:
        said = f"The {run.kind!s} ended {SEND_BACKS} times in vain: {ended.words}"[:2000]
        if run.kind is AgentKind.PLANNER:
            said += planners.refusal(tx, run.project_id, interview.id)
        block(tx, interview.id, said, now=now)


def send_back(tx: Session, interview_id: int, problems: Sequence[str], *, now: datetime) -> None:
    """The files do not do: the interviewer is told what is wrong; three times, then a person."""
    interview = tx.get_one(Interview, interview_id)
    if interview.status is not InterviewStatus.CHECKING:
        return
    move(interview, InterviewStatus.ASKING, by=Cause.SERVICE)
    wrong = "; ".join(problems)
    interviews.tell(
        tx,
        interview_id,
        f"You ended your turn without a question, and the spec does not do yet: {wrong}\n\n"
        "Mend that with the Write tool, or ask with ask_person what you still need to know.",
    )
    journal.record(
        tx, Event.INTERVIEW_SENT_BACK, wrong[:500], now=now, level=Level.WARNING,
        project=tx.get_one(Project, interview.project_id), data={"interview": interview_id},
    )  # fmt: skip
    interview.failures += 1
    if interview.failures > SEND_BACKS:
        words = f"The interviewer was sent back {SEND_BACKS} times, and still: {wrong}"
        block(tx, interview_id, words[:2000], now=now)


def merge_wanted(tx: Session, interview_id: int, main: str, path: str) -> None:
    """The spec on `main` changed meanwhile: the interviewer brings both together."""
    interview = tx.get_one(Interview, interview_id)
    move(interview, InterviewStatus.ASKING, by=Cause.SERVICE)
    interview.base_commit = main
    interviews.tell(
        tx,
        interview_id,
        f"The spec of the project changed while you wrote. As it is now it lies in `{path}`."
        " Write `.autocoder/prompts/app_spec.txt` again so that it says all of that and what is"
        " new here.",
    )


def block(tx: Session, interview_id: int, reason: str, *, now: datetime) -> None:
    """Nothing more happens until a person goes on with it.

    A new project is blocked as a whole, an addition by itself.
    """
    interview = tx.get_one(Interview, interview_id)
    if interview.kind is InterviewKind.PROJECT:
        if interview.status is InterviewStatus.CHECKING:
            move(interview, InterviewStatus.ASKING, by=Cause.SERVICE)
        projects.block(tx, interview.project_id, reason, now=now)
        return
    if not may_move(interview.status, InterviewStatus.BLOCKED, Cause.SERVICE):
        return  # it is over, or waits for a decision
    move(interview, InterviewStatus.BLOCKED, by=Cause.SERVICE)
    interview.blocked_reason = reason
    journal.record(
        tx, Event.INTERVIEW_BLOCKED, reason, now=now, level=Level.ERROR,
        project=tx.get_one(Project, interview.project_id), data={"interview": interview_id},
    )  # fmt: skip


def resume(tx: Session, interview_id: int, *, by: str, now: datetime) -> None:
    """A person lets a blocked addition go on."""
    interview = tx.get_one(Interview, interview_id)
    planned = interview.spec_commit or interview.kind in (InterviewKind.TASK, InterviewKind.JOB)
    move(
        interview,
        InterviewStatus.PLANNING if planned else InterviewStatus.ASKING,
        by=Cause.PERSON,
    )
    interview.blocked_reason = None
    interview.failures = interview.restarts = 0
    interview.not_before = None
    journal.record(
        tx, Event.INTERVIEW_BEGUN, "It goes on.", now=now, actor=by,
        project=tx.get_one(Project, interview.project_id), data={"interview": interview_id},
    )  # fmt: skip


@dataclass(frozen=True)
class Draft:
    """Where an interviewer's files are."""

    kind: InterviewKind
    number: int
    slug: str
    name: str
    base_commit: str | None


def draft(tx: Session, interview_id: int) -> Draft | None:
    """The files to look at; None when nobody waits for that any more."""
    interview = tx.get_one(Interview, interview_id)
    if interview.status is not InterviewStatus.CHECKING:
        return None
    project = tx.get_one(Project, interview.project_id)
    return Draft(
        interview.kind, interview.number, project.slug, project.name, interview.base_commit
    )


def spec_written(
    tx: Session, interview_id: int, commit: str, digest: str, *, excerpt: str = "", now: datetime
) -> None:
    """Both files are on `main` at this commit; a planner is next. A card shows `excerpt`.

    The digest of a project is that of the spec it began with: what is added leaves it.
    """
    interview = tx.get_one(Interview, interview_id)
    if interview.status is not InterviewStatus.CHECKING:
        return
    project = tx.get_one(Project, interview.project_id)
    interview.spec_commit = commit
    interview.failures = interview.restarts = 0
    interview.not_before = None
    if interview.kind is InterviewKind.PROJECT:
        project.spec_digest = digest
        project.first_commit = commit
        interview.ended_at = now
        move(interview, InterviewStatus.DONE, by=Cause.SERVICE)
        move(project, ProjectStatus.PLANNING, by=Cause.SERVICE)
    elif interview.kind is InterviewKind.SPEC and not plans.is_approved(tx, project.id):
        interview.ended_at = now
        move(interview, InterviewStatus.DONE, by=Cause.SERVICE)
        plans.spec_changed(tx, project, interview.request, now=now)
    else:
        move(interview, InterviewStatus.PLANNING, by=Cause.SERVICE)
    journal.record(
        tx, Event.SPEC_WRITTEN, f"The spec is on main at {commit[:7]}.", now=now,
        project=project,
        data={"interview": interview_id, "commit": commit, "excerpt": excerpt[:EXCERPT],
              "characters": len(excerpt)},
    )  # fmt: skip
