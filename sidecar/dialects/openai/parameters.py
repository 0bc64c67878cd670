"""Everything in a request but its conversation and its tools: one table row per field.

A value that says what happens anyway (`n: 1`, `logprobs: false`) is passed over without a note.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.dialects.openai.content import is_blank, mark_of
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import flag, mapping, number, text, whole
from sidecar.dialects.openai.schema_limits import SchemaLimits
from sidecar.errors import invalid_request
from sidecar.exchange import Json

USER_ID_LENGTH = 256
"""Characters that Claude takes in `metadata.user_id`."""

EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
"""`reasoning_effort` -> `output_config.effort`; `none` turns thinking off instead."""

SERVICE_TIERS = {
    "auto": None,
    "default": "standard_only",
    "standard_only": "standard_only",
    "priority": "auto",
    "fast": "auto",
    "scale": "auto",
    "flex": None,
}
"""OpenAI's tier -> Claude's; None is Claude's default. Claude has no cheaper, slower tier within one request."""

_ADDRESS = re.compile(r"[^@\s]@[^@\s]+\.[^@\s]")
_TELEPHONE = re.compile(r"\+[\d\s().-]{7,}")


@dataclass(slots=True)
class Parameters:
    limits: SchemaLimits
    request: Json = field(default_factory=dict)
    """Fields of the inner form."""
    instruction: str | None = None
    """What the model must be asked in words."""
    n: int = 1
    stream: bool = False
    include_usage: bool = False
    user_id: str | None = None
    user_field: str = ""


Reader = Callable[[Parameters, str, Any, Notes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of one dialect's request."""

    readers: Mapping[str, Reader]
    without_effect: Mapping[str, tuple[Any, ...]]
    """Fields that cannot change the answer, with the values that need no note."""
    not_honoured: Mapping[str, tuple[Any, ...]]
    """Fields that Claude has nothing for, with the values that ask for what happens anyway."""
    read_elsewhere: frozenset[str]


def read_parameters(body: Json, fields: Fields, limits: SchemaLimits, notes: Notes) -> Parameters:
    """`limits` says what is left for a schema of the answer."""
    parameters = Parameters(limits)
    for key, value in body.items():
        if value is None or key in fields.read_elsewhere:
            continue
        if (reader := fields.readers.get(key)) is not None:
            reader(parameters, key, value, notes)
        if key in fields.without_effect:
            if value not in fields.without_effect[key]:
                notes.add(key, "ignored", "without effect here")
        elif key in fields.not_honoured:
            if value not in fields.not_honoured[key]:
                notes.add(key, "dropped", "Claude has no such setting")
        elif reader is None:
            notes.add(key, "dropped", "not known to Claude")
    _put_user_id(parameters, notes)
    return parameters


def read_max_tokens(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    # Of two limits the larger: a client's own limit is never lowered.
    limit = whole(value, key, 1)
    parameters.request["max_tokens"] = max(limit, parameters.request.get("max_tokens", 0))


def within(low: float, high: float) -> Reader:
    def read(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
        parameters.request[key] = number(value, key, low, high)

    return read


def read_stream(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.stream = flag(value, key)


def read_stream_options(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    for option, wanted in mapping(value, key).items():
        if option == "include_usage" and wanted is not None:
            parameters.include_usage = flag(wanted, f"{key}.{option}")
        elif wanted:
            notes.add(f"{key}.{option}", "ignored", "without effect here")


def read_user(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    user = text(value, key)
    if is_blank(user) or user == parameters.user_id:
        return
    if parameters.user_id is not None:
        notes.add(key, "ignored", f"{parameters.user_field} names the user already")
        return
    parameters.user_id, parameters.user_field = user, key


def read_metadata(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    labels = mapping(value, key)
    if type(user := labels.get("user_id")) is str:
        read_user(parameters, f"{key}.user_id", user, notes)
    if labels.keys() - {"user_id"}:
        notes.add(key, "ignored", "without effect here")


def _put_user_id(parameters: Parameters, notes: Notes) -> None:
    user = parameters.user_id
    if user is None:
        return
    if len(user) > USER_ID_LENGTH or _ADDRESS.search(user) or _TELEPHONE.fullmatch(user.strip()):
        # Claude wants an opaque identifier, and refuses one with an address in it.
        user = hashlib.sha256(user.encode(errors="surrogatepass")).hexdigest()
        notes.add(parameters.user_field, "mapped", "sent as its SHA-256: Claude wants an opaque id")
    parameters.request["metadata"] = {"user_id": user}


def read_service_tier(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    tier = text(value, key)
    if tier not in SERVICE_TIERS:
        raise invalid_request(f"{key}: there are {', '.join(SERVICE_TIERS)}, not {tier[:60]!r}.", param=key)
    ours = SERVICE_TIERS[tier]
    if ours is not None:
        parameters.request["service_tier"] = ours
    if tier == "flex":
        notes.add(key, "ignored", "Claude has no such tier")
    elif ours is not None and ours != tier:
        notes.add(key, "mapped", f"sent as {ours}")


def read_effort(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    effort = text(value, key)
    if effort == "none":
        parameters.request.setdefault("thinking", {"type": "disabled"})
        return
    if effort not in EFFORTS:
        raise invalid_request(f"{key}: there are none, {', '.join(EFFORTS)}, not {effort[:60]!r}.", param=key)
    if EFFORTS[effort] != effort:
        notes.add(key, "mapped", f"sent as {EFFORTS[effort]}")
    parameters.request.setdefault("output_config", {}).setdefault("effort", EFFORTS[effort])


def _output_config(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.request[key] = parameters.request.get(key, {}) | mapping(value, key)


def _native_object(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.request[key] = mapping(value, key)


def _native_text(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.request[key] = text(value, key)


def _top_k(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.request[key] = whole(value, key, 0)


def _cache_control(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.request[key] = mark_of({key: value}, "request")


def _container(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.request[key] = value if type(value) is str else mapping(value, key)


NATIVE: dict[str, Reader] = {
    "thinking": _native_object,
    "output_config": _output_config,
    "cache_control": _cache_control,
    "top_k": _top_k,
    "speed": _native_text,
    "inference_geo": _native_text,
    "container": _container,
    "diagnostics": _native_object,
}
"""Claude's own fields, which clients add through `extra_body`: those its Messages API takes without a beta header."""
