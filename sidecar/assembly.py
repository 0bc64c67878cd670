"""The last steps before the user's own addons: what the layers decided becomes the request, and theirs to write to."""

from __future__ import annotations

import marshal
from typing import Any

from sidecar.exchange import Exchange, Json
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


class OwnCopy:
    """A request shares its objects with earlier ones of its conversation. A user's addon may write to all of it."""

    def request(self, exchange: Exchange) -> None:
        exchange.request = own_copy(exchange.request)
        exchange.known = exchange.made = None  # nothing in it is an earlier request's object any more


def own_copy(request: Json) -> Any:
    """For code that is not ours; in a tenth of what `deepcopy` takes."""
    return marshal.loads(marshal.dumps(request))  # noqa: S302 - its own bytes, just written
