"""Asks Anthropic why a prompt cache did not hold: its own diagnosis, next to our guess."""

from __future__ import annotations

from sidecar.exchange import Exchange
from sidecar.services import Services


class CacheDiagnosis:
    """Names the conversation's previous answer, which only a gateway still knows. A client's own `diagnostics` stay."""

    def __init__(self, services: Services) -> None:
        self._enabled = services.settings.enable_anthropic_cache_control

    def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        enabled = exchange.policy.switch("enable_anthropic_cache_control", self._enabled)
        if prompt is None or exchange.bypass or not enabled or "diagnostics" in exchange.request:
            return
        if prompt.line is not None and prompt.line.last_message is not None:
            exchange.request = {**exchange.request, "diagnostics": {"previous_message_id": prompt.line.last_message}}
            exchange.edited = True
