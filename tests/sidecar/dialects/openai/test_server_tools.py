"""Tools that the provider runs itself: OpenAI's on the way in, and Claude's citations on the way out."""

from typing import Any

import pytest

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.server_tools import CODE_EXECUTION, NOT_AT_CLAUDE, WEB_SEARCH, claude_tool, is_hosted
from sidecar.dialects.openai_chat import decode, encode_message
from sidecar.errors import GatewayError
from tests.support.messages_requests import assert_claude_takes

HELLO = [{"role": "user", "content": "Hello"}]
COLOGNE = {"type": "approximate", "city": "Köln", "country": "DE"}
NESTED = {"type": "approximate", "approximate": {"city": "Köln", "country": "DE"}}

ROWS: list[tuple[dict[str, Any], dict[str, Any] | None, list[str]]] = [
    ({"type": "web_search"}, WEB_SEARCH, ["mapped"]),
    ({"type": "web_search_preview_2025_03_11"}, WEB_SEARCH, ["mapped"]),
    ({"type": "web_search_2025_08_26", "search_context_size": "medium"}, WEB_SEARCH, ["mapped"]),
    ({"type": "web_search", "search_context_size": "low"}, WEB_SEARCH, ["dropped", "mapped"]),
    ({"type": "web_search", "user_location": COLOGNE}, WEB_SEARCH | {"user_location": COLOGNE}, ["mapped"]),
    ({"type": "web_search", "user_location": NESTED}, WEB_SEARCH | {"user_location": COLOGNE}, ["mapped"]),
    ({"type": "web_search", "user_location": {"type": "approximate"}}, WEB_SEARCH, ["mapped"]),
    (
        {"type": "web_search", "filters": {"allowed_domains": ["a.org"]}},
        WEB_SEARCH | {"allowed_domains": ["a.org"]},
        ["mapped"],
    ),
    (
        {"type": "web_search", "filters": {"allowed_domains": ["a.org"], "blocked_domains": ["b.org"]}},
        WEB_SEARCH | {"allowed_domains": ["a.org"]},
        ["dropped", "mapped"],
    ),
    ({"type": "web_search", "external_web_access": False}, WEB_SEARCH, ["dropped", "mapped"]),
    ({"type": "code_interpreter", "container": {"type": "auto"}}, CODE_EXECUTION, ["mapped"]),
    ({"type": "code_interpreter", "container": "cntr_1"}, CODE_EXECUTION, ["dropped", "mapped"]),
    (
        {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}},
        CODE_EXECUTION,
        ["dropped", "mapped"],
    ),
    *(({"type": kind}, None, ["dropped"]) for kind in NOT_AT_CLAUDE),
]


@pytest.mark.parametrize(("definition", "tool", "actions"), ROWS, ids=lambda row: str(row)[:60])
def test_a_hosted_tool_is_claudes_or_reported(
    definition: dict[str, Any], tool: dict[str, Any] | None, actions: list[str]
) -> None:
    notes = Notes()
    assert is_hosted(definition["type"])
    assert claude_tool(definition, "tools[0]", notes) == tool
    assert [note.action for note in notes.listed()] == actions
    made = decode({"model": "m", "messages": HELLO, "tools": [definition]})
    assert_claude_takes(made.request)
    assert made.request.get("tools", []) == ([tool] if tool else [])


@pytest.mark.parametrize("kind", ["function", "custom", "web_search_20260318", "code_execution_20250825", None, 1])
def test_a_tool_of_the_clients_or_of_claudes_is_none_of_them(kind: object) -> None:
    assert not is_hosted(kind)


def test_a_hosted_tool_that_makes_no_sense_is_a_400_with_its_field() -> None:
    with pytest.raises(GatewayError) as refused:
        claude_tool({"type": "web_search", "filters": {"allowed_domains": [1]}}, "tools[0]", Notes())
    assert refused.value.param == "tools[0].filters.allowed_domains[0]"


def test_web_search_asked_for_twice_is_one_tool() -> None:
    made = decode({"model": "m", "messages": HELLO, "web_search_options": {}, "tools": [{"type": "web_search"}]})
    assert made.request["tools"] == [WEB_SEARCH]


def test_a_function_of_the_clients_with_the_name_of_a_hosted_tool_is_renamed() -> None:
    function = {"type": "function", "function": {"name": "web_search"}}
    made = decode({
        "model": "m", "messages": HELLO, "tools": [function, {"type": "web_search"}],
        "tool_choice": {"type": "function", "function": {"name": "web_search"}},
    })  # fmt: skip
    assert_claude_takes(made.request)
    search, mine = made.request["tools"]
    assert search == WEB_SEARCH
    assert made.tool_names == {mine["name"]: "web_search"}
    assert made.request["tool_choice"]["name"] == mine["name"]


def page(url: str, **more: str) -> dict[str, Any]:
    return {"type": "web_search_result_location", "url": url, "cited_text": "x", "encrypted_index": "x", **more}


def test_what_claude_cites_is_an_annotation_of_its_passage() -> None:
    blocks = [
        {"type": "text", "text": "Über: "},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "it rains", "citations": [page("https://a", title="A"), page("https://a", title="A")]},
        {"type": "text", "text": " in Köln", "citations": [page("https://b"), {"type": "page_location"}]},
    ]
    message = {"model": "m", "content": blocks, "stop_reason": "end_turn", "usage": {}}
    said = encode_message(message, id="i", created=1, tool_names={})["choices"][0]["message"]
    cited = [one["url_citation"] for one in said["annotations"]]
    assert [(said["content"][one["start_index"] : one["end_index"]], one["url"], one["title"]) for one in cited] == [
        ("it rains", "https://a", "A"),
        (" in Köln", "https://b", "https://b"),
    ]
