"""A row that exists can be stored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from sidecar.ledger.rows import LAYERS, LONGEST_KEY, LONGEST_TEXT, LedgerRow
from tests.support.ledger_rows import NOON, row


def test_time_is_kept_as_utc() -> None:
    in_kathmandu = datetime(2026, 11, 22, 5, 45, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert row(time=in_kathmandu).time == datetime(2026, 11, 22, tzinfo=UTC)
    assert row(time=in_kathmandu).time.tzinfo is UTC


@pytest.mark.parametrize(
    "field",
    [
        {"time": NOON.replace(tzinfo=None)},
        {"time": datetime(1969, 12, 31, tzinfo=UTC)},
        {"input_tokens": -1},
        {"output_tokens": 2**63},
        {"ttft_ms": float("nan")},
        {"duration_ms": float("inf")},
        {"overhead_ms": -0.1},
        {"cost_micros": Decimal("0.0000001")},
        {"baseline_micros": Decimal("NaN")},
        {"saved": {"prompt_cache": Decimal("0.0000001")}},
        {"saved": {"Prompt Cache": Decimal(1)}},
        {"saved": {"=cmd": Decimal(1)}},
        {"id": "x" * (LONGEST_KEY + 1)},
        {"project": "x" * (LONGEST_KEY + 1)},
    ],
    ids=str,
)
def test_what_no_request_can_have_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        row(**field)


@pytest.mark.parametrize("picos", [2**63, -(2**63), 1.5, True])
@pytest.mark.parametrize("field", ["cost_picos", "baseline_picos", "saved_picos"])
def test_money_that_no_database_holds_is_refused(field: str, picos: Any) -> None:
    known = {name: getattr(row(), name) for name in ("id", "time", "cost_picos", "baseline_picos", "saved_picos")}
    told = {"keep_warm": picos} if field == "saved_picos" else picos
    with pytest.raises(ValueError, match="no amount"):
        LedgerRow(**{**known, field: told})


def test_text_that_no_database_takes_is_mended() -> None:
    assert row(client="a\0b").client == "a\ufffdb"
    assert row(model_requested="a\ud800b").model_requested == "a?b"
    assert row(stop_reason="\0").stop_reason == "\ufffd"


def test_a_clients_endless_text_is_cut() -> None:
    assert len(row(model_requested="x" * 10**6).model_requested) == LONGEST_TEXT


def test_a_layer_that_made_no_difference_is_not_kept() -> None:
    assert row(saved={"prompt_cache": Decimal(0), "keep_warm": Decimal(-1)}).saved == {"keep_warm": Decimal(-1)}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_known_layer_can_be_stored(layer: str) -> None:
    assert row(saved={layer: Decimal(1)}).saved == {layer: Decimal(1)}


def test_what_was_saved_is_the_baseline_less_the_cost() -> None:
    assert row(cost_micros=Decimal("1.5"), baseline_micros=Decimal(1)).saved_micros == Decimal("-0.5")
