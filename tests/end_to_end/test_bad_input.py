"""More than twenty thousand requests that no sound client sends: each gets a clear answer, and nothing fails inside.

A case is a request that is valid, and then up to six things that are wrong with it: in the tree of its body, in its
bytes, in its headers. Hypothesis chooses the seed of each batch: a choice of its own for each of them would take longer
than the gateway does. The whole gateway runs, but for the sockets.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.in_process import KEY, Heard, InProcess, running

PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAAA="
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string", "enum": ["a"]}, "more": {"anyOf": [{"$ref": "#/$defs/x"}]}},
    "required": ["path"],
    "$defs": {"x": {"type": "array", "items": {"type": "integer"}}},
}
CHAT: dict[str, Any] = {
    "model": "sonnet",
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 100,
    "temperature": 0.5,
    "stop": ["x"],
    "n": 1,
    "tool_choice": {"type": "function", "function": {"name": "read"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}},
    "reasoning_effort": "low",
    "tools": [{"type": "function", "function": {"name": "read", "description": "d", "parameters": SCHEMA}}],
    "messages": [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": PNG}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path":"a"}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a file\n" * 30},
        {"role": "user", "content": "go on"},
    ],
}
NATIVE: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 2000,
    "stream": True,
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "adaptive"},
    "metadata": {"user_id": "u"},
    "tools": [{"name": "read", "description": "d", "input_schema": SCHEMA}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "hm"},
                {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "a file\n" * 30}]},
                {"type": "text", "text": "go on"},
            ],
        },
    ],
}
RESPONSES: dict[str, Any] = {
    "model": "sonnet",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "function_call", "call_id": "c1", "name": "read", "arguments": '{"path":"a"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "a file"},
    ],
    "instructions": "be brief",
    "tools": [{"type": "function", "name": "read", "parameters": SCHEMA}],
    "text": {"format": {"type": "text"}},
    "stream": False,
    "max_output_tokens": 100,
}
COMPLETION: dict[str, Any] = {"model": "sonnet", "prompt": "hello", "max_tokens": 9, "stop": ["x"], "stream": False}
BODIES = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": NATIVE,
    "/v1/messages/count_tokens": {name: NATIVE[name] for name in ("model", "system", "tools", "messages")},
    "/v1/responses": RESPONSES,
    "/v1/completions": COMPLETION,
}
HALVES = [["/v1/chat/completions", "/v1/responses", "/v1/completions"], ["/v1/messages", "/v1/messages/count_tokens"]]
BATCHES, BATCH = 410, 25
"""For each half: 20,500 cases together."""

SOUND_BODIES = {route: orjson.dumps(body) for route, body in BODIES.items()}

RAW = {
    "@@nan@@": b"NaN",
    "@@inf@@": b"-Infinity",
    "@@huge@@": b"1" + b"0" * 400,
    "@@exp@@": b"1e999",
    "@@half@@": b'"\\ud800"',
    "@@pair@@": b'"\\udc00\\ud800"',
    "@@twice@@": b'{"type":"text","type":"image","text":"a","text":7}',
    "@@deep@@": b"[" * 900 + b"]" * 900,
    "@@deeper@@": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "@@zero@@": b'"\\u0000"',
    "@@latin@@": b'"\xe9"',
}
"""What a JSON writer would not write, by what stands for it until the end."""
VALUES: list[Any] = [
    *RAW, None, True, 0, -1, 1, 2**53, 2**64 - 1, 1e308, 0.1, "", " ", "\n", "x", "user", "assistant", "system", "tool",
    "text", "image", "image_url", "tool_use", "tool_result", "thinking", "document", "input_audio", "function", "auto",
    "c1", "t1", "sonnet", "auto", "claude-opus-5", "../../etc/passwd", "http://127.0.0.1:1/x", "file:///etc/passwd",
    "data:image/png;base64,!!", "data:,", PNG, "\u202e\u2028", "\x1b[2J", "e\u0301" * 50, "🙂" * 20, "x" * 5000,
    "a line\n" * 400, [], {}, [[]], [{}], {"": None}, {"type": None}, {"type": "text"}, {"type": "text", "text": 7},
    {"type": "ephemeral", "ttl": "1h"}, {"role": "user", "content": "x"}, {"role": "assistant", "content": []},
    {"type": "tool_result", "tool_use_id": "nobody"}, {"type": "image", "source": {"type": "base64"}},
    {"type": "server_tool_use", "id": 3},
    {"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"$ref": "#"}, [None, 1, "x"],
]  # fmt: skip
OPERATIONS = ("replace", "remove", "add", "repeat", "wrap", "rename", "swap")
HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-type", b"text/plain"), (b"content-type", b"\xff"), (b"x-gateway-strict", b"1"),
    (b"x-gateway-bypass", b"1"), (b"x-gateway-cache-ttl", b"nan"), (b"x-gateway-cache-ttl", b"9" * 400),
    (b"cache-control", b"max-age=x, no-store,,=\xff"), (b"cache-control", b"max-age=" + b"9" * 5000),
    (b"x-project", b"../x\xff"), (b"x-project", b"none"), (b"anthropic-version", b"\xff\x00"),
    (b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b"a,,b\xe9, " + b"c" * 3000),
    (b"x-stainless-timeout", b"1e999"), (b"x-stainless-read-timeout", b"9" * 400), (b"content-encoding", b"gzip"),
    (b"content-length", b"9" * 5000), (b"content-length", b"-1"), (b"content-length", "９".encode()),
    (b"authorization", b""), (b"authorization", b"Bearer \xff"), (b"authorization", b"Bearer"),
    (b"user-agent", b"claude-cli/\xff (external)"), (b"user-agent", b"Cline/\x1b[2J"), (b"x-session-id", b"\x00" * 50),
    (b"x-claude-code-session-id", b"\xe9" * 300), (b"transfer-encoding", b"chunked"), (b"expect", b"100-continue"),
    (b"x-cgw-clock", b"nan"), (b"accept", b"\xff"), (b"origin", b"https://evil.example"), (b"host", b"evil.example"),
    (b"sec-fetch-site", b"cross-site"), (b"upgrade", b"websocket"), (b"x-gateway-session", b"%00\xf0"),
]  # fmt: skip
SOUND = [(b"host", b"127.0.0.1:4343"), (b"x-api-key", KEY.encode()), (b"content-type", b"application/json")]

Wounds = list[tuple[int, str, Any]]


def wounds(chance: random.Random) -> Wounds:
    return [
        (chance.randrange(10**4), chance.choice(OPERATIONS), chance.choice(VALUES))
        for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3)))
    ]


def strange_headers(chance: random.Random) -> list[tuple[bytes, bytes]]:
    strange = chance.sample(HEADERS, chance.choice((0, 0, 0, 0, 1, 1, 2)))
    names = {name for name, _ in strange}
    return [*(pair for pair in SOUND if pair[0] not in names), *strange]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    yield from running(tmp_path_factory.mktemp("home"))


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every place in a tree, as what holds it and where."""
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        holder = waiting.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in pairs:
            found.append((holder, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    return found


def wounded(sound: bytes, wounds: Wounds) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(sound)
    for where, operation, value in wounds:
        if not (found := places(body)):
            break
        holder, key = found[where % len(found)]
        value = copy.deepcopy(value)
        if operation == "replace":
            holder[key] = value
        elif operation == "remove":
            del holder[key]
        elif operation == "add":
            holder.update({str(value)[:40]: value}) if isinstance(holder, dict) else holder.insert(key, value)
        elif operation == "repeat":
            holder[key] = [holder[key]] * (where % 40)
        elif operation == "wrap":
            holder[key] = {"content": [holder[key], value]}
        elif operation == "rename" and isinstance(holder, dict):
            holder[str(value)[:40]] = holder.pop(key)
        elif operation == "swap":
            other_holder, other_key = found[(where * 7) % len(found)]
            holder[key] = copy.deepcopy(other_holder[other_key])
    return body


def written(body: dict[str, Any], chance: random.Random | None = None) -> bytes:
    content = orjson.dumps(body)
    if b"@@" in content:
        for stand_in, raw in RAW.items():
            content = content.replace(b'"%b"' % stand_in.encode(), raw)
    if chance is not None and chance.random() < 0.2:
        start = chance.randrange(len(content) + 1)
        content = content[:start] + chance.randbytes(chance.randrange(7)) + content[start + chance.randrange(40) :]
    return content


def check(app: InProcess, heard: Heard) -> None:
    assert app.complaints.records == [], app.complaints.records[0].getMessage()
    assert heard.status < 500, heard
    assert "x-request-id" in heard.headers
    for value in heard.headers.values():
        assert value.isprintable()
    if heard.status == 200:
        return
    error = orjson.loads(heard.body)["error"]
    assert error["message"]
    assert error["type"]


@settings(max_examples=BATCHES, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), database=None)
@given(st.integers(0, 2**64))
def batch(app: InProcess, routes: list[str], seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(BATCH):
        route = chance.choice(routes)
        content = written(wounded(SOUND_BODIES[route], wounds(chance)), chance)
        headers = strange_headers(chance)
        app.complaints.records.clear()
        try:
            check(app, app.ask("POST", route, headers, content))
        except Exception as error:
            raise AssertionError(f"{route} {headers} {content!r}") from error


@pytest.mark.parametrize("routes", HALVES, ids=["openai", "anthropic"])
def test_whatever_is_sent_gets_a_clear_answer(app: InProcess, routes: list[str]) -> None:
    tried = app.asked
    batch(app, routes)
    assert app.asked - tried >= BATCHES * BATCH


def test_the_bodies_that_are_wounded_are_sound(app: InProcess) -> None:
    for route in ("/v1/chat/completions", "/v1/messages", "/v1/messages/count_tokens"):
        assert app.ask("POST", route, SOUND, written(BODIES[route])).status == 200
