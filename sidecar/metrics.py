"""What Prometheus may know: counters and times of the running process, in the text format.

Metrics are floats by their format; the exact sums are the ledger's. Labels are bounded: a model that the catalogue does
not know is `other`, and so is a layer that is not one of ours.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from sidecar.accounts.prices import PICODOLLARS
from sidecar.exchange import Exchange, Timing
from sidecar.ledger.rows import LAYERS

if TYPE_CHECKING:
    from sidecar.accounts.account import Account
    from sidecar.ledger.writer import WriterHealth

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
OTHER: Final = "other"

Count = defaultdict[tuple[str, ...], int]

TOKEN_KINDS: Final = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write_5m": "cache_write_5m_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "output": "output_tokens",
}
"""Fields of usage. Each token is of one kind, so that they may be added up; thinking is output."""

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
        self.registry: Final = CollectorRegistry()
        self._knows_model: Final = knows_model

        def counter(name: str, told: str, *labels: str, per: int = 1) -> Count:
            counts = _Counts(name, told, labels, per)
            self.registry.register(counts)
            return counts.counts

        def seconds(name: str, told: str, buckets: Sequence[float]) -> _Durations:
            durations = _Durations(name, told, buckets)
            self.registry.register(durations)
            return durations

        self._requests = counter("gateway_requests_total", "Requests by model and HTTP status.", "model", "status")
        self._tokens = counter("gateway_tokens_total", "Tokens billed; thinking is output.", "kind", "model")
        self._hits = counter("gateway_cache_hits_total", "Requests that a cache helped with.", "cache")
        self._thinking_refused = counter(
            "gateway_thinking_refused_total", "Requests sent once more without the kept thinking that Claude refused."
        )
        self._cost = counter("gateway_cost_usd_total", "What Claude bills.", per=PICODOLLARS)
        self._baseline = counter(
            "gateway_baseline_usd_total", "What the clients' own bytes would have cost.", per=PICODOLLARS
        )
        self._saved = counter("gateway_saved_usd_total", "What layers saved, where they did.", "layer", per=PICODOLLARS)
        self._lost = counter(
            "gateway_lost_usd_total",
            "What layers cost where they saved nothing; saved minus lost is baseline minus cost.",
            "layer",
            per=PICODOLLARS,
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
        self._requests[model, str(exchange.status)] += 1
        if exchange.cache == "HIT":
            self._hits["response",] += 1
        if exchange.usage.cache_read_tokens > 0:
            self._hits["prompt",] += 1
        billed = exchange.billed
        for kind, field in TOKEN_KINDS.items():
            if tokens := getattr(billed, field):
                self._tokens[kind, model] += tokens
        if exchange.prompt is not None and exchange.prompt.thinking_refused:
            self._thinking_refused[()] += 1
        self._retries[()] += exchange.retries
        if exchange.account is not None:
            self._observe_money(exchange.account)
        if exchange.kind == "generate":
            self._observe_times(exchange.timing)

    def exposition(self) -> bytes:
        """Every metric in Prometheus' text format (version 0.0.4)."""
        return generate_latest(self.registry)

    def _observe_money(self, account: Account) -> None:
        self._cost[()] += account.bill
        self._baseline[()] += account.baseline
        for layer, saved in account.savings:
            # A counter only goes up, so that what a layer lost is counted apart and not taken from what it saved.
            counts = self._saved if saved > 0 else self._lost
            counts[layer if layer in LAYERS else OTHER,] += abs(saved)

    def _observe_times(self, timing: Timing) -> None:
        if (overhead := timing.overhead) is not None:
            self._overhead.observe(overhead)
        if timing.first_byte is not None:
            self._first_byte.observe(timing.first_byte - timing.received)
        if timing.finished is not None:
            self._duration.observe(timing.finished - timing.received)


class _Counts(Collector):
    """Sums by label values, whole numbers of `1 / per`. A request adds to a dictionary; the library's own counters take
    locks and look for a child, and there are ten of them in each request."""

    def __init__(self, name: str, told: str, labels: Sequence[str], per: int) -> None:
        self._name = name
        self._told = told
        self._labels = labels
        self._per = per
        self.counts: Count = defaultdict(int, {} if labels else {(): 0})

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._told, labels=self._labels)
        for values, count in list(self.counts.items()):
            family.add_metric(values, count / self._per)
        yield family


class _Durations(Collector):
    """A histogram of seconds."""

    def __init__(self, name: str, told: str, buckets: Sequence[float]) -> None:
        self._name = name
        self._told = told
        self._buckets = (*buckets, float("inf"))
        self._counts = [0] * len(self._buckets)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._buckets, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[Metric]:
        edges = map(floatToGoString, self._buckets)
        family = HistogramMetricFamily(self._name, self._told)
        family.add_metric([], list(zip(edges, accumulate(self._counts), strict=True)), self._sum)
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
