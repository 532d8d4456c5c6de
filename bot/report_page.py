"""The report as a page: what was built, what proves it, what it cost, what nothing proves."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import assert_never

from bot import wording
from bot.cards.words import sandbox
from bot.markdown import block, code, text
from core.domain.lifecycle import (
    ApprovalKind,
    ApprovalStatus,
    FeatureStatus,
    PhaseStatus,
    ProjectStatus,
    TaskStatus,
)
from core.domain.money import Tokens
from core.domain.proof import CheckResult, Verdict
from core.domain.report import ApprovalLine, EvidenceLine, FeatureLine, Report, TaskLine, reason
from core.ports.host import BoxLevel


def page(report: Report, box: BoxLevel) -> str:
    """GitHub-flavoured Markdown; ends with a newline. `box`: where its last agents worked."""
    parts = [
        *_head(report, box),
        *_use(report),
        *_built(report),
        *_evidence(report),
        *_decisions(report),
        *_cost(report),
        *_plainly(report),
    ]
    return "\n\n".join(parts) + "\n"


def _head(report: Report, box: BoxLevel) -> Iterator[str]:
    yield f"# {text(report.name)}"
    if report.practice:
        yield (
            "> **Practice model.** The work below was played by a scripted model, offline."
            " Nothing was paid; costs are what the same messages come to at list prices."
        )
    if box is not BoxLevel.FULL:
        yield f"> **{sandbox(box).capitalize()}.** Agents could reach more of the host than their work."
    if report.summary.strip():
        yield text(report.summary)
    counts = report.counts
    landed = sum(f.landed_commit is not None for f in report.features)
    gates = sum(p.status is PhaseStatus.COMPLETED for p in report.phases)
    facts = [
        f"**{_state(report)}**",
        f"**{counts.passing - _vouched(report)} of {counts.total}** tasks proved by their own checks",
        f"{landed} of {wording.count(len(report.features), 'feature')} landed on `main`",
        f"{gates} of {wording.count(len(report.phases), 'gate')} approved",
        f"**{wording.usd(report.usage.cost_usd)}** of {wording.usd(report.budget_usd)}"
        + (" at list prices, nothing paid" if report.practice else ""),
    ]
    yield " · ".join(facts)
    if report.completed_at:
        took = (report.completed_at - report.created_at).total_seconds()
        yield (
            f"Begun {_when(report.created_at)}, complete {_when(report.completed_at)}"
            f" ({wording.duration(took)})."
        )
    else:
        yield f"Begun {_when(report.created_at)}, unfinished."
    if report.blocked_reason:
        yield f"▲ {text(report.blocked_reason)}"


def _state(report: Report) -> str:
    match report.status:
        case ProjectStatus.COMPLETED:
            return "✓ Complete"
        case ProjectStatus.RUNNING:
            return "◐ Building"
        case ProjectStatus.PLANNING | ProjectStatus.INTERVIEWING:
            return f"◐ {report.status.value.capitalize()}"
        case ProjectStatus.AWAITING_APPROVAL:
            return "▲ The plan waits for approval"
        case ProjectStatus.BLOCKED | ProjectStatus.PAUSED | ProjectStatus.STOPPED:
            return f"■ {report.status.value.capitalize()}"
        case ProjectStatus.ARCHIVED:
            return "Archived"
        case _:
            assert_never(report.status)


def _use(report: Report) -> Iterator[str]:
    yield "## Run it"
    if report.setup:
        yield "Set up once in a fresh clone (this used the network while it was built):"
        yield block("\n".join(report.setup), "sh")
    else:
        yield "Nothing has to be set up."
    if report.run_command:
        yield "Run:"
        yield block(report.run_command, "sh")
    else:
        yield "The plan names no command that runs it."
    own = [check for task in report.tasks for check in task.checks if _passes(task)]
    checks = tuple(dict.fromkeys((*report.checks, *own)))
    yield "## Test it"
    if checks:
        yield "Every one of these exits 0 on `main`:" if _complete(report) else "The checks:"
        yield block("\n".join(checks), "sh")
    else:
        yield "There are no checks yet."


def _passes(task: TaskLine) -> bool:
    return task.status is TaskStatus.PASSING


def _complete(report: Report) -> bool:
    return report.status is ProjectStatus.COMPLETED


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(head)
    lines = [_row(names), _row("---:" if n in _RIGHT else "---" for n in names)]
    lines += [_row(row) for row in rows]
    return "\n".join(lines)


_RIGHT = {"#", "Tries", "Cost", "Messages", "Tokens", "From cache", "Estimate", "Share"}


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _built(report: Report) -> Iterator[str]:
    if not report.phases:
        return
    yield "## What was built"
    names = {feature.id: feature.name for feature in report.features}
    for phase in report.phases:
        yield f"### {_PHASE_MARK[phase.status]} {phase.position} {text(phase.name)}"
        line = f"{phase.counts.passing} of {phase.counts.total} tasks proved"
        if phase.approved_by and phase.approved_at:
            line += f", approved by {text(phase.approved_by)} {_when(phase.approved_at)}"
        else:
            line += f", {phase.status.value.replace('_', ' ')}"
        yield (f"{text(phase.description)}\n\n" if phase.description.strip() else "") + line + "."
        features = [f for f in report.features if f.phase_id == phase.id]
        yield _table(
            ("Feature", "State", "Tasks", "Builds on", "On main at", "Cost"),
            (
                (
                    f"**{text(f.name)}**",
                    _feature_word(f),
                    f"{f.counts.passing}/{f.counts.total}",
                    ", ".join(text(names[other]) for other in f.depends_on) or wording.UNKNOWN,
                    _commit(f.landed_commit),
                    wording.usd(f.cost_usd),
                )
                for f in features
            ),
        )
        inside = {f.id for f in features}
        yield _table(
            ("#", "Task", "Feature", "State", "Proved by", "Commit", "Tries", "Cost"),
            (
                (
                    str(task.number),
                    text(task.name),
                    text(names[task.feature_id]),
                    _TASK_WORD[task.status],
                    "<br>".join(code(check, 80, table=True) for check in task.checks)
                    or wording.UNKNOWN,
                    _commit(proof.commit) if (proof := _proof(task)) else wording.UNKNOWN,
                    str(task.attempts + 1 if _passes(task) else task.attempts),
                    wording.usd(task.cost_usd),
                )
                for task in report.tasks
                if task.feature_id in inside
            ),
        )


_PHASE_MARK = {
    PhaseStatus.PENDING: "○",
    PhaseStatus.IN_PROGRESS: "◐",
    PhaseStatus.AWAITING_APPROVAL: "▲",
    PhaseStatus.COMPLETED: "✓",
}
_FEATURE_WORD = {
    FeatureStatus.PENDING: "○ pending",
    FeatureStatus.SPECCING: "○ pending",
    FeatureStatus.READY: "○ ready",
    FeatureStatus.IN_PROGRESS: "◐ in progress",
    FeatureStatus.LANDING: "◐ landing",
    FeatureStatus.COMPLETED: "✓ landed",
}


def _feature_word(feature: FeatureLine) -> str:
    if feature.status is FeatureStatus.COMPLETED and feature.landed_commit is None:
        return "– nothing to land"  # its tasks are skipped
    return _FEATURE_WORD[feature.status]


_TASK_WORD = {
    TaskStatus.PENDING: "○ pending",
    TaskStatus.IN_PROGRESS: "◐ in progress",
    TaskStatus.PASSING: "✓ passing",
    TaskStatus.STUCK: "■ stuck",
    TaskStatus.SKIPPED: "■ skipped",
}


def _proof(task: TaskLine) -> EvidenceLine | None:
    return next((e for e in reversed(task.evidence) if e.accepted), None)


def _evidence(report: Report) -> Iterator[str]:
    tried = [task for task in report.tasks if task.evidence]
    if not tried:
        return
    yield "## Evidence"
    yield (
        "Each check was run by autocoder, not by the agent that did the work, on exactly the files"
        " of the commit named."
    )
    for task in tried:
        yield from _of_task(task)


def _vouched(report: Report) -> int:
    proofs = (_proof(task) for task in report.tasks if _passes(task))
    return sum(proof is not None and proof.verdict is Verdict.VOUCHED for proof in proofs)


def _of_task(task: TaskLine) -> Iterator[str]:
    yield f"### {task.number} {text(task.name)}"
    proof = _proof(task)
    refused = [e for e in task.evidence if not e.accepted]
    if proof:
        words = [f"✓ Proved at {_commit(proof.commit)}, {_when(proof.at)}."]
        if proof.verdict is Verdict.GREEN_BEFORE:
            words.append("**Green before:** its checks passed before the work began.")
        if proof.verdict is Verdict.VOUCHED:
            words = [f"▲ Vouched for by a person at {_commit(proof.commit)}, {_when(proof.at)}."]
        if proof.verdict is Verdict.ALREADY_DONE:
            words.append("Work for another task had done it already; nothing was changed.")
        if proof.own_tests:
            paths = ", ".join(code(path, 100) for path in proof.own_tests[:10])
            words.append(f"**Own test:** the agent wrote or changed {paths}, which a check runs.")
        yield " ".join(words)
        yield "\n".join(f"- {_check(check)}" for check in proof.checks)
        outputs = [check for check in proof.checks if check.output.strip()]
        if outputs:
            yield _folded("Output", outputs)
    else:
        yield f"■ Not proved. {_TASK_WORD[task.status].split(' ', 1)[1].capitalize()}."
    if refused:
        last = refused[-1]
        yield (
            f"{wording.count(len(refused), 'proof')} refused"
            f"{' before' if proof else ''}, the last one because {_VERDICT[last.verdict]}."
        )
        red = [check for check in last.checks if not check.green]
        if red:
            yield _folded("The last refusal", red)
    if not proof and task.last_error:
        yield block(task.last_error, limit=2_000)


_VERDICT = {
    Verdict.ACCEPTED: "it was accepted",
    Verdict.ALREADY_DONE: "it was done already",
    Verdict.GREEN_BEFORE: "its checks were green before",
    Verdict.VOUCHED: "a person vouches for it",
    Verdict.RED: "a check failed",
    Verdict.MOVED: "files changed while the checks ran",
    Verdict.NO_CHECKS: "it has no checks",
    Verdict.NOTHING_DONE: "its checks were green before and nothing was changed",
    Verdict.GREEN_BEFORE_STRICT: "its checks were green before the work",
}


def _check(check: CheckResult) -> str:
    mark = "✓" if check.green else "■"
    return f"{mark} {code(check.command)} exit {check.exit_code}, {_seconds(check.seconds)}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else wording.duration(seconds)


def _folded(title: str, checks: Iterable[CheckResult]) -> str:
    inside = "\n\n".join(
        block(f"$ {check.command}\n{check.output}\n[exit {check.exit_code}]", limit=3_000)
        for check in checks
    )
    return f"<details><summary>{title}</summary>\n\n{inside}\n\n</details>"


def _decisions(report: Report) -> Iterator[str]:
    if not report.approvals:
        return
    yield "## Decisions"
    yield _table(
        ("What", "Decision", "By", "When", "Reason"),
        (
            (
                _subject(report, approval),
                _APPROVAL_WORD[approval.status],
                text(approval.decided_by) if approval.decided_by else wording.UNKNOWN,
                _when(approval.decided_at or approval.opened_at),
                text(approval.reason, 400) if approval.reason else wording.UNKNOWN,
            )
            for approval in report.approvals
        ),
    )
    for approval in report.approvals:
        if approval.checks:
            yield f"{_subject(report, approval)}, in a clean checkout:"
            yield "\n".join(f"- {_check(check)}" for check in approval.checks)


_APPROVAL_WORD = {
    ApprovalStatus.OPEN: "▲ open",
    ApprovalStatus.APPROVED: "✓ approved",
    ApprovalStatus.REJECTED: "■ rejected",
    ApprovalStatus.EXPIRED: "expired",
    ApprovalStatus.WITHDRAWN: "withdrawn",
}


def _subject(report: Report, approval: ApprovalLine) -> str:
    match approval.kind:
        case ApprovalKind.PLAN:
            return f"Plan {text(approval.version, 20)}"
        case ApprovalKind.GATE:
            phase = next((p for p in report.phases if p.id == approval.subject_id), None)
            name = f"{phase.position} {text(phase.name)}" if phase else wording.UNKNOWN
            return f"Gate of {name} at {_commit(approval.version)}"
        case _:
            assert_never(approval.kind)


def _cost(report: Report) -> Iterator[str]:
    usage = report.usage
    yield "## Cost"
    line = (
        f"**{wording.usd(usage.cost_usd)}** at list prices"
        + (", **nothing paid**" if report.practice else "")
        + f", {wording.percent(usage.cost_usd, report.budget_usd)} of the budget of"
        f" {wording.usd(report.budget_usd)}."
    )
    if report.plan:
        line += f" The plan's estimate was {wording.usd_range(*report.plan.estimate.cost_usd)}."
    yield f"{line} {wording.count(usage.messages, 'message')}, {_tokens_line(report)}."
    if usage.by_model:
        yield _table(
            ("Model", "Messages", "Tokens", "From cache", "Cost", "Share"),
            (
                (
                    code(line.model, 60, table=True),
                    wording.count(line.messages),
                    wording.tokens(line.tokens.total),
                    wording.percent(line.tokens.cache_read, read_tokens(line.tokens)),
                    wording.usd(line.cost_usd),
                    _share(line.cost_usd, usage.cost_usd),
                )
                for line in usage.by_model
            ),
        )
    names = {str(p.id): f"{p.position} {text(p.name)}" for p in report.phases}
    rows = [("Phase", names.get(k, k), s) for k, s in usage.by_phase.items()]
    features = {str(f.id): text(f.name) for f in report.features}
    rows += [("Feature", features.get(k, k), s) for k, s in usage.by_feature.items()]
    rows += [("Agents", text(k), s) for k, s in usage.by_kind.items()]
    if rows:
        yield _table(
            ("By", "Name", "Messages", "Tokens", "Cost", "Share"),
            (
                (
                    what,
                    name,
                    wording.count(spent.messages),
                    wording.tokens(spent.tokens.total),
                    wording.usd(spent.cost_usd),
                    _share(spent.cost_usd, usage.cost_usd),
                )
                for what, name, spent in rows
            ),
        )


def _share(part: Decimal, whole: Decimal) -> str:
    return wording.percent(part, whole)


def read_tokens(tokens: Tokens) -> int:
    """Everything a model was given to read, from cache or not."""
    return tokens.total - tokens.output


def _tokens_line(report: Report) -> str:
    tokens = report.usage.tokens
    cached = wording.percent(tokens.cache_read, read_tokens(tokens))
    return f"{wording.tokens(tokens.total)} tokens, {cached} of the input from cache"


def _plainly(report: Report) -> Iterator[str]:
    yield "## Not proved, skipped, unknown"
    lines = []
    for task in report.tasks:
        name = f"Task {task.number} {text(task.name)}"
        proof = _proof(task)
        if not _passes(task):
            lines.append(f"- {name}: {text(reason(report, task))}.")
        elif proof is None:
            lines.append(f"- {name}: passing without a proof of ours.")
        elif proof.verdict is Verdict.VOUCHED:
            lines.append(f"- {name}: a person vouches for it; no check proves it.")
        elif proof.verdict is Verdict.GREEN_BEFORE:
            lines.append(f"- {name}: its checks were green before the work; they prove little.")
    own = [
        str(task.number)
        for task in report.tasks
        if (proof := _proof(task)) is not None and proof.own_tests
    ]
    if own:
        lines.append(
            f"- Tasks {', '.join(own)}: a check runs tests that the agent itself wrote or"
            " changed. They show that the work does what its author meant."
        )
    if report.usage.unpriced_messages:
        count = wording.count(report.usage.unpriced_messages, "message")
        lines.append(f"- {count} of a model without a known list price are missing in the cost.")
    if report.practice:
        lines.append("- The practice model is a script: nothing here shows what a model can do.")
    yield "\n".join(lines) if lines else "Nothing: every task is proved by a check that was red."


def _commit(name: str | None) -> str:
    return code(wording.commit(name), table=True) if name else wording.UNKNOWN


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
