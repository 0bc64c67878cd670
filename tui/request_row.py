"""One request as the dashboard knows it: the sidecar's row, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from sys import intern
from typing import Any, Literal

State = Literal["running", "ok", "failed", "left"]


@dataclass(frozen=True, slots=True)
class Miss:
    """Why Claude's prompt cache did not hold."""

    ours: bool
    cause: str
    tokens: int
    cost_picos: int


@dataclass(frozen=True, slots=True)
class RequestRow:
    """Money in pico-dollars, moments in epoch seconds (UTC), durations in milliseconds, None while not known."""

    id: str
    time: float
    state: State
    kind: str
    dialect: str
    stream: bool
    project: str
    client: str
    conversation: str
    model_asked: str
    model: str
    route_reason: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    thinking_tokens: int
    removed_tokens: int
    cache: str
    """Of our cache of answers: HIT, JOINED or MISS."""
    prompt_cache: str
    """How Claude's cache held what was sent before: hit, partly, miss, new or none."""
    cost_picos: int
    baseline_picos: int
    saved_picos: int
    saved_by: Mapping[str, int]
    estimated: bool
    first_byte_ms: float | None
    duration_ms: float | None
    overhead_ms: float | None
    status: int
    error: str | None
    stop_reason: str | None
    retries: int
    miss: Miss | None
    has_body: bool
    via: str

    @property
    def prompt_tokens(self) -> int:
        """Everything the model read, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def running(self) -> bool:
        return self.state == "running"

    def ticked(self, tick: Mapping[str, Any]) -> RequestRow:
        """With what has changed while it streams."""
        return replace(
            self,
            output_tokens=tick["output_tokens"],
            first_byte_ms=tick["first_byte_ms"],
            duration_ms=tick["elapsed_ms"],
        )


_FIELDS = tuple(name for name in RequestRow.__dataclass_fields__ if name not in {"miss", "saved_by"})
_REPEATED = ("state", "kind", "dialect", "project", "client", "conversation", "model_asked", "model", "route_reason",
             "cache", "prompt_cache", "via")  # fmt: skip
"""Fields of few different values: a hundred thousand rows share them."""


def row_from_wire(wire: Mapping[str, Any]) -> RequestRow:
    """Fields that this dashboard does not know are left out. Raises KeyError for one that is missing."""
    miss = wire["miss"]
    values = {name: wire[name] for name in _FIELDS}
    values |= {name: intern(wire[name]) for name in _REPEATED}
    return RequestRow(
        **values,
        saved_by={intern(layer): picos for layer, picos in wire["saved_by"].items()},
        miss=None if miss is None else Miss(miss["ours"], miss["cause"], miss["tokens"], miss["cost_picos"]),
    )
