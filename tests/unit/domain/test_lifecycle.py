"""Statuses move along the table and nowhere else."""

from dataclasses import dataclass
from enum import StrEnum
from itertools import product

import pytest

from core.domain.lifecycle import (
    TRANSITIONS,
    ApprovalStatus,
    Cause,
    FeatureStatus,
    InquiryStatus,
    InterviewStatus,
    PhaseStatus,
    ProjectStatus,
    RunStatus,
    TaskStatus,
    may_move,
    move,
)
from core.errors import ForbiddenTransition

# Where a thing of each kind begins.
BEGINS: dict[type[StrEnum], tuple[StrEnum, ...]] = {
    ProjectStatus: (ProjectStatus.INTERVIEWING,),
    PhaseStatus: (PhaseStatus.PENDING,),
    FeatureStatus: (FeatureStatus.PENDING,),
    TaskStatus: (TaskStatus.PENDING,),
    RunStatus: (RunStatus.QUEUED,),
    InterviewStatus: (InterviewStatus.ASKING, InterviewStatus.PLANNING),
    InquiryStatus: (InquiryStatus.OPEN,),
    ApprovalStatus: (ApprovalStatus.OPEN,),
}
ENDS: dict[type[StrEnum], set[StrEnum]] = {
    ProjectStatus: {ProjectStatus.ARCHIVED},
    PhaseStatus: {PhaseStatus.COMPLETED},
    FeatureStatus: {FeatureStatus.COMPLETED},
    TaskStatus: {TaskStatus.PASSING},
    RunStatus: {RunStatus.ENDED},
    InterviewStatus: {InterviewStatus.DONE, InterviewStatus.WITHDRAWN},
    InquiryStatus: {InquiryStatus.ANSWERED, InquiryStatus.GIVEN_UP},
    ApprovalStatus: {s for s in ApprovalStatus if s is not ApprovalStatus.OPEN},
}
KINDS = list(TRANSITIONS)


@dataclass
class Thing:
    status: StrEnum


@pytest.mark.parametrize("kind", KINDS)
def test_only_moves_of_the_table_happen(kind: type[StrEnum]) -> None:
    table = TRANSITIONS[kind]
    for before, after, cause in product(kind, kind, Cause):
        thing = Thing(before)
        if cause in table[before].get(after, frozenset()):
            move(thing, after, by=cause)
            assert thing.status is after
        else:
            with pytest.raises(ForbiddenTransition):
                move(thing, after, by=cause)
            assert thing.status is before


@pytest.mark.parametrize("kind", KINDS)
def test_every_status_has_a_row_and_can_be_reached(kind: type[StrEnum]) -> None:
    table = TRANSITIONS[kind]
    assert set(table) == set(kind)
    reached, frontier = set(BEGINS[kind]), list(BEGINS[kind])
    while frontier:
        for after in table[frontier.pop()]:
            if after not in reached:
                reached.add(after)
                frontier.append(after)
    assert reached == set(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_ends_are_final_and_can_be_reached_from_everywhere(kind: type[StrEnum]) -> None:
    table = TRANSITIONS[kind]
    assert {status for status in kind if not table[status]} == ENDS[kind]
    for status in kind:
        reached, frontier = {status}, [status]
        while frontier:
            for after in table[frontier.pop()]:
                if after not in reached:
                    reached.add(after)
                    frontier.append(after)
        assert reached & ENDS[kind]


def test_a_refusal_names_the_move() -> None:
    with pytest.raises(ForbiddenTransition, match="thing cannot go from passing to pending"):
        move(Thing(TaskStatus.PASSING), TaskStatus.PENDING, by=Cause.PERSON)


def test_agents_neither_pass_nor_approve_nor_complete() -> None:
    assert not any(may_move(s, TaskStatus.PASSING, Cause.AGENT) for s in TaskStatus)
    for decided in (ApprovalStatus.APPROVED, ApprovalStatus.REJECTED):
        assert not may_move(ApprovalStatus.OPEN, decided, Cause.AGENT)
        assert not may_move(ApprovalStatus.OPEN, decided, Cause.SERVICE)
    assert not any(may_move(s, PhaseStatus.COMPLETED, Cause.AGENT) for s in PhaseStatus)
    assert not any(may_move(s, PhaseStatus.COMPLETED, Cause.SERVICE) for s in PhaseStatus)
    assert not any(may_move(s, FeatureStatus.COMPLETED, Cause.AGENT) for s in FeatureStatus)
