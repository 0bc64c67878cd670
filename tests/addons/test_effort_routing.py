"""Lower effort for turns that only read what a tool gave back: off by default, and only where it pays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addons.effort_routing import EffortRouting
from sidecar.accounts.prices import Prices
from sidecar.economy.effort import lower_effort
from sidecar.exchange import Json
from sidecar.projects.policy import Policy
from tests.support.talks import Talk, assistant, call, result, user

WANTED = Policy(switches={"route_effort": True})
LOOP = [user("Fix it."), assistant(call("1")), user(result("1", "ok"))]
RATES = Prices().row("claude-sonnet-5-5", datetime(2026, 11, 28, tzinfo=UTC)).base


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    talk = Talk(tmp_path, EffortRouting)
    yield talk
    talk.close()


def effort(talk: Talk, *messages: Json, policy: Policy = WANTED, **fields: Any) -> str | None:
    talk.send({"model": "sonnet", "messages": list(messages), **fields}, policy=policy)
    output = talk.exchange.request.get("output_config") or {}
    told: str | None = output.get("effort")
    return told


def test_it_is_off_unless_the_project_turns_it_on(talk: Talk) -> None:
    assert effort(talk, *LOOP, policy=Policy()) is None
    assert talk.exchange.decisions == []


def test_a_short_conversation_thinks_less_about_a_result_and_says_so(talk: Talk) -> None:
    assert effort(talk, *LOOP) == "low"
    assert talk.exchange.edited
    assert "output_config.effort=changed" in talk.noted[0]
    assert talk.exchange.decisions[0].layer == "effort_routing"


def test_a_long_warm_conversation_keeps_its_effort_and_says_why(talk: Talk) -> None:
    assert effort(talk, user("x" * 60_000), *LOOP[1:]) is None
    assert str(talk.exchange.decisions[0]).startswith("effort_routing: kept: 4 turns would save")


@pytest.mark.parametrize(
    ("messages", "fields"),
    [
        (LOOP[:1], {}),
        ([*LOOP[:2], user(result("1", "ok"), "And the docs.")], {}),
        (LOOP, {"output_config": {"effort": "low"}}),
        (LOOP, {"thinking": {"type": "enabled", "budget_tokens": 2_000}}),
    ],
)
def test_it_leaves_alone_what_the_user_says_and_what_the_client_set(
    talk: Talk, messages: list[Json], fields: dict[str, Any]
) -> None:
    before = (fields.get("output_config") or {}).get("effort")
    assert effort(talk, *messages, **fields) == before
    assert not talk.exchange.edited


@given(st.integers(0, 200_000), st.integers(1, 20), st.integers(1, 4_000), st.booleans())
def test_it_pays_only_where_less_output_is_worth_more_than_the_cache(
    messages: int, turns: int, output: int, lowered: bool
) -> None:
    trade = lower_effort(RATES, warm=messages, messages=messages, growth=0, output=output, turns=turns, lowered=lowered)
    assert trade.pays == (trade.saves > trade.cost)
    if not lowered:
        assert trade.cost == 2 * messages * (RATES.cache_write_5m - RATES.cache_read)
    assert trade.saves <= turns * output * RATES.output / 3
