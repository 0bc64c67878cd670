"""The simulator refuses what the API refuses, and says so in the API's words."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.simulator.errors import ApiError
from sidecar.simulator.thinking_rules import ResponseMemory
from sidecar.simulator.validation import validate

OLDER = {"anthropic-version": "2023-06-01"}
OPUS, OPUS_5, SONNET, HAIKU_45, OPUS_46 = (
    "claude-opus-5-5",
    "claude-opus-5",
    "claude-sonnet-5-5",
    "claude-haiku-4-5",
    "claude-opus-4-6",
)
TOOL = {"name": "read", "input_schema": {"type": "object"}}
EPHEMERAL: dict[str, Any] = {"cache_control": {"type": "ephemeral"}}
ONE_HOUR: dict[str, Any] = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def said(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def calling(call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "read", "input": {}, **more}


def result(call_id: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": "done", **more}


GO = user(text("go"))
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}

SHAPES: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": ...}, "max_tokens: Field required"),
    ({"model": ...}, "model: Field required"),
    ({"colour": "red"}, "colour: Extra inputs are not permitted"),
    ({"temperature": 1}, "temperature: Extra inputs are not permitted"),
    ({"top_p": 0.5}, "top_p: Extra inputs are not permitted"),
    ({"top_k": 5}, "top_k: Extra inputs are not permitted"),
    ({"context_management": {}}, "context_management: Extra inputs are not permitted"),
    ({"max_tokens": "10"}, "max_tokens: Input should be a valid integer"),
    ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    (
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
    ),
    ({"messages": [{"role": "user", "content": "x", "name": "me"}]}, "messages.0.name: Extra inputs are not permitted"),
    ({"messages": [user({"type": "text"})]}, "messages.0.content.0.text.text: Field required"),
    ({"messages": [user(text("x", colour=1))]}, "messages.0.content.0.text.colour: Extra inputs are not permitted"),
    ({"messages": [user({"type": "sound"})]}, "messages.0.content.0: Input tag 'sound' found using 'type'"),
    ({"messages": [user({"text": "x"})]}, "messages.0.content.0.type: Field required"),
    ({"messages": [user("x")]}, "messages.0.content.0: Input should be a valid dictionary"),
    (
        {"messages": [user({**PNG, "source": {**PNG["source"], "media_type": "image/bmp"}})]},
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png'",
    ),
    (
        {"messages": [user({**PNG, "source": {**PNG["source"], "data": "%%%"}})]},
        "messages.0.content.0.image.source.base64.data: Invalid base64 data",
    ),
    (
        {"messages": [user({"type": "image", "source": {"type": "url", "url": "http://example.com/a.png"}})]},
        "messages.0.content.0.image.source.url.url: Only HTTPS URLs are supported.",
    ),
    ({"tools": [{"name": "read"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{**TOOL, "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    ({"tools": [{**TOOL, "name": "a.b"}]}, "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"),
    ({"tools": [{**TOOL, "name": "a" * 129}]}, "tools.0.custom.name: String should match pattern"),
    ({"tools": [{"type": "function", "function": TOOL}]}, "tools.0: Input tag 'function' found using 'type'"),
    ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice: Input should be a valid dictionary"),
    (
        {"cache_control": {"type": "ephemeral", "ttl": "2h"}},
        "cache_control.ephemeral.ttl: Input should be '5m' or '1h'",
    ),
    ({"metadata": {"name": "x"}}, "metadata.name: Extra inputs are not permitted"),
    (
        {"output_config": {"effort": "extreme"}},
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or",
    ),
]

CONVERSATIONS: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": [said(text("hi")), GO]}, 'messages: first message must use the "user" role'),
    ({"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty content"),
    ({"messages": [user()]}, "messages.0: all messages must have non-empty content"),
    ({"messages": [user(text(""))]}, "messages: text content blocks must be non-empty"),
    ({"messages": [user(text(" \n"))]}, "messages: text content blocks must contain non-whitespace text"),
    ({"system": [text("")]}, "system: text content blocks must be non-empty"),
    (
        {"messages": [{"role": "system", "content": "x"}]},
        'messages.0: "system" messages must come directly after a user',
    ),
    (
        {"messages": [GO, said(text("ok")), {"role": "system", "content": "x"}]},
        'messages.2: "system" messages must come directly after a user turn',
    ),
    (
        {"messages": [GO, {"role": "system", "content": "x"}], "model": SONNET},
        'messages: Unexpected role "system"',
    ),
    (
        {"messages": [user(calling("t1"))]},
        "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages",
    ),
    ({"messages": [GO, said(PNG), GO]}, "messages.1.content.0: `image` blocks can only be in `user` messages"),
    ({"messages": [GO, said(PDF), GO]}, "messages.1.content.0: `document` blocks can only be in `user` messages"),
    (
        {"messages": [user(text("x", citations=[{"type": "char_location"}]))]},
        "messages.0.content.0.text.citations: Extra inputs are not permitted",
    ),
    ({"messages": [GO, said(calling("t1")), GO], "tools": [TOOL]}, "messages.1: `tool_use` ids were found without"),
    ({"messages": [GO, said(calling("t1"))], "tools": [TOOL]}, "messages.1: `tool_use` ids were found without"),
    (
        {"messages": [GO, said(calling("t1"), calling("t2")), user(result("t1"))], "tools": [TOOL]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t2.",
    ),
    (
        {"messages": [GO, said(calling("t1")), user(text("first"), result("t1"))], "tools": [TOOL]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1.",
    ),
    ({"messages": [user(result("t9"))], "tools": [TOOL]}, "messages.0.content.0: unexpected `tool_use_id` found in"),
    (
        {"messages": [GO, said(calling("t1")), user(result("t1"), result("t1"))], "tools": [TOOL]},
        "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: t",
    ),
    (
        {
            "messages": [GO, said(calling("t1")), user(result("t1")), said(calling("t1")), user(result("t1"))],
            "tools": [TOOL],
        },
        "messages: `tool_use` ids must be unique",
    ),
    (
        {"messages": [GO, said(calling("t1")), user(result("t1"))]},
        "Requests which include `tool_use` or `tool_result` blocks must define tools",
    ),
    ({"messages": [GO, said(text("Sure"))]}, "This model does not support assistant message prefill."),
    (
        {"messages": [GO, said(text("Sure "))], "model": HAIKU_45},
        "messages: final assistant content cannot end with trailing whitespace",
    ),
]

SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": 128_001}, "max_tokens: 128001 > 128000, which is the maximum allowed number of output tokens for"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    (
        {"max_tokens": 0, "stream": True},
        "max_tokens: 0 only populates the prompt cache and cannot be combined with stream",
    ),
    ({"max_tokens": 0, "output_config": {"format": {"type": "json_schema", "schema": CLOSED}}}, "max_tokens: 0 only"),
    ({"thinking": {"type": "disabled"}}, '"thinking.type.disabled" is not supported for this model.'),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        '"thinking.type.enabled" is not supported for this model.',
    ),
    ({"thinking": {"type": "disabled"}, "model": SONNET}, '"thinking.type.disabled" is not supported for this model.'),
    (
        {"thinking": {"type": "adaptive"}, "model": HAIKU_45},
        '"thinking.type.adaptive" is not supported for this model.',
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 1023}, "model": HAIKU_45, "max_tokens": 4000},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "model": HAIKU_45, "max_tokens": 2000},
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
    ({"output_config": {"effort": "low"}, "model": HAIKU_45}, "This model does not support the effort parameter."),
    (
        {"output_config": {"effort": "xhigh"}, "model": OPUS_46},
        "output_config.effort: 'xhigh' is not supported on this model",
    ),
    ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    ({"tool_choice": {"type": "auto"}}, "tool_choice: tool_choice may only be specified while providing tools"),
    ({"tools": [TOOL], "tool_choice": {"type": "any"}}, "tool_choice: forced tool use ('any') is not supported"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "read"}, "model": SONNET},
        "tool_choice: forced tool use",
    ),
    (
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}, "model": OPUS_5},
        "Tool 'x' not found in provided tools",
    ),
    (
        {
            "tools": [TOOL],
            "tool_choice": {"type": "any"},
            "model": HAIKU_45,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "max_tokens": 2000,
        },
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    (
        {"tools": [{**TOOL, "strict": True}]},
        "tools.0.custom: For 'object' type, 'additionalProperties' must be explicitly",
    ),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
    ),
    (
        {"output_config": {"format": {"type": "json_schema", "schema": {"type": "integer", "minimum": 1}}}},
        "output_config.format.schema: For 'integer' type, properties minimum are not supported",
    ),
    ({"speed": "fast", "model": OPUS_5}, "speed: 'fast' is not supported for this model"),
    ({"stop_sequences": ["END", "\n"]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    ({"metadata": {"user_id": "me@example.com"}}, "metadata.user_id: user_id appears to contain an email address"),
    ({"messages": "x" * 2_800_000}, "prompt is too long: 1037042 tokens > 1000000 maximum"),
]

MARKS: list[tuple[dict[str, Any], str]] = [
    (
        {"messages": [user(*(text(str(n), **EPHEMERAL) for n in range(5)))]},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        {"messages": [user(*(text(str(n), **EPHEMERAL) for n in range(4)), text("end"))], **EPHEMERAL},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        {"messages": [user(text("x", **EPHEMERAL))], **ONE_HOUR},
        "cache_control: the last block already has a cache_control",
    ),
    (
        {"messages": [user(text("a", **EPHEMERAL), text("b", **ONE_HOUR))]},
        "messages.0.content.1.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m'",
    ),
    (
        {"messages": [GO, said({"type": "thinking", "thinking": "", "signature": "x", **EPHEMERAL}), GO]},
        "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
    ),
]


@pytest.mark.parametrize(
    ("fields", "sentence"), SHAPES + CONVERSATIONS + SETTINGS + MARKS, ids=lambda value: str(value)[:60]
)
async def test_a_mistake_is_refused_in_the_apis_words(ask: Any, fields: dict[str, Any], sentence: str) -> None:
    refusal = (await ask(**fields)).refusal
    assert refusal.startswith(sentence), refusal


ACCEPTED: list[dict[str, Any]] = [
    {"messages": [user(text("a")), user(text("b")), said(text("c")), said(text("d")), GO]},
    {"messages": [GO, {"role": "system", "content": "be brief"}]},
    {
        "messages": [GO, said(calling("t1"), calling("t2")), user(result("t2"), result("t1"), text("and"))],
        "tools": [TOOL],
    },
    {"messages": [GO, said(calling("t1"), calling("t2")), user(result("t1")), user(result("t2"))], "tools": [TOOL]},
    {"messages": [GO, said(calling("t1")), user(result("t1", content=[PNG, text("a"), PDF]))], "tools": [TOOL]},
    {"messages": [GO, said(calling("t1")), user(result("t1", content=""), text("go"))], "tools": [TOOL]},
    {"messages": [user(PNG, PDF, text("what?"))]},
    {"messages": [GO, said(text("Sure"))], "model": HAIKU_45},
    {"messages": [user(*(text(str(n), **EPHEMERAL) for n in range(4)))], **EPHEMERAL},
    {"messages": [user(text("a", **ONE_HOUR), text("b", **EPHEMERAL))]},
    {"system": ""},
    {"system": [text("a", cache_control=None)]},
    {"tools": [TOOL], "tool_choice": {"type": "any"}, "model": OPUS_5},
    {"tools": [TOOL], "tool_choice": {"type": "none"}},
    {"tools": [{"type": "web_search_20260318", "name": "web_search", "max_uses": 3}]},
    {"thinking": {"type": "between_tools"}, "model": SONNET},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}, "model": HAIKU_45, "max_tokens": 2000},
    {"thinking": {"type": "disabled"}, "model": OPUS_5},
    {"metadata": {"user_id": "user_0123abcd"}, "service_tier": "auto", "inference_geo": "us"},
    {"speed": "fast"},
    {"diagnostics": {"previous_message_id": None}},
]


@pytest.mark.parametrize("fields", ACCEPTED, ids=lambda value: str(value)[:60])
async def test_what_the_api_takes_is_taken(ask: Any, fields: dict[str, Any]) -> None:
    reply = await ask(**fields)
    assert reply.status == 200, reply.body


SAMPLING: list[tuple[str, dict[str, Any], str | None]] = [
    (HAIKU_45, {"temperature": 0.3}, None),
    (OPUS_46, {"temperature": 0}, None),
    (OPUS_46, {"top_k": 5}, None),
    (OPUS, {"temperature": 1}, None),
    (OPUS, {"temperature": 0.3}, "`temperature` is deprecated for this model."),
    (OPUS, {"top_p": 0.9}, "`top_p` is deprecated for this model."),
    (OPUS, {"top_k": 5}, "`top_k` is deprecated for this model."),
    (HAIKU_45, {"temperature": 1.5}, "temperature: range: 0..1"),
    (HAIKU_45, {"temperature": 1, "top_p": 0.5}, "`temperature` and `top_p` cannot both be specified"),
    (
        HAIKU_45,
        {"temperature": 0.5, "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
        "`temperature` may only be set to 1 when thinking is enabled.",
    ),
]


@pytest.mark.parametrize(("model", "fields", "sentence"), SAMPLING)
async def test_the_older_version_takes_sampling_where_the_model_does(
    ask: Any, model: str, fields: dict[str, Any], sentence: str | None
) -> None:
    reply = await ask(headers=OLDER, model=model, **fields)
    if sentence is None:
        assert reply.status == 200, reply.body
    else:
        assert reply.refusal.startswith(sentence)


async def test_the_older_version_takes_documents_from_the_assistant(ask: Any) -> None:
    assert (await ask(headers=OLDER, messages=[GO, said(PDF), GO])).status == 200


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("", "anthropic-version: header is required"),
        ("2020-01-01", 'anthropic-version: "2020-01-01" is not a valid version'),
    ],
)
async def test_the_version_header_is_needed(ask: Any, version: str, sentence: str) -> None:
    assert (await ask(headers={"anthropic-version": version})).refusal == sentence


async def test_a_beta_header_opens_its_fields(ask: Any) -> None:
    beta = {"anthropic-beta": "something-new-2026-11-01, context-management-2025-06-27"}
    assert (await ask(headers=beta, context_management={"edits": []})).status == 200


async def test_the_beta_of_scopes_opens_a_field_wherever_a_mark_may_stand(ask: Any) -> None:
    scoped = {"type": "ephemeral", "ttl": "1h", "scope": "global"}
    fields = {"system": [text("a", cache_control=scoped)], "messages": [user(text("b", cache_control=scoped))]}
    beta = {"anthropic-beta": "prompt-caching-scope-2026-01-05, claude-code-20250219"}
    assert (await ask(headers=beta, **fields)).status == 200
    assert "cache_control.ephemeral.scope: Extra inputs are not permitted" in (await ask(**fields)).refusal


@pytest.mark.parametrize("model", ["claude-sonnet-4-0", "claude-opus-4-1", "gpt-4o"])
async def test_a_retired_or_unknown_model_is_not_found(ask: Any, model: str) -> None:
    reply = await ask(model=model)
    assert reply.status == 404
    assert reply.json["error"] == {"type": "not_found_error", "message": f"model: {model}"}
    assert reply.json["request_id"] == reply.headers["request-id"]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": ""},
        {"x-api-key": "sk-wrong"},
        {"x-api-key": "", "authorization": "Bearer sk-wrong"},
        {"x-api-key": "", "authorization": ""},
    ],
)
async def test_a_wrong_or_missing_key_is_401(ask: Any, headers: dict[str, str]) -> None:
    reply = await ask(headers=headers)
    assert reply.status == 401
    assert reply.json["error"]["type"] == "authentication_error"


async def test_a_bearer_token_is_as_good_as_a_key(ask: Any) -> None:
    assert (await ask(headers={"x-api-key": "", "authorization": "Bearer sk-ant-simulated"})).status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"model": "\\ud800"}', b"[" * 100_000])
async def test_a_body_that_is_not_json_is_a_400(http: Any, body: bytes) -> None:
    assert (await http("POST", "/v1/messages", body=body)).refusal.startswith("The request body is not valid JSON")


async def test_a_body_past_the_limit_is_413(ask: Any, simulator: Any) -> None:
    simulator.max_body_bytes = 1_000
    reply = await ask(messages="x" * 1_000)
    assert reply.status == 413
    assert reply.json["error"]["type"] == "request_too_large"


async def test_count_tokens_takes_fewer_fields_and_no_length(ask: Any) -> None:
    path = "/v1/messages/count_tokens"
    counted = await ask(path=path, max_tokens=..., system="be brief", tools=[TOOL])
    assert counted.json.keys() == {"input_tokens"}
    whole = (await ask(system="be brief", tools=[TOOL])).usage["input_tokens"]
    assert counted.json["input_tokens"] == whole
    assert (await ask(path=path)).refusal == "max_tokens: Extra inputs are not permitted"
    forced = await ask(path=path, max_tokens=..., tools=[TOOL], tool_choice={"type": "any"})
    assert forced.refusal.startswith("tool_choice: forced tool use")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
VALID: dict[str, Any] = {
    "model": HAIKU_45,
    "max_tokens": 3000,
    "system": [text("s", **EPHEMERAL)],
    "tools": [TOOL, {"type": "web_search_20260318", "name": "web_search"}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "disabled"},
    "output_config": {"format": {"type": "json_schema", "schema": CLOSED}},
    "messages": [
        user(text("a"), PNG, PDF),
        said(text("b"), calling("t1")),
        user(result("t1", content=[text("c")]), text("d")),
    ],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in inner for place in places(child, (*path, key)))]


@given(st.sampled_from(places(VALID)[1:]), json_values)
def test_no_value_at_any_place_does_anything_but_pass_or_get_a_400(place: tuple[Any, ...], value: Any) -> None:
    request = json.loads(json.dumps(VALID))
    target = request
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with contextlib.suppress(ApiError):
        validate(request, {"anthropic-version": "2026-10-21"}, ResponseMemory())
