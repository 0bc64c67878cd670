"""Which requests are equal: all that can change an answer counts, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dialects import openai_chat
from sidecar.exchange import Exchange, Json
from sidecar.memory import ConversationMemory
from sidecar.projects.policy import Policy
from sidecar.replies.request_key import may_share, request_key
from tests.support.exchanges import an_exchange

SONNET = "claude-sonnet-5-5"
TOOL = {"name": "read", "description": "Reads.", "input_schema": {"type": "object", "properties": {"a": {}, "b": {}}}}
REQUEST: Json = {
    "model": "sonnet",
    "max_tokens": 100,
    "system": "Be brief.",
    "tools": [TOOL],
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "?"},
    ],
}


def known(request: Json = REQUEST, **fields: Any) -> Exchange:
    exchange = an_exchange(**{"request": orjson.loads(orjson.dumps(request)), "model_resolved": SONNET} | fields)
    asyncio.run(ConversationMemory().request(exchange))
    return exchange


def key(request: Json = REQUEST, **fields: Any) -> str:
    around: dict[str, Any] = {"upstream": "https://api.anthropic.com", "api_version": "2026-10-21", "routing": True}
    around |= {name: fields.pop(name) for name in list(fields) if name in around}
    exchange = known(request, **fields)
    assert exchange.prompt is not None
    return request_key(exchange, exchange.prompt, **around)


def with_(**fields: Any) -> Json:
    return {**REQUEST, **fields}


MARKED = [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize(
    "request_",
    [
        with_(stream=True),
        with_(metadata={"user_id": "me"}),
        with_(cache_control={"type": "ephemeral"}),
        with_(service_tier="auto"),
        with_(temperature=None),
        with_(model="claude-sonnet-latest"),
        with_(system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]),
        with_(tools=[{**TOOL, "cache_control": {"type": "ephemeral"}}]),
        with_(messages=[{"role": "user", "content": MARKED}, *REQUEST["messages"][1:]]),
        dict(reversed(REQUEST.items())),
    ],
    ids=lambda request: str(request)[-60:],
)
def test_what_cannot_change_the_answer_does_not_count(request_: Json) -> None:
    assert key(request_) == key()


@pytest.mark.parametrize(
    "request_",
    [
        with_(max_tokens=101),
        with_(temperature=0),
        with_(stop_sequences=["x"]),
        with_(tool_choice={"type": "any"}),
        with_(thinking={"type": "adaptive"}),
        with_(output_config={"effort": "low"}),
        with_(a_field_of_tomorrow=1),
        with_(inference_geo="us"),
        with_(system="Be brief!"),
        with_(system=[{"type": "text", "text": "Be"}, {"type": "text", "text": " brief."}]),
        with_(tools=[{**TOOL, "input_schema": {"type": "object", "properties": {"b": {}, "a": {}}}}]),
        with_(tools=[{**TOOL, "description": "Reads a file."}]),
        with_(messages=REQUEST["messages"][:1]),
        with_(messages=[{**REQUEST["messages"][0], "beside": 1}, *REQUEST["messages"][1:]]),
        with_(
            messages=[{"role": "user", "content": "hi"}, {"role": "user", "content": "yes?"}, *REQUEST["messages"][2:]]
        ),
    ],
    ids=lambda request: str(request)[-60:],
)
def test_what_can_change_the_answer_counts(request_: Json) -> None:
    assert key(request_) != key()


def test_two_messages_are_not_one_of_both_their_blocks() -> None:
    text = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    one = {"messages": [{"role": "user", "content": text}]}
    two = {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}
    assert key(one) != key(two)
    assert key({"messages": [{"role": "user", "content": text[:1]}]}) == key(
        {"messages": [{"role": "user", "content": "a"}]}
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"project": "other"},
        {"model_resolved": "claude-opus-5-5"},
        {"effort_hint": "high"},
        {"wish": "auto"},
        {"wish": "best"},
        {"policy": Policy(models=("haiku",))},
        {"routing": False},
        {"upstream": "http://127.0.0.1:4000"},
        {"api_version": "2023-06-01"},
        {"query": "beta=true"},
        {"client_headers": {"anthropic-beta": "interleaved-thinking-2025-05-14"}},
        {"client_headers": {"anthropic-version": "2023-06-01"}},
        {"client_headers": {"x-gateway-strict": "1"}},
    ],
    ids=str,
)
def test_what_stands_around_the_request_counts_where_it_can_change_the_answer(fields: dict[str, Any]) -> None:
    assert key(**fields) != key()


@pytest.mark.parametrize(
    "fields",
    [
        {"stream": False},
        {"dialect": "anthropic_messages"},
        {"client": "cline"},
        {"conversation": "another"},
        {"model_asked": "claude-sonnet"},
        {"client_headers": {"anthropic-version": "2026-10-21"}},
        {"client_headers": {"user-agent": "x", "x-session-id": "1", "cache-control": "max-age=3"}},
        {"client_headers": {"x-gateway-cache-ttl": "3"}},
    ],
    ids=str,
)
def test_what_only_says_who_asks_and_how_does_not_count(fields: dict[str, Any]) -> None:
    assert key(**fields) == key()


def test_the_order_of_betas_does_not_count() -> None:
    one, other = ({"client_headers": {"anthropic-beta": text}} for text in ("a-1, b-2", "b-2,a-1,"))
    assert key(**one) == key(**other)


def test_the_models_that_a_project_may_use_count_only_where_one_is_chosen() -> None:
    few = Policy(models=("haiku",))
    assert key(policy=few, routing=False) == key(routing=False)


def test_the_same_question_on_both_routes_has_one_key() -> None:
    chat = openai_chat.decode(
        {
            "model": "sonnet",
            "max_tokens": 100,
            "stream": True,
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        }
    ).request
    native = {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "system": "Be brief.",
        "max_tokens": 100,
        "model": "claude-sonnet-5-5",
    }
    assert key(chat) == key(native, dialect="anthropic_messages", client_headers={"anthropic-version": "2026-10-21"})


@settings(max_examples=60)
@given(
    texts=st.lists(st.text(max_size=6), min_size=2, max_size=4),
    other=st.lists(st.text(max_size=6), min_size=2, max_size=4),
)
def test_different_words_never_have_one_key(texts: list[str], other: list[str]) -> None:
    def said(words: list[str]) -> Json:
        return {"messages": [{"role": "user", "content": word} for word in words]}

    assert (key(said(texts)) == key(said(other))) == (texts == other)


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({}, True),
        ({"choices": 2}, False),
        ({"bypass": True}, False),
        ({"kind": "count_tokens"}, False),
    ],
    ids=str,
)
def test_some_exchanges_have_an_answer_of_their_own(fields: dict[str, Any], may: bool) -> None:
    exchange = known(**{"bypass": False} | fields)
    assert may_share(exchange, sampled=True) is may


@pytest.mark.parametrize(
    ("request_", "may"),
    [
        (with_(container="c1"), False),
        (with_(thread={"type": "create"}), False),
        (with_(mcp_servers=[{"url": "https://x"}]), False),
        (with_(container=None), True),
        (with_(tools=[{"type": "custom", **TOOL}]), True),
        (with_(tools=[{"type": "bash_20250124", "name": "bash"}]), True),
        (with_(tools=[{"type": "text_editor_20250728", "name": "edit"}]), True),
        (with_(tools=[{"type": "tool_search_tool_bm25_20251119", "name": "search"}]), True),
        (with_(tools=[TOOL, {"type": "web_search_20260318", "name": "web_search"}]), False),
        (with_(tools=[{"type": "code_execution_20260521", "name": "run"}]), False),
        (with_(tools=[{"type": "of_tomorrow", "name": "x"}]), False),
    ],
    ids=str,
)
def test_what_depends_on_more_than_the_request_is_not_shared(request_: Json, may: bool) -> None:
    assert may_share(known(request_), sampled=True) is may


@pytest.mark.parametrize(("temperature", "may"), [(None, True), (0, True), (0.2, False), (1, False)])
def test_sampled_answers_may_be_kept_apart(temperature: float | None, may: bool) -> None:
    exchange = known(with_(temperature=temperature))
    assert may_share(exchange, sampled=False) is may
    assert may_share(exchange, sampled=True)
