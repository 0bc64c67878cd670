"""The labelled requests are whole: a benchmark on a set that is not says nothing."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sidecar.clients import recognise
from sidecar.dialects import openai_chat, openai_responses

FOLDER = Path(__file__).parents[2] / "benchmarks" / "routing_set"
ROWS: list[dict[str, Any]] = [
    json.loads(line) for file in sorted(FOLDER.glob("*.jsonl")) for line in file.read_text().splitlines()
]
FIELDS = {"id", "label", "half", "client", "path", "headers", "body", "why"}

RECOGNISED = {
    "continue",
    "cline",
    "roo",
    "aider",
    "zed",
    "copilot",
    "cursor",
    "claude-code",
    "opencode",
}
"""Clients whose agent turns say who is speaking."""


def test_ids_are_unique_and_begin_with_their_client() -> None:
    assert [row_id for row_id, count in Counter(row["id"] for row in ROWS).items() if count > 1] == []
    assert all(row["id"].startswith(row["client"] + "-") for row in ROWS)


def test_a_row_has_all_fields_and_a_reason() -> None:
    for row in ROWS:
        assert row.keys() == FIELDS, row["id"]
        assert row["label"] in ("errand", "ordinary", "complex")
        assert row["why"].endswith("."), row["id"]
        assert row["body"]["model"] == "auto"
        assert all(name == name.lower() for name in row["headers"])


def test_the_id_alone_decides_the_half() -> None:
    for row in ROWS:
        even = hashlib.sha256(row["id"].encode()).digest()[0] % 2 == 0
        assert row["half"] == ("tuning" if even else "held_out"), row["id"]


def test_each_half_has_enough_of_each_label() -> None:
    labels = Counter(row["label"] for row in ROWS)
    assert len(ROWS) >= 240
    assert labels["errand"] >= 80
    assert labels["complex"] >= 45
    assert labels["ordinary"] + labels["complex"] >= 150
    halves = Counter((row["half"], row["label"]) for row in ROWS)
    for label, count in labels.items():
        assert abs(halves["tuning", label] - count / 2) <= count / 5, label


def test_the_folder_stays_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 2_500_000


CHAT = [row for row in ROWS if row["path"] == "/v1/chat/completions"]
NATIVE = [row for row in ROWS if row["path"].startswith("/v1/messages")]


@pytest.mark.parametrize("client", sorted({row["client"] for row in CHAT}))
def test_chat_bodies_decode(client: str) -> None:
    for row in (row for row in CHAT if row["client"] == client):
        decoded = openai_chat.decode(row["body"])
        assert decoded.request["messages"], row["id"]


def test_responses_bodies_decode() -> None:
    rows = [row for row in ROWS if row["path"] == "/v1/responses"]
    assert rows
    for row in rows:
        assert openai_responses.decode(row["body"]).request["messages"], row["id"]


def test_native_bodies_are_conversations() -> None:
    for row in NATIVE:
        body = row["body"]
        assert body["max_tokens"] > 0
        roles = [message["role"] for message in body["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2), row["id"]
        assert _calls(body) == _results(body), row["id"]


def test_every_row_goes_to_a_route_that_clients_have() -> None:
    assert {row["path"].partition("?")[0] for row in ROWS} <= {"/v1/chat/completions", "/v1/messages", "/v1/responses"}


def test_agents_are_recognised() -> None:
    """The set is real enough that cgw knows who speaks, wherever a client sends its own prompt and tools."""
    for row in ROWS:
        if row["client"] in RECOGNISED and row["label"] != "errand" and row["path"] != "/v1/responses":
            request = openai_chat.decode(row["body"]).request if row in CHAT else row["body"]
            if request.get("tools"):
                assert recognise(row["headers"], request) == row["client"], row["id"]


def _calls(body: dict[str, Any]) -> list[str]:
    return [block["id"] for block in _blocks(body) if block["type"] == "tool_use"]


def _results(body: dict[str, Any]) -> list[str]:
    return [block["tool_use_id"] for block in _blocks(body) if block["type"] == "tool_result"]


def _blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
    contents = [message["content"] for message in body["messages"]]
    return [block for content in contents if isinstance(content, list) for block in content]
