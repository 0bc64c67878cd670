"""What the API refuses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sidecar.simulator.errors import ApiError
from sidecar.simulator.models import Model, find


class ResponseMemory:
    """What was answered, by message id."""

    def __init__(self, *, limit: int = 2_000) -> None:
        self._known: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
        self._limit = limit

    def remember(self, message_id: str, blocks: list[dict[str, Any]]) -> None:
        self._known[message_id] = blocks
        while len(self._known) > self._limit:
            self._known.popitem(last=False)


def validate(request: Any, headers: Mapping[str, str], memory: ResponseMemory, *, counting: bool = False) -> Model:
    """The model of a request that the API would take. Raises ApiError."""
    model = find(request["model"])
    if model is None or model.lifecycle == "retired":
        raise ApiError(f"model: {request['model']}", 404)
    return model
