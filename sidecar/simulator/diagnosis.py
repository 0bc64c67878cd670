"""Why a prompt was not read from the cache: compares a request with the one its client names as the previous one."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sidecar.simulator.caching import Reading, effort_setting, thinking_setting
from sidecar.simulator.models import Model
from sidecar.simulator.prompt import PromptBlock


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    model: str
    tools: bytes
    system: bytes
    messages: tuple[bytes, ...]
    settings: str
    cached_tokens: int
    """What the next request could have read."""


class Diagnoses:
    """The fingerprints of the last `limit` answers, by message id."""

    def __init__(self, *, limit: int = 2_000) -> None:
        self._known: OrderedDict[str, _Fingerprint] = OrderedDict()
        self._limit = limit

    def compare(
        self, message_id: str, request: dict[str, Any], blocks: list[PromptBlock], model: Model, reading: Reading
    ) -> dict[str, Any] | None:
        """Remembers this request under the id of its answer and returns the `diagnostics` of the response."""
        current = _fingerprint(request, blocks, model, reading)
        self._known[message_id] = current
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
        previous_id = (request.get("diagnostics") or {}).get("previous_message_id")
        if previous_id is None:
            return None
        previous = self._known.get(previous_id)
        if previous is None:
            return {"cache_miss_reason": {"type": "previous_message_not_found"}}
        reason = _first_difference(previous, current)
        if reason is None:
            return None
        if reason == "unavailable":
            return {"cache_miss_reason": {"type": reason}}
        missed = max(0, previous.cached_tokens - reading.read)
        return {"cache_miss_reason": {"type": reason, "cache_missed_input_tokens": missed}}


def _fingerprint(request: dict[str, Any], blocks: list[PromptBlock], model: Model, reading: Reading) -> _Fingerprint:
    zones: dict[str, list[bytes]] = {"tools": [], "system": [], "messages": []}
    for block in blocks:
        zones[block.zone].append(hashlib.sha256(block.role.encode() + b"/" + block.content).digest()[:16])
    settings = repr(
        (
            thinking_setting(request, model),
            effort_setting(request, model),
            request.get("tool_choice"),
            request.get("speed"),
            (request.get("output_config") or {}).get("format"),
        )
    )
    return _Fingerprint(
        model.id,
        b"".join(zones["tools"]),
        b"".join(zones["system"]),
        tuple(zones["messages"]),
        settings,
        reading.read + reading.write_5m + reading.write_1h,
    )


def _first_difference(previous: _Fingerprint, current: _Fingerprint) -> str | None:
    if previous.model != current.model:
        return "model_changed"
    if previous.tools != current.tools:
        return "tools_changed"
    if previous.system != current.system:
        return "system_changed"
    if current.messages[: len(previous.messages)] != previous.messages:
        return "messages_changed"
    return "unavailable" if previous.settings != current.settings else None
