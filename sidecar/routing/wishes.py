"""Whether routing acts on a request at all: what its client asked for, and what its project wants."""

from __future__ import annotations

from sidecar.config import Settings
from sidecar.exchange import Exchange
from sidecar.headers import ROUTING, USE_MODEL


def acts_on(exchange: Exchange, settings: Settings) -> bool:
    """A model left to us is always routed, a named one only where the project wants that; neither where the client says
    that it wants none, or names its model in a header."""
    switch, headers = exchange.policy.switch, exchange.client_headers
    if not switch("enable_smart_routing", settings.enable_smart_routing) or headers.get(ROUTING, "").lower() == "off":
        return False
    if exchange.wish is not None:
        return True
    return USE_MODEL not in headers and switch("route_named_models", settings.route_named_models)
