"""Rules about who says what when: roles, turns, tool calls and their results, empty text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sidecar.simulator.models import Model
from sidecar.simulator.prompt import THINKING
from sidecar.simulator.schema import NEWER, SERVER_RESULTS
from sidecar.simulator.shapes import refuse
from sidecar.simulator.tokens import content_blocks

ASSISTANT_ONLY = frozenset({*THINKING, "tool_use", "server_tool_use", "mcp_tool_use", *SERVER_RESULTS})
USER_ONLY = frozenset({"tool_result", "image", "search_result"})


@dataclass(slots=True)
class Turn:
    """Consecutive messages of one role."""

    role: str
    number: int
    """Of its first message."""
    blocks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Path and block."""


def turns_of(messages: list[dict[str, Any]]) -> list[Turn]:
    """The conversation with consecutive messages of one role joined."""
    turns: list[Turn] = []
    for number, message in enumerate(messages):
        if not turns or turns[-1].role != message["role"]:
            turns.append(Turn(message["role"], number))
        blocks = enumerate(content_blocks(message["content"]))
        turns[-1].blocks.extend((f"messages.{number}.content.{index}", block) for index, block in blocks)
    return turns


def check_conversation(request: dict[str, Any], model: Model, version: str) -> None:
    """Raises ApiError for the first rule the messages break."""
    messages = request["messages"]
    if not messages:
        raise refuse("messages", "at least one message is required")
    _check_roles(messages, model)
    _check_texts(request)
    turns = turns_of(messages)
    for turn in turns:
        _check_places(turn, version)
    _check_calls(turns, request)
    _check_prefill(turns[-1], model)


def _check_roles(messages: list[dict[str, Any]], model: Model) -> None:
    if messages[0]["role"] == "assistant":
        raise refuse("messages", 'first message must use the "user" role')
    for number, message in enumerate(messages):
        if message["role"] != "system":
            continue
        if not model.takes_system_messages:
            sentence = (
                'Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an '
                "input message role, on this model."
            )
            raise refuse("messages", sentence)
        if number == 0 or messages[number - 1]["role"] == "assistant":
            raise refuse(f"messages.{number}", '"system" messages must come directly after a user turn')


def _check_texts(request: dict[str, Any]) -> None:
    for number, message in enumerate(request["messages"]):
        last = number == len(request["messages"]) - 1
        if not message["content"] and not (last and message["role"] == "assistant"):
            sentence = "all messages must have non-empty content except for the optional final assistant message"
            raise refuse(f"messages.{number}", sentence)
        for block in _text_blocks(message["content"]):
            _check_text("messages", block["text"])
    if isinstance(request.get("system"), list):
        for block in request["system"]:
            _check_text("system", block["text"])


def _check_text(place: str, text: str) -> None:
    if not text:
        raise refuse(place, "text content blocks must be non-empty")
    if not text.strip():
        raise refuse(place, "text content blocks must contain non-whitespace text")


def _text_blocks(content: Any) -> Iterator[dict[str, Any]]:
    for block in content_blocks(content):
        if block["type"] == "text":
            yield block
        elif block["type"] == "tool_result" and isinstance(block.get("content"), list):
            yield from _text_blocks(block["content"])


def _check_places(turn: Turn, version: str) -> None:
    for path, block in turn.blocks:
        kind = block["type"]
        if turn.role != "assistant" and kind in ASSISTANT_ONLY:
            raise refuse(path, f"`{kind}` blocks can only be in `assistant` messages")
        if turn.role == "assistant" and (kind in USER_ONLY or (kind == "document" and version == NEWER)):
            raise refuse(path, f"`{kind}` blocks can only be in `user` messages")
        if turn.role == "system" and kind != "text":
            raise refuse(path, "`system` messages take text only")
        if turn.role == "user" and kind == "text" and version == NEWER and block.get("citations"):
            raise refuse(f"{path}.text.citations", "Extra inputs are not permitted")


def _check_calls(turns: list[Turn], request: dict[str, Any]) -> None:
    seen: set[str] = set()
    used = False
    open_calls: list[str] = []
    for turn in turns:
        if turn.role == "system":
            continue
        results = [(path, block) for path, block in turn.blocks if block["type"] == "tool_result"]
        used = used or bool(results or open_calls)
        _check_results(turn, results, open_calls)
        open_calls = [block["id"] for _, block in turn.blocks if block["type"] == "tool_use"]
        for call in open_calls:
            if call in seen:
                raise refuse("messages", f"`tool_use` ids must be unique. Found `{call}` more than once.")
            seen.add(call)
    if open_calls:
        raise _unanswered(turns[-1].number, open_calls)
    if used and not request.get("tools"):
        raise refuse("", "Requests which include `tool_use` or `tool_result` blocks must define tools")


def _check_results(turn: Turn, results: list[tuple[str, dict[str, Any]]], open_calls: list[str]) -> None:
    answered: set[str] = set()
    for path, block in results:
        call = block["tool_use_id"]
        if call not in open_calls:
            sentence = (
                f"unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each `tool_result` block must have a "
                "corresponding `tool_use` block in the previous message."
            )
            raise refuse(path, sentence)
        if call in answered:
            sentence = f"each tool_use must have a single result. Found multiple `tool_result` blocks with id: {call}"
            raise refuse(path, sentence)
        answered.add(call)
    first = {block.get("tool_use_id") for _, block in turn.blocks[: len(results)]}
    missing = [call for call in open_calls if call not in first]
    if missing:
        raise _unanswered(turn.number - 1, missing)


def _unanswered(number: int, calls: list[str]) -> Exception:
    sentence = (
        f"`tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(calls)}. Each "
        "`tool_use` block must have a corresponding `tool_result` block in the next message."
    )
    return refuse(f"messages.{number}", sentence)


def _check_prefill(last: Turn, model: Model) -> None:
    if last.role != "assistant":
        return
    if not model.takes_prefill:
        sentence = (
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
        raise refuse("", sentence)
    if last.blocks and last.blocks[-1][1]["type"] == "text":
        text = last.blocks[-1][1]["text"]
        if text != text.rstrip():
            raise refuse("messages", "final assistant content cannot end with trailing whitespace")
