"""The JSON shapes of CONTRACT.md §3: one definition for REST, the web chat and the report.

Money is a decimal string in USD, times are ISO 8601 in UTC and end in `Z`. A task's id is its
number in its project; other ids are the service's own.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from typing_extensions import TypedDict  # pydantic reads these on Python 3.11 too

from core.domain.money import Tokens


class TokensData(TypedDict):
    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


class SpentData(TypedDict):
    messages: int
    tokens: TokensData
    cost_usd: str


class UsageData(TypedDict):
    project: str | None  # None: all projects
    messages: int
    tokens: TokensData
    cost_usd: str
    unpriced_messages: int
    by_model: dict[str, SpentData]
    by_kind: dict[str, SpentData]
    by_phase: dict[str, SpentData]
    by_feature: dict[str, SpentData]
    by_task: dict[str, SpentData]
    by_day: dict[str, SpentData]


class BudgetData(TypedDict):
    project_usd: str
    run_usd: str
    day_usd: str | None  # None: no limit


class UsageSettingsData(TypedDict):
    budget: BudgetData


class HistoryData(TypedDict):
    message_id: str
    at: str
    model: str
    kind: str
    run_id: int
    task_id: int | None
    feature_id: int | None
    phase_id: int | None
    project: str
    tokens: TokensData
    cost_usd: str | None  # None: the model has no known price


class CountsData(TypedDict):
    total: int
    pending: int
    in_progress: int
    passing: int
    stuck: int
    skipped: int


class EstimateData(TypedDict):
    cost_usd: list[str]
    minutes: list[int]


class WaitingData(TypedDict):
    reason: str
    until: str | None
    text: str


class ProjectData(TypedDict):
    id: int
    name: str
    slug: str
    status: str
    channels: list[str]
    path: str
    phase_id: int | None
    mode: str
    tasks: CountsData
    agents: int
    cost_usd: str
    budget: str
    estimate: EstimateData | None
    waiting: WaitingData | None
    settings: dict[str, Any]
    created_at: str
    completed_at: str | None
    practice: bool


class PhaseData(TypedDict):
    id: int
    position: int
    name: str
    description: str
    status: str


class FeatureData(TypedDict):
    id: int
    phase_id: int
    name: str
    slug: str
    description: str
    spec: str
    status: str
    priority: int
    branch: str
    agent: str | None
    depends_on: list[int]
    landed_commit: str | None


class CheckData(TypedDict):
    command: str
    exit_code: int
    output: str
    seconds: float


class EvidenceData(TypedDict):
    id: int
    accepted: bool
    verdict: str
    run_id: int | None
    commit: str
    at: str
    own_tests: list[str]
    checks: list[CheckData]


class TaskData(TypedDict):
    id: int
    feature_id: int
    name: str
    category: str
    description: str
    steps: list[str]
    complexity: int
    checks: list[str]
    depends_on: list[int]
    files: list[str]
    priority: int
    status: str
    attempts: int
    last_error: str | None
    recovery_notes: str | None
    reason: str
    evidence: list[EvidenceData]


class RunData(TypedDict):
    id: int
    kind: str
    status: str
    outcome: str | None
    task_ids: list[int]
    feature_id: int | None
    phase_id: int | None
    model: str
    session_id: str
    host: str
    pid: int | None
    attempt: int
    started_at: str
    ended_at: str | None
    messages: int
    tokens: TokensData
    cost_usd: str


class ApprovalData(TypedDict):
    id: int
    kind: str
    subject_id: int
    status: str
    opened_at: str
    decided_at: str | None
    decided_by: str | None
    reason: str | None


class JournalData(TypedDict):
    id: int
    at: str
    level: str
    category: str
    event: str
    text: str
    actor: str
    run_id: int | None
    task_id: int | None
    feature_id: int | None
    phase_id: int | None
    data: dict[str, Any]
    hash: str
    previous_hash: str


class GraphNodeData(TypedDict):
    id: str  # feature:3, task:12
    kind: str
    name: str
    status: str
    phase_id: int
    feature_id: int


# `from` is no name in Python, hence the call.
GraphEdgeData = TypedDict("GraphEdgeData", {"from": str, "to": str})


class GraphData(TypedDict):
    """An edge leads from what comes first to what waits for it."""

    nodes: list[GraphNodeData]
    edges: list[GraphEdgeData]


class MemberData(TypedDict):
    user: str
    role: str
    added_by: str
    added_at: str


class ChannelData(TypedDict):
    name: str
    last_message: int
    projects: int


def usd(amount: Decimal) -> str:
    return f"{amount:f}"  # never an exponent


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def maybe_utc(moment: datetime | None) -> str | None:
    return utc(moment) if moment else None


def tokens(value: Tokens) -> TokensData:
    return {
        "input": value.input,
        "output": value.output,
        "cache_read": value.cache_read,
        "cache_write_5m": value.cache_write_5m,
        "cache_write_1h": value.cache_write_1h,
    }
