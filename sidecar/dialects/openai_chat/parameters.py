"""Everything in a request but its messages and tools: one table row per field.

A value that says what happens anyway (`n: 1`, `logprobs: false`) is passed over without a note.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sidecar.dialects.openai_chat.content import is_blank, mark_of
from sidecar.dialects.openai_chat.notes import Notes
from sidecar.dialects.openai_chat.reading import array, flag, mapping, number, text, whole
from sidecar.dialects.openai_chat.response_format import read_response_format
from sidecar.dialects.openai_chat.schema_limits import SchemaLimits
from sidecar.errors import invalid_request
from sidecar.exchange import Json

MOST_CHOICES = 8
"""Each is a call of its own, paid in full."""

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

WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "store": (False,),
    "prediction": (),
    "prompt_cache_key": (),
    "prompt_cache_retention": (),
    "prompt_cache_options": (),
}
"""Fields that cannot change the answer, with the values that need no note."""

NOT_HONOURED: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "presence_penalty": (0,),
    "seed": (),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
"""Fields that Claude has nothing for, with the values that ask for what happens anyway."""

READ_ELSEWHERE = frozenset({
    "messages", "system", "model", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls",
})  # fmt: skip

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


def read_parameters(body: Json, limits: SchemaLimits, notes: Notes) -> Parameters:
    """`limits` says what is left for a schema of the answer."""
    parameters = Parameters(limits)
    for key, value in body.items():
        if value is None or key in READ_ELSEWHERE:
            continue
        if (reader := _READERS.get(key)) is not None:
            reader(parameters, key, value, notes)
        if key in WITHOUT_EFFECT:
            if value not in WITHOUT_EFFECT[key]:
                notes.add(key, "ignored", "without effect here")
        elif key in NOT_HONOURED:
            if value not in NOT_HONOURED[key]:
                notes.add(key, "dropped", "Claude has no such setting")
        elif reader is None:
            notes.add(key, "dropped", "not known to Claude")
    _put_user_id(parameters, notes)
    return parameters


def _max_tokens(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    # Of two limits the larger: a client's own limit is never lowered.
    limit = whole(value, key, 1)
    parameters.request["max_tokens"] = max(limit, parameters.request.get("max_tokens", 0))


def _within(low: float, high: float) -> _Reader:
    def read(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
        parameters.request[key] = number(value, key, low, high)

    return read


def _stop(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    listed = [value] if type(value) is str else array(value, key)
    wanted = parameters.request.get("stop_sequences", [])
    for index, entry in enumerate(listed):
        sequence = text(entry, f"{key}[{index}]")
        if sequence.isspace():
            notes.add(key, "dropped", "a blank stop sequence, which Claude refuses")
        elif sequence and sequence not in wanted:
            wanted.append(sequence)
    if wanted:
        parameters.request["stop_sequences"] = wanted


def _n(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.n = whole(value, key, 1, MOST_CHOICES)


def _stream(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.stream = flag(value, key)


def _stream_options(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    for option, wanted in mapping(value, key).items():
        if option == "include_usage" and wanted is not None:
            parameters.include_usage = flag(wanted, f"{key}.{option}")
        elif wanted:
            notes.add(f"{key}.{option}", "ignored", "without effect here")


def _user(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    user = text(value, key)
    if is_blank(user) or user == parameters.user_id:
        return
    if parameters.user_id is not None:
        notes.add(key, "ignored", f"{parameters.user_field} names the user already")
        return
    parameters.user_id, parameters.user_field = user, key


def _metadata(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    labels = mapping(value, key)
    if type(user := labels.get("user_id")) is str:
        _user(parameters, f"{key}.user_id", user, notes)
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


def _service_tier(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
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


def _reasoning_effort(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    effort = text(value, key)
    if effort == "none":
        parameters.request.setdefault("thinking", {"type": "disabled"})
        return
    if effort not in EFFORTS:
        raise invalid_request(f"{key}: there are none, {', '.join(EFFORTS)}, not {effort[:60]!r}.", param=key)
    if EFFORTS[effort] != effort:
        notes.add(key, "mapped", f"sent as {EFFORTS[effort]}")
    parameters.request.setdefault("output_config", {}).setdefault("effort", EFFORTS[effort])


def _response_format(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    wanted, parameters.instruction = read_response_format(value, parameters.limits, notes)
    if wanted is not None:
        parameters.request.setdefault("output_config", {}).setdefault("format", wanted)


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


_Reader = Callable[[Parameters, str, Any, Notes], None]

NATIVE: dict[str, _Reader] = {
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

_READERS: dict[str, _Reader] = {
    "max_completion_tokens": _max_tokens,
    "max_tokens": _max_tokens,
    "temperature": _within(0, 2),
    "top_p": _within(0, 1),
    "stop": _stop,
    "stop_sequences": _stop,
    "n": _n,
    "stream": _stream,
    "stream_options": _stream_options,
    "user": _user,
    "safety_identifier": _user,
    "metadata": _metadata,
    "service_tier": _service_tier,
    "reasoning_effort": _reasoning_effort,
    "response_format": _response_format,
} | NATIVE
