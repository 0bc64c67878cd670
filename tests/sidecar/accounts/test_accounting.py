"""What a finished exchange costs, by the way it ended."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.accounts.account import UNBILLED
from sidecar.accounts.accounting import Accountant, row_of
from sidecar.accounts.prices import Prices
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Timing, Usage
from sidecar.ledger.rows import LedgerRow
from sidecar.tokens.estimator import TokenEstimator
from tests.support.exchanges import an_exchange

SONNET, HAIKU = "claude-sonnet-5-5", "claude-haiku-5-5"
PRICES = Prices()
BROKEN = GatewayError("api_error", "broke off", status=502, code="upstream_broken")


class Rows(list[LedgerRow]):
    def add(self, row: LedgerRow) -> None:
        self.append(row)


def finished(**fields: Any) -> Exchange:
    """An answered request of 1,000 tokens in and 100 out, where `fields` do not say otherwise."""
    timing = Timing(received=10.0, upstream_sent=10.002, first_byte=10.4, upstream_ended=13.0, finished=13.001)
    exchange = an_exchange(
        request={"messages": [{"role": "user", "content": "hello " * 400}]},
        model_resolved=SONNET,
        status=200,
        stop_reason="end_turn",
        usage=Usage(input_tokens=1000, output_tokens=100),
        upstream_headers={"request-id": "req_011"},
        timing=timing,
    )
    for name, value in fields.items():
        setattr(exchange, name, value)
    return exchange


def settle(exchange: Exchange) -> LedgerRow:
    async def row() -> LedgerRow:
        rows = Rows()
        accountant = Accountant(PRICES, TokenEstimator())
        accountant.open(rows, [])
        accountant(exchange)
        await accountant.close()
        [row] = rows
        return row

    return asyncio.run(row())


def unfinished(**fields: Any) -> Exchange:
    return finished(**{"stop_reason": None, "usage": Usage(), **fields})


def test_an_answer_costs_what_usage_says() -> None:
    row = settle(finished())
    assert row.cost_micros == row.baseline_micros == 1000 * 2 + 100 * 10
    assert not row.estimated
    assert row.saved == {}


def test_a_client_s_own_cache_marks_are_not_our_saving() -> None:
    row = settle(finished(usage=Usage(100, 50_000, 0, 2_000, 10)))
    assert row.cost_micros == row.baseline_micros == 100 * 2 + 50_000 // 10 + 2_000 * 4 + 10 * 10


def test_terms_of_the_answer_change_its_price() -> None:
    row = settle(finished(usage=Usage(1000, inference_geo="us")))
    assert row.cost_micros == 2200


def test_web_searches_are_billed_by_the_piece() -> None:
    assert settle(finished(usage=Usage(1000, web_searches=3))).cost_micros == 2000 + 3 * 10_000


def test_a_model_that_an_addon_chose_is_its_saving() -> None:
    row = settle(finished(model=HAIKU))
    assert row.baseline_micros == 3000
    assert row.saved == {"smart_routing": row.baseline_micros - row.cost_micros}
    assert row.cost_micros == 150


@pytest.mark.parametrize(
    "exchange",
    [
        pytest.param(unfinished(error=GatewayError("overloaded_error", "x"), upstream_headers={}), id="refused"),
        pytest.param(unfinished(error=GatewayError("overloaded_error", "x")), id="refused inside a 200"),
        pytest.param(
            unfinished(error=GatewayError("api_error", "x", code="not_honoured"), timing=Timing(), upstream_headers={}),
            id="refused by the gateway",
        ),
    ],
)
def test_what_claude_refused_costs_nothing_and_that_is_certain(exchange: Exchange) -> None:
    row = settle(exchange)
    assert row.cost_micros == row.baseline_micros == 0
    assert not row.estimated
    assert row.error_class


def test_a_client_that_left_before_the_answer_began_leaves_an_uncertain_nothing() -> None:
    row = settle(unfinished(cancelled=True, status=499, upstream_headers={}))
    assert row.cost_micros == 0
    assert row.estimated
    assert row.cancelled


@pytest.mark.parametrize("fields", [{"cancelled": True}, {"error": BROKEN}], ids=["left", "broken"])
def test_an_answer_cut_short_costs_its_prompt_exactly_and_its_output_by_what_arrived(fields: dict[str, Any]) -> None:
    row = settle(unfinished(usage=Usage(1000, output_tokens=1), delivered=4000, **fields))
    assert row.estimated
    assert row.input_tokens == 1000
    assert 700 < row.output_tokens < 2500  # a token of today's models is 2 to 5 characters of English
    assert row.cost_micros == 1000 * 2 + row.output_tokens * 10


def test_a_client_that_left_after_the_last_counter_costs_what_usage_says() -> None:
    row = settle(finished(cancelled=True, delivered=10**6))
    assert not row.estimated
    assert row.cost_micros == 3000


async def test_a_plain_answer_that_broke_in_its_body_has_its_prompt_counted() -> None:
    rows = Rows()
    accountant = Accountant(PRICES, TokenEstimator())
    accountant.open(rows, [])
    accountant(unfinished(dialect="anthropic_messages", stream=False, error=BROKEN))
    await accountant.close()
    [row] = rows
    assert row.estimated
    assert 300 < row.input_tokens < 1500  # 400 words
    assert row.cost_micros > 0


async def test_what_whole_answers_cost_makes_the_estimates_of_broken_ones_better() -> None:
    rows = Rows()
    accountant = Accountant(PRICES, TokenEstimator())
    accountant.open(rows, [])
    accountant(finished())
    await accountant.close()
    accountant(unfinished(dialect="anthropic_messages", stream=False, error=BROKEN))
    await accountant.close()
    whole, broken = rows
    assert broken.input_tokens == whole.input_tokens == 1000
    assert broken.estimated


def test_an_answer_from_the_cache_spares_what_it_once_cost() -> None:
    answer = {"usage": {"input_tokens": 1000, "output_tokens": 100}}
    row = settle(unfinished(cache="HIT", answer=answer, upstream_headers={}, timing=Timing()))
    assert row.cost_micros == 0
    assert row.baseline_micros == 3000
    assert row.saved == {"response_cache": 3000}


def test_an_answer_that_an_addon_made_up_neither_costs_nor_saves() -> None:
    exchange = unfinished(answer={"content": []}, upstream_headers={}, timing=Timing())
    assert settle(exchange).cost_micros == 0
    assert exchange.account == UNBILLED


def test_a_token_count_is_heard_of_but_has_no_row() -> None:
    rows, heard = Rows(), list[Exchange]()
    accountant = Accountant(PRICES, TokenEstimator())
    accountant.open(rows, [heard.append])
    accountant(counted := finished(kind="count_tokens"))
    assert (rows, heard, counted.account) == ([], [counted], None)


async def test_what_ends_before_the_ledger_is_open_waits_and_is_heard_of_in_order() -> None:
    rows, heard = Rows(), list[str]()
    accountant = Accountant(PRICES, TokenEstimator())
    accountant(finished(id="a"))
    accountant(finished(id="b"))
    assert rows == []
    accountant.open(rows, [lambda exchange: heard.append(exchange.id)])
    accountant(finished(id="c"))
    await accountant.close()
    assert [row.id for row in rows] == heard == ["a", "b", "c"]


async def test_neither_a_ledger_nor_a_listener_that_fails_reaches_the_request(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def add(self, row: LedgerRow) -> None:
            raise RuntimeError("no ledger")

    def deaf(_: Exchange) -> None:
        raise RuntimeError("deaf")

    heard: list[Exchange] = []
    accountant = Accountant(PRICES, TokenEstimator())
    accountant.open(Broken(), [deaf, heard.append])
    accountant(exchange := finished())
    assert heard == [exchange]
    assert {record.exc_info[1].args[0] for record in caplog.records if record.exc_info and record.exc_info[1]} == {
        "no ledger",
        "deaf",
    }


def test_the_gateway_s_own_time_is_what_is_before_and_after_claude_s() -> None:
    row = settle(finished())
    assert row.overhead_ms == pytest.approx(3)
    assert row.ttft_ms == pytest.approx(400)
    assert row.duration_ms == pytest.approx(3001)


def test_all_of_an_exchange_that_never_went_out_is_the_gateway_s_own_time() -> None:
    assert Timing(received=1.0, finished=1.5).overhead == 0.5


COUNTS = st.integers(0, 10**6)
ENDINGS: list[Callable[[Exchange], None]] = [
    lambda exchange: None,
    lambda exchange: setattr(exchange, "error", BROKEN),
    lambda exchange: setattr(exchange, "cancelled", True),
    lambda exchange: setattr(exchange, "stop_reason", None),
    lambda exchange: setattr(exchange, "upstream_headers", {}),
    lambda exchange: setattr(exchange, "cache", "HIT"),
    lambda exchange: setattr(exchange.timing, "upstream_sent", None),
]


@given(
    st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    st.lists(st.sampled_from(ENDINGS), max_size=4),
    st.sampled_from([SONNET, HAIKU, "claude-nobody-knows-9"]),
    COUNTS,
)
def test_however_an_exchange_ends_its_savings_are_baseline_minus_cost(
    usage: Usage, endings: list[Callable[[Exchange], None]], model: str, delivered: int
) -> None:
    exchange = finished(usage=usage, model=model, delivered=delivered, answer={"usage": {"input_tokens": 5}})
    for ending in endings:
        ending(exchange)
    row = settle(exchange)
    assert sum(row.saved.values()) == row.baseline_micros - row.cost_micros
    assert row.cost_micros >= 0
    assert row_of(exchange, exchange.account or UNBILLED) == row


async def test_closing_waits_for_what_is_being_counted() -> None:
    accountant = Accountant(PRICES, TokenEstimator())
    accountant.open(None, [])
    await asyncio.wait_for(accountant.close(), 5)
