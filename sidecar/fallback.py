"""Which model may answer in place of one that does not: chains that the user wrote, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sidecar.breaker import CODE as CIRCUIT_OPEN
from sidecar.breaker import is_failure
from sidecar.errors import GatewayError
from sidecar.exchange import FALLBACK, Exchange
from sidecar.models.catalogue import Catalogue


class Fallbacks:
    """`chains` has, by Claude id, the ids that may answer instead, in that order; `refuses` says of which model cgw
    keeps requests back for the moment."""

    def __init__(
        self,
        chains: Mapping[str, Iterable[str]] | None = None,
        *,
        catalogue: Catalogue,
        refuses: Callable[[str], bool] = lambda model: False,
    ) -> None:
        self._chains = {model: tuple(chain) for model, chain in (chains or {}).items()}
        self._catalogue = catalogue
        self._refuses = refuses

    def apply(self, exchange: Exchange) -> None:
        """Give it another model now where its own would be refused and the user allows one."""
        model = exchange.model
        if self._refuses(model):
            instead = self._next(exchange, model, (model,))
            if instead is not None:
                take(exchange, instead, f"{model} keeps failing")

    def after(self, exchange: Exchange, error: GatewayError, tried: Sequence[str]) -> str | None:
        """The next model of the chain of the first that was `tried`, once the last one failed with `error`; None where
        another model would not help or none is allowed."""
        if not is_unavailable(error):
            return None
        return self._next(exchange, tried[0], tried)

    def _next(self, exchange: Exchange, model: str, tried: Sequence[str]) -> str | None:
        if exchange.client_headers.get("x-gateway-strict") == "1":
            return None
        for instead in self._chains.get(model, ()):
            allowed = exchange.policy.allows(instead, self._catalogue.card(instead).line)
            if instead not in tried and allowed and not self._refuses(instead):
                return instead
        return None


def is_unavailable(error: GatewayError) -> bool:
    """Whether it is the model that cannot answer, and not the request that is wrong."""
    if error.code == CIRCUIT_OPEN or is_failure(error):
        return error.code not in ("upstream_unreachable", "upstream_untrusted")  # no model is reached there
    return error.upstream and error.status == 404 and error.kind == "not_found_error"


def take(exchange: Exchange, instead: str, because: str) -> None:
    """Go on with another model, and say so wherever the exchange is looked at."""
    said = f"{because}; the fallback {instead} was allowed"
    exchange.note("model", "changed", said)
    exchange.decide(FALLBACK, said, model=exchange.model, instead=instead)
    exchange.model = instead
    exchange.route_reason = FALLBACK
    exchange.fallback = because
