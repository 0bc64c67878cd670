"""The last step before the user's own addons: what the layers decided becomes the request."""

from __future__ import annotations

from sidecar.exchange import Exchange
from sidecar.models.catalogue import Catalogue


class Assembly:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def request(self, exchange: Exchange) -> None:
        if exchange.prompt is None:
            return
        if exchange.unassembled is None:
            exchange.unassembled = exchange.request
        takes_mid_system = self._catalogue.card(exchange.model).takes_mid_system
        prompt, exchange.prompt = exchange.prompt, None  # should it fail, nothing is remembered as sent
        assembled = prompt.assemble(exchange.unassembled, takes_mid_system=takes_mid_system)
        exchange.prompt = prompt
        if assembled is not exchange.request:
            exchange.request = assembled
            exchange.edited = True
