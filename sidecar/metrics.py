"""What Prometheus may know: counters and times of the running process, in the text format.

Metrics are floats by their format; the exact sums are the ledger's. Labels are bounded: a model that the catalogue does
not know is `other`, and so is a layer that is not one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidecar.accounts.prices import PICODOLLARS
from sidecar.exchange import Exchange, Usage
from sidecar.ledger.rows import LAYERS

if TYPE_CHECKING:
    from sidecar.ledger.writer import WriterHealth

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
OTHER: Final = "other"

TOKEN_KINDS: Final[dict[str, Callable[[Usage], int]]] = {
    "input": lambda usage: usage.input_tokens,
    "cache_read": lambda usage: usage.cache_read_tokens,
    "cache_write_5m": lambda usage: usage.cache_write_5m_tokens,
    "cache_write_1h": lambda usage: usage.cache_write_1h_tokens,
    "output": lambda usage: usage.output_tokens,
}
"""Each token is of one kind, so that they may be added up; thinking is output."""

CACHE_HITS: Final[dict[str, Callable[[Exchange], bool]]] = {
    "response": lambda exchange: exchange.cache == "HIT",
    "prompt": lambda exchange: exchange.usage.cache_read_tokens > 0,
}
"""Our cache of whole answers, and Claude's of prompts."""

OVERHEAD_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
FIRST_BYTE_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
DURATION_BUCKETS: Final = (0.25, 0.5, 1, 2, 5, 10, 20, 45, 90, 180, 360, 600)
"""Seconds."""


class HealthOfLedger(Protocol):
    def health(self) -> WriterHealth:
        """How the ledger is doing, without waiting."""


class Metrics:
    """One registry of its own; `observe` listens to finished exchanges, `exposition` is what a scraper gets."""

    def __init__(
        self,
        *,
        knows_model: Callable[[str], bool],
        in_flight: Callable[[], int],
        breaker: Callable[[], int] = lambda: 0,
        corrupt: Callable[[], Mapping[str, int]] = dict,
        ledger: HealthOfLedger | None = None,
    ) -> None:
        """`corrupt` says how many entries of each store were found damaged."""
        self.registry: Final = _Registry()
        self._knows_model: Final = knows_model

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(name, told, labels, registry=self.registry)

        def seconds(name: str, told: str, buckets: Iterable[float]) -> Histogram:
            return Histogram(name, told, buckets=tuple(buckets), registry=self.registry)

        self._requests = counter("gateway_requests_total", "Requests by model and HTTP status.", "model", "status")
        self._tokens = counter("gateway_tokens_total", "Tokens billed; thinking is output.", "kind", "model")
        self._hits = counter("gateway_cache_hits_total", "Requests that a cache helped with.", "cache")
        self._thinking_refused = counter(
            "gateway_thinking_refused_total", "Requests sent once more without the kept thinking that Claude refused."
        )
        self._cost = counter("gateway_cost_usd_total", "What Claude bills.")
        self._baseline = counter("gateway_baseline_usd_total", "What the clients' own bytes would have cost.")
        self._saved = counter("gateway_saved_usd_total", "What layers saved, where they did.", "layer")
        self._lost = counter(
            "gateway_lost_usd_total",
            "What layers cost where they saved nothing; saved minus lost is baseline minus cost.",
            "layer",
        )
        self._overhead = seconds(
            "gateway_overhead_seconds", "The gateway's own time before and after Claude's.", OVERHEAD_BUCKETS
        )
        self._first_byte = seconds(
            "gateway_first_byte_seconds", "Until the first byte of an answer that streams.", FIRST_BYTE_BUCKETS
        )
        self._duration = seconds("gateway_duration_seconds", "Until the end of an answer.", DURATION_BUCKETS)
        Gauge(
            "gateway_breaker_state",
            "The circuit breaker of the model that fares worst: 0 closed, 1 half open, 2 open.",
            registry=self.registry,
        ).set_function(breaker)
        self._retries = counter("gateway_retries_total", "How often Claude was asked again after it failed.")
        Gauge("gateway_in_flight", "Requests being answered now.", registry=self.registry).set_function(in_flight)
        self.registry.register(_CorruptEntries(corrupt))
        if ledger is not None:
            self.registry.register(_LedgerHealth(ledger))

    def observe(self, exchange: Exchange) -> None:
        """Count one finished exchange."""
        model = exchange.model if self._knows_model(exchange.model) else OTHER
        self._requests.labels(model, str(exchange.status)).inc()
        for cache, hit in CACHE_HITS.items():
            if hit(exchange):
                self._hits.labels(cache).inc()
        for kind, count in TOKEN_KINDS.items():
            if tokens := count(exchange.billed):
                self._tokens.labels(kind, model).inc(tokens)
        if exchange.prompt is not None and exchange.prompt.thinking_refused:
            self._thinking_refused.inc()
        self._retries.inc(exchange.retries)
        self._observe_money(exchange)
        if exchange.kind == "generate":
            self._observe_times(exchange)

    def exposition(self) -> bytes:
        """Every metric in Prometheus' text format (version 0.0.4)."""
        return generate_latest(self.registry)

    def _observe_money(self, exchange: Exchange) -> None:
        if (account := exchange.account) is None:
            return
        self._cost.inc(account.bill / PICODOLLARS)
        self._baseline.inc(account.baseline / PICODOLLARS)
        for layer, saved in account.savings:
            # A counter only goes up, so that what a layer lost is counted apart and not taken from what it saved.
            metric = self._saved if saved > 0 else self._lost
            metric.labels(layer if layer in LAYERS else OTHER).inc(abs(saved) / PICODOLLARS)

    def _observe_times(self, exchange: Exchange) -> None:
        timing = exchange.timing
        moments = (
            (self._overhead, timing.overhead),
            (self._first_byte, timing.since_received(timing.first_byte)),
            (self._duration, timing.since_received(timing.finished)),
        )
        for histogram, duration in moments:
            if duration is not None:
                histogram.observe(duration)


class _Registry(CollectorRegistry):
    """Leaves out when each series was created: it would double the text, and nobody asks for it."""

    def collect(self) -> Iterator[Metric]:
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _CorruptEntries(Collector):
    def __init__(self, corrupt: Callable[[], Mapping[str, int]]) -> None:
        self._corrupt = corrupt

    def collect(self) -> Iterator[Metric]:
        told = "Entries of a store that were found damaged and thrown away."
        family = CounterMetricFamily("gateway_store_corrupt", told, labels=["store"])
        for store, count in self._corrupt().items():
            family.add_metric([store], count)
        yield family


class _LedgerHealth(Collector):
    """Asked at every scrape, so that nobody has to tell it."""

    def __init__(self, ledger: HealthOfLedger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        health = self._ledger.health()
        yield GaugeMetricFamily("gateway_ledger_up", "1 while the ledger's database takes rows.", value=health.ok)
        yield GaugeMetricFamily("gateway_ledger_pending", "Rows that wait for the database.", value=health.pending)
        yield CounterMetricFamily("gateway_ledger_written", "Rows in the database.", value=health.written)
        yield CounterMetricFamily("gateway_ledger_dropped", "Rows lost.", value=health.dropped)
