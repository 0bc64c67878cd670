"""Which requests are equal, so that one answer serves them all.

The key covers the whole request as the client meant it, before any layer acted, and in no dialect: the same question
has the same key on `/v1/chat/completions` and on `/v1/messages`, streamed or not. Left out is only what cannot change
the answer: whether it streams, cache markers, and who asks (`UNRELATED`). A field that nobody here has heard of counts.

The order of keys inside tools, schemas and blocks counts as the client wrote it. It may change an answer (the
properties of a schema come out in their order), and clients write the same request in the same order; only the order of
the top-level fields, which is the dialects' own, does not count.

The model counts as it was resolved, since two names of one model are one question, together with what may still
change it afterwards: the effort that the name carried, whether routing may act, which models the project may use, and
what of the choice was left to us (`auto`, `auto:best`). What routing then chooses, by the task or by what is warm, is a
good answer to the question, and serves the next one who asks it.

Where the answer comes from counts too (the address, the API version): a simulated Claude must never answer for the
real one, whatever Redis two sidecars share.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import orjson

from sidecar.exchange import Exchange, Json
from sidecar.prompt import Prompt

FORMAT: Final = 2
"""Part of every key: raise it when the same key would mean something else."""
KEY_BYTES: Final = 20

IN_THE_PROMPT: Final = frozenset({"tools", "system", "messages"})
"""Hashed already, block by block and without their cache markers."""
WITHIN: Final = frozenset({"role", "content", "cache_control"})
"""Of a message: what is hashed with its blocks, or does not count."""
UNRELATED: Final = frozenset({"model", "stream", "cache_control", "diagnostics", "metadata", "service_tier"})
"""Top-level fields that do not change the answer, or (`model`) count in another form."""

SERVER_HELD: Final = ("thread", "container", "mcp_servers")
"""Fields of requests whose answer depends on what somebody else holds, or changes it."""
CLIENT_SIDE_TOOLS: Final = ("custom", "bash_", "text_editor_", "memory_", "computer_", "browser_", "tool_search_tool_")
"""How the types begin of tools that run at the client, or that only look into the request (tool search). All others
run at Anthropic's, with effects (code execution) or on a world that changes (web search)."""

HEADERS: Final = 512
"""Names of which it is remembered whether they count."""
OUR_OWN: Final = frozenset({"x-gateway-bypass", "x-gateway-cache-ttl"})
"""Of the headers that begin with `x-gateway-`, those that say nothing of the answer."""


def may_share(exchange: Exchange, *, sampled: bool) -> bool:
    """Whether the answer may be somebody else's too. With `sampled`, also where a temperature asks for variety."""
    request = exchange.request
    return (
        exchange.prompt is not None
        and exchange.choices == 1
        and not exchange.bypass
        and (request.keys().isdisjoint(SERVER_HELD) or not any(request.get(name) for name in SERVER_HELD))
        and all(map(_run_at_the_client, {str(tool.get("type") or "custom") for tool in request.get("tools") or ()}))
        and (sampled or not _varies(request))
    )


def request_key(exchange: Exchange, prompt: Prompt, *, upstream: str, api_version: str, routing: bool) -> str:
    """In hexadecimal. `upstream` is Claude's address, `api_version` what is spoken where the client names none,
    `routing` whether the gateway may choose another model."""
    policy = exchange.policy
    told = [
        FORMAT,
        upstream,
        exchange.project,
        exchange.model_resolved,
        exchange.effort_hint,
        routing and [exchange.wish, policy.models, policy.denied],
        prompt.chain[-1].hex(),
        _shape(exchange).hex(),
        _fields(exchange.request),
        _headers(exchange, api_version),
        exchange.query,
    ]
    return blake2b(orjson.dumps(told), digest_size=KEY_BYTES).hexdigest()


Shapes = list[bytes]
"""A rolling hash over the messages of a request, see `_shape`."""


def _shape(exchange: Exchange) -> bytes:
    """Where messages begin and end, and what they say beside their content: the chain knows only blocks."""
    known = exchange.known
    shapes = known.made.shapes[: known.messages] if known is not None and known.made.shapes is not None else []
    shape = shapes[-1] if shapes else b""
    for message in exchange.request["messages"][len(shapes) :]:
        content = message.get("content")
        blocks = len(content) if isinstance(content, list) else content is not None
        plain = message.keys() <= WITHIN
        beside = {} if plain else {name: value for name, value in message.items() if name not in WITHIN}
        told = orjson.dumps([message["role"], int(blocks), beside])
        shape = blake2b(shape + told, digest_size=KEY_BYTES).digest()
        shapes.append(shape)
    if exchange.made is not None:
        exchange.made.shapes = shapes
    return shape


def _fields(request: Json) -> list[tuple[str, Any]]:
    counting = request.keys() - UNRELATED - IN_THE_PROMPT
    return sorted([(name, value) for name in counting if (value := request[name]) is not None])


def _headers(exchange: Exchange, api_version: str) -> list[tuple[str, Any]]:
    headers = {"anthropic-version": api_version, **exchange.client_headers}
    told: list[tuple[str, Any]] = [(name, headers[name]) for name in headers if speaks_of_the_answer(name)]
    return sorted([(name, _betas(value) if name == "anthropic-beta" else value) for name, value in told])


def _betas(value: str) -> list[str]:
    return sorted({beta.strip() for beta in value.split(",")} - {""})


@lru_cache(HEADERS)
def speaks_of_the_answer(header: str) -> bool:
    return header.startswith(("anthropic-", "x-gateway-")) and header not in OUR_OWN


def _run_at_the_client(tool_type: str) -> bool:
    return tool_type.startswith(CLIENT_SIDE_TOOLS)


def _varies(request: Json) -> bool:
    temperature = request.get("temperature")
    return isinstance(temperature, int | float) and temperature > 0
