"""Chains of models: who may answer in place of one that does not, and for which failures."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sidecar.errors import GatewayError
from sidecar.fallback import Fallbacks, is_unavailable
from sidecar.headers import route_of
from sidecar.models.catalogue import Catalogue
from sidecar.projects.policy import Policy
from tests.support.exchanges import an_exchange

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
OVERLOADED = GatewayError("overloaded_error", "busy", status=529, upstream=True)


def chain(*, refused: Sequence[str] = ()) -> Fallbacks:
    return Fallbacks({OPUS: [SONNET, HAIKU]}, catalogue=Catalogue(), refuses=lambda model: model in refused)


def test_the_chain_is_gone_along_in_its_order_and_ends() -> None:
    exchange = an_exchange(model=OPUS)
    assert chain().after(exchange, OVERLOADED, [OPUS]) == SONNET
    assert chain().after(exchange, OVERLOADED, [OPUS, SONNET]) == HAIKU
    assert chain().after(exchange, OVERLOADED, [OPUS, SONNET, HAIKU]) is None
    assert chain().after(exchange, OVERLOADED, [SONNET]) is None


def test_nothing_is_chosen_that_the_project_may_not_use_or_that_fails_too() -> None:
    denied = an_exchange(model=OPUS, policy=Policy(denied=("sonnet",)))
    assert chain().after(denied, OVERLOADED, [OPUS]) == HAIKU
    assert chain(refused=[SONNET]).after(an_exchange(model=OPUS), OVERLOADED, [OPUS]) == HAIKU


def test_strict_clients_get_the_error() -> None:
    strict = an_exchange(model=OPUS, client_headers={"x-gateway-strict": "1"})
    assert chain().after(strict, OVERLOADED, [OPUS]) is None
    chain(refused=[OPUS]).apply(strict)
    assert (strict.model, strict.notes) == (OPUS, [])


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (OVERLOADED, True),
        (GatewayError("api_error", "x", status=500, upstream=True), True),
        (GatewayError("not_found_error", "model: x", upstream=True), True),
        (GatewayError("overloaded_error", "x", status=503, code="circuit_open"), True),
        (GatewayError("api_error", "x", status=502, code="upstream_unreachable", upstream=True), False),
        (GatewayError("rate_limit_error", "x", upstream=True), False),
        (GatewayError("invalid_request_error", "x", upstream=True), False),
        (GatewayError("authentication_error", "x", upstream=True), False),
        (GatewayError("not_found_error", "x"), False),
        (GatewayError("api_error", "cgw failed inside"), False),
    ],
)
def test_only_failures_that_another_model_would_not_have_count(error: GatewayError, helps: bool) -> None:
    assert is_unavailable(error) is helps


def test_a_model_that_is_kept_back_is_replaced_before_it_is_asked() -> None:
    exchange = an_exchange(model=OPUS)
    chain().apply(exchange)
    assert exchange.model == OPUS
    chain(refused=[OPUS]).apply(exchange)
    assert (exchange.model, exchange.route_reason) == (SONNET, "fallback")
    assert "fallback claude-sonnet-5-5 was allowed" in str(exchange.notes[0])
    assert route_of(exchange) == f"{SONNET}; reason=fallback; {OPUS} keeps failing"
