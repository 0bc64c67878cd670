"""Rows for the ledger: one at a time with what a test cares about, or any row at all."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from sidecar.ledger.money import LARGEST_PICOS, picos_of
from sidecar.ledger.rows import LARGEST_COUNT, LAYERS, LONGEST_KEY, LedgerRow

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

AMOUNTS = st.integers(-LARGEST_PICOS, LARGEST_PICOS)
COUNTS = st.integers(0, LARGEST_COUNT)
DURATIONS = st.none() | st.floats(0, allow_nan=False, allow_infinity=False)
TEXTS = st.text(max_size=60)
LAYER_NAMES = st.sampled_from(LAYERS) | st.from_regex(r"[a-z][a-z0-9_]{0,59}", fullmatch=True)


def row(**fields: Any) -> LedgerRow:
    """A request at noon that cost 1 of 3 micro-dollars, where `fields` do not say otherwise; its id is new."""
    plain = {"id": uuid.uuid4().hex, "time": NOON, "cost_micros": Decimal(1), "baseline_micros": Decimal(3)}
    return LedgerRow(**_in_picos(plain | {"saved": {"prompt_cache": Decimal(2)}} | fields))


def _in_picos(fields: dict[str, Any]) -> dict[str, Any]:
    """Tests speak of micro-dollars."""
    told = {name: value for name, value in fields.items() if name not in ("cost_micros", "baseline_micros", "saved")}
    told["cost_picos"] = picos_of(fields["cost_micros"])
    told["baseline_picos"] = picos_of(fields["baseline_micros"])
    told["saved_picos"] = {layer: picos_of(micros) for layer, micros in fields["saved"].items()}
    return told


@st.composite
def rows(draw: st.DrawFn, **fields: Any) -> LedgerRow:
    """Any request, also with savings that do not add up: the ledger keeps what it is given."""
    return LedgerRow(
        **{
            "id": uuid.uuid4().hex + draw(st.text(max_size=LONGEST_KEY - 32)),
            "time": draw(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))),  # noqa: DTZ001 -- bounds
            "cost_picos": draw(AMOUNTS),
            "baseline_picos": draw(AMOUNTS),
            "saved_picos": draw(st.dictionaries(LAYER_NAMES, AMOUNTS, max_size=4)),
            "project": draw(TEXTS),
            **{name: draw(TEXTS) for name in ("client", "dialect", "conversation", "model_requested", "model")},
            **{name: draw(TEXTS) for name in ("route_reason", "cache", "via")},
            **{name: draw(st.none() | TEXTS) for name in ("stop_reason", "error_class", "miss_cause", "route")},
            **{name: draw(COUNTS) for name in ("input_tokens", "cache_read_tokens", "cache_write_5m_tokens")},
            **{name: draw(COUNTS) for name in ("cache_write_1h_tokens", "output_tokens", "thinking_tokens")},
            **{name: draw(COUNTS) for name in ("status", "retries", "miss_tokens", "miss_picos")},
            **{name: draw(DURATIONS) for name in ("ttft_ms", "duration_ms", "overhead_ms")},
            **{name: draw(st.booleans()) for name in ("cancelled", "estimated", "holdout", "miss_ours")},
            "removed_tokens": draw(st.integers(-LARGEST_COUNT, LARGEST_COUNT)),
        }
        | fields
    )
