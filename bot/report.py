"""The report that ends a build: for people, and the same as data (CONTRACT.md §1, §3).

Money is a decimal string in USD, times are UTC and end in `Z`. A task's id is its number; ids
of phases, features and approvals are the service's own. `usage.by_task` is keyed by the task's
number, `by_phase` and `by_feature` by their ids, `by_day` by the UTC date. `path` is relative
to the home, so that a report says nothing of the host it was made on.
"""

import json
from typing import TypedDict

from bot.report_page import page
from core.domain import shapes
from core.domain.money import Exhausted
from core.domain.reasons import waiting
from core.domain.redaction import Redaction
from core.domain.report import (
    ApprovalLine,
    EvidenceLine,
    FeatureLine,
    ModelUsage,
    PhaseLine,
    Report,
    Spent,
    TaskLine,
    reason,
)
from core.domain.shapes import (
    ApprovalData,
    EvidenceData,
    FeatureData,
    PhaseData,
    ProjectData,
    SpentData,
    TaskData,
    UsageData,
    WaitingData,
)
from core.ports.host import BoxLevel

PAGE = ".autocoder/report.md"
DATA = ".autocoder/report.json"


class ReportData(TypedDict):
    project: ProjectData
    phases: list[PhaseData]
    features: list[FeatureData]
    tasks: list[TaskData]
    approvals: list[ApprovalData]
    usage: UsageData


def render(report: Report, box: BoxLevel = BoxLevel.FULL) -> dict[str, bytes]:
    """Paths in the repository and their content: the page and the data."""
    # A lone surrogate, which a model may name and UTF-8 cannot carry, becomes its escape.
    text = Redaction()(json.dumps(data(report), ensure_ascii=False, indent=2)) + "\n"
    return {
        PAGE: page(report, box).encode("utf-8", "backslashreplace"),
        DATA: text.encode("utf-8", "backslashreplace"),
    }


def data(report: Report) -> ReportData:
    return {
        "project": _project(report),
        "phases": [_phase(phase) for phase in report.phases],
        "features": [_feature(feature) for feature in report.features],
        "tasks": [_task(report, task) for task in report.tasks],
        "approvals": [_approval(approval) for approval in report.approvals],
        "usage": _usage(report),
    }


def _project(report: Report) -> ProjectData:
    counts, phase = report.counts, report.open_phase
    estimate = report.plan.estimate if report.plan else None
    return {
        "id": report.id,
        "name": report.name,
        "slug": report.slug,
        "status": report.status.value,
        "channels": [],
        "path": f"projects/{report.slug}",
        "phase_id": phase.id if phase else None,
        "mode": "standard",
        "tasks": {
            "total": counts.total,
            "pending": counts.pending,
            "in_progress": counts.in_progress,
            "passing": counts.passing,
            "stuck": counts.stuck,
            "skipped": counts.skipped,
        },
        "agents": len(report.runs),
        "cost_usd": shapes.usd(report.usage.cost_usd),
        "budget": shapes.usd(report.budget_usd),
        "estimate": {
            "cost_usd": [shapes.usd(amount) for amount in estimate.cost_usd],
            "minutes": list(estimate.minutes),
        }
        if estimate
        else None,
        "waiting": _waiting(report),
        "settings": {},
        "created_at": shapes.utc(report.created_at),
        "completed_at": shapes.utc(report.completed_at) if report.completed_at else None,
        "practice": report.practice,
    }


def _waiting(report: Report) -> WaitingData | None:
    found = waiting(
        report.status,
        report.blocked_reason,
        blocked_on=report.blocked_on,
        exhausted=Exhausted(f"The budget of ${report.budget_usd:.2f} is spent.", None)
        if report.usage.assumed_usd >= report.budget_usd
        else None,
        window_until=report.window_until,
    )
    if found is None:
        return None
    return {
        "reason": found.reason.value,
        "until": shapes.maybe_utc(found.until),
        "text": found.text,
    }


def _phase(phase: PhaseLine) -> PhaseData:
    return {
        "id": phase.id,
        "position": phase.position,
        "name": phase.name,
        "description": phase.description,
        "status": phase.status.value,
    }


def _feature(feature: FeatureLine) -> FeatureData:
    return {
        "id": feature.id,
        "phase_id": feature.phase_id,
        "name": feature.name,
        "slug": feature.slug,
        "description": feature.description,
        "spec": feature.spec,
        "status": feature.status.value,
        "priority": feature.priority,
        "branch": feature.branch,
        "agent": feature.agent,
        "depends_on": list(feature.depends_on),
        "landed_commit": feature.landed_commit,
    }


def _task(report: Report, task: TaskLine) -> TaskData:
    return {
        "id": task.number,
        "feature_id": task.feature_id,
        "name": task.name,
        "category": task.category,
        "description": task.description,
        "steps": list(task.steps),
        "complexity": task.complexity,
        "checks": list(task.checks),
        "depends_on": list(task.depends_on),
        "files": list(task.files),
        "priority": task.priority,
        "status": task.status.value,
        "attempts": task.attempts,
        "last_error": task.last_error,
        "recovery_notes": task.recovery_notes,
        "reason": reason(report, task),
        "evidence": [_evidence(evidence) for evidence in task.evidence],
    }


def _evidence(evidence: EvidenceLine) -> EvidenceData:
    return {
        "id": evidence.id,
        "accepted": evidence.accepted,
        "verdict": evidence.verdict.value,
        "run_id": evidence.run_id,
        "commit": evidence.commit,
        "at": shapes.utc(evidence.at),
        "own_tests": list(evidence.own_tests),
        "checks": [
            {
                "command": check.command,
                "exit_code": check.exit_code,
                "output": check.output,
                "seconds": round(check.seconds, 3),
            }
            for check in evidence.checks
        ],
    }


def _approval(approval: ApprovalLine) -> ApprovalData:
    return {
        "id": approval.id,
        "kind": approval.kind.value,
        "subject_id": approval.subject_id,
        "status": approval.status.value,
        "opened_at": shapes.utc(approval.opened_at),
        "decided_at": shapes.utc(approval.decided_at) if approval.decided_at else None,
        "decided_by": approval.decided_by,
        "reason": approval.reason,
    }


def _usage(report: Report) -> UsageData:
    usage = report.usage
    return {
        "project": report.name,
        "messages": usage.messages,
        "tokens": shapes.tokens(usage.tokens),
        "cost_usd": shapes.usd(usage.cost_usd),
        "unpriced_messages": usage.unpriced_messages,
        "by_model": {line.model: _spent(line) for line in usage.by_model},
        "by_kind": _parts(usage.by_kind),
        "by_phase": _parts(usage.by_phase),
        "by_feature": _parts(usage.by_feature),
        "by_task": _parts(usage.by_task),
        "by_day": _parts(usage.by_day),
    }


def _parts(parts: dict[str, Spent]) -> dict[str, SpentData]:
    return {key: _spent(spent) for key, spent in parts.items()}


def _spent(spent: Spent | ModelUsage) -> SpentData:
    return {
        "messages": spent.messages,
        "tokens": shapes.tokens(spent.tokens),
        "cost_usd": shapes.usd(spent.cost_usd),
    }
