"""Figures for Prometheus: counted from the database, timed in this process."""

from collections.abc import Iterator
from dataclasses import asdict

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.domain.lifecycle import TaskStatus
from core.views.figures import Figures

MEDIA_TYPE = CONTENT_TYPE_LATEST
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3)
_SLOW = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.2, 2, 5, 15, 60)


class Metrics:
    """Observes what takes time; the page is made when it is asked for."""

    def __init__(self) -> None:
        self._timed = CollectorRegistry()
        self._ack = Histogram(
            "autocoder_ack_seconds",
            "From a delivery's arrival to its acknowledgement.",
            ("platform",),
            registry=self._timed,
            buckets=_QUICK,
        )
        self._card_delay = Histogram(
            "autocoder_card_delay_seconds",
            "From the wish for a card to its delivery.",
            registry=self._timed,
            buckets=_SLOW,
        )

    def acknowledged(self, platform: str, seconds: float) -> None:
        self._ack.labels(platform).observe(seconds)

    def delivered(self, seconds: float) -> None:
        """A card stands where it was wanted, so long after it was wanted."""
        self._card_delay.observe(max(seconds, 0))

    def page(self, figures: Figures) -> bytes:
        counted = CollectorRegistry()
        counted.register(_Counted(figures))
        return generate_latest(counted) + generate_latest(self._timed)


class _Counted(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        found = self._figures
        tasks = GaugeMetricFamily(
            "autocoder_tasks", "Tasks by project and status.", labels=("project", "status")
        )
        for project in sorted({project for project, _ in found.tasks}):
            for status in TaskStatus:  # also those of which there is none: a series does not vanish
                count = found.tasks.get((project, status), 0)
                tasks.add_metric((project, status.value), count)
        yield tasks
        yield GaugeMetricFamily("autocoder_agents", "Agents at work now.", value=found.agents)
        yield CounterMetricFamily(
            "autocoder_messages", "API messages that were counted.", value=found.usage.messages
        )
        tokens = CounterMetricFamily(
            "autocoder_tokens", "Tokens by model and kind of token.", labels=("model", "kind")
        )
        cost = CounterMetricFamily(
            "autocoder_cost_usd", "List price in USD by model.", labels=("model",)
        )
        for model, each in found.usage.by_model.items():
            for kind, count in asdict(each.tokens).items():
                tokens.add_metric((model, kind), count)
            cost.add_metric((model,), float(each.cost_usd))
        yield tokens
        yield cost
        yield GaugeMetricFamily(
            "autocoder_outbox_pending", "Cards that wait for delivery.", value=found.outbox_pending
        )
