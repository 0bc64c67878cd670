"""What a scraper reads, as Prometheus' own parser understands it."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.accounts.account import Account
from sidecar.exchange import Exchange, Timing, Usage
from sidecar.ledger.writer import WriterHealth
from sidecar.metrics import Metrics
from sidecar.prompt import Prompt
from tests.support.exchanges import an_exchange

SONNET = "claude-sonnet-5-5"


def finished(**fields: Any) -> Exchange:
    exchange = an_exchange(
        status=200,
        usage=Usage(100, 50, 20, 10, 5, thinking_tokens=3),
        timing=Timing(received=10.0, upstream_sent=10.002, first_byte=10.4, upstream_ended=13.0, finished=13.001),
        account=Account(3 * 10**12, 10**12, (("prompt_cache", 25 * 10**11), ("diff_first", -5 * 10**11))),
    )
    for name, value in fields.items():
        setattr(exchange, name, value)
    return exchange


class Ledger:
    def __init__(self, **told: Any) -> None:
        told = {"in_memory": 0, "in_journal": 0, "written": 0, "dropped": 0, "last_error": "", **told}
        self._health = WriterHealth(ok=not told["last_error"], where="here", **told)

    def health(self) -> WriterHealth:
        return self._health


def observed(*exchanges: Exchange, ledger: Ledger | None = None) -> dict[str, float]:
    """Every sample by its name and labels, as `name{label=value}`."""
    metrics = Metrics(knows_model=lambda model: model == SONNET, in_flight=lambda: 2, ledger=ledger)
    for exchange in exchanges:
        metrics.observe(exchange)
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sample.labels.items())}}}": sample.value
        for family in text_string_to_metric_families(metrics.exposition().decode())
        for sample in family.samples
    }


def test_requests_tokens_and_money_add_up() -> None:
    samples = observed(finished(), finished())
    assert samples[f"gateway_requests_total{{model={SONNET},status=200}}"] == 2
    kinds = {"input": 200, "cache_read": 100, "cache_write_5m": 40, "cache_write_1h": 20, "output": 10}
    for kind, tokens in kinds.items():
        assert samples[f"gateway_tokens_total{{kind={kind},model={SONNET}}}"] == tokens
    assert samples["gateway_cost_usd_total{}"] == 2
    assert samples["gateway_baseline_usd_total{}"] == 6
    assert samples["gateway_cache_hits_total{cache=prompt}"] == 2
    assert samples["gateway_in_flight{}"] == 2


def test_what_layers_saved_less_what_they_lost_is_baseline_less_cost() -> None:
    samples = observed(finished())
    assert samples["gateway_saved_usd_total{layer=prompt_cache}"] == 2.5
    assert samples["gateway_lost_usd_total{layer=diff_first}"] == 0.5
    saved = sum(value for name, value in samples.items() if name.startswith("gateway_saved_usd_total"))
    lost = sum(value for name, value in samples.items() if name.startswith("gateway_lost_usd_total"))
    assert saved - lost == samples["gateway_baseline_usd_total{}"] - samples["gateway_cost_usd_total{}"]


def test_names_from_outside_make_no_new_series() -> None:
    account = Account(2, 0, (("a_user_s_addon", 1), ("another", 1)))
    samples = observed(*(finished(model=f"claude-{number}", account=account) for number in range(20)))
    assert samples["gateway_requests_total{model=other,status=200}"] == 20
    assert [name for name in samples if name.startswith("gateway_saved_usd_total")] == [
        "gateway_saved_usd_total{layer=other}"
    ]


def test_times_are_counted_in_seconds_and_only_for_answers() -> None:
    samples = observed(finished(), finished(kind="count_tokens", account=None))
    assert samples["gateway_overhead_seconds_count{}"] == 1
    assert samples["gateway_overhead_seconds_sum{}"] == pytest.approx(0.003)
    assert samples["gateway_first_byte_seconds_sum{}"] == pytest.approx(0.4)
    assert samples["gateway_duration_seconds_sum{}"] == pytest.approx(3.001)
    assert samples[f"gateway_requests_total{{model={SONNET},status=200}}"] == 2


def test_an_answer_from_the_response_cache_is_a_hit() -> None:
    assert observed(finished(cache="HIT", usage=Usage()))["gateway_cache_hits_total{cache=response}"] == 1


def test_thinking_that_claude_refused_is_counted() -> None:
    talks = [finished(prompt=Prompt("web", [])) for _ in range(3)]
    for refused in talks[:2]:
        assert refused.prompt is not None
        refused.prompt.thinking_refused = True
    assert observed(*talks)["gateway_thinking_refused_total{}"] == 2
    assert observed(finished())["gateway_thinking_refused_total{}"] == 0


def test_the_ledger_s_health_is_there_to_alert_on() -> None:
    samples = observed(ledger=Ledger(in_memory=2, in_journal=3, written=7, dropped=1, last_error="disk full"))
    assert samples["gateway_ledger_up{}"] == 0
    assert samples["gateway_ledger_pending{}"] == 5
    assert samples["gateway_ledger_written_total{}"] == 7
    assert samples["gateway_ledger_dropped_total{}"] == 1


def test_two_gateways_in_one_process_do_not_share_counters() -> None:
    observed(finished())
    assert "gateway_requests_total{model=claude-sonnet-5-5,status=200}" not in observed()
