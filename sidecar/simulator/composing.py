"""From a request and an answer's parts to the message Claude returns: blocks, ids, signatures, limits, ending."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sidecar.simulator.answers import Answer, Part, RedactedThinking, Text, Thinking, ToolCall
from sidecar.simulator.instances import instance_of
from sidecar.simulator.models import Model, find
from sidecar.simulator.prompt import THINKING, bound_thinking
from sidecar.simulator.server_tools import RESULTS, blocks_of, is_server_tool
from sidecar.simulator.signatures import Provenance, model_mark, response_mark, sign
from sidecar.simulator.tokens import block_tokens, content_blocks, fitting_text, text_tokens

_CALL = re.compile(r"^\s*call\s+(\S+)\s+(\{.*\})\s*$", re.MULTILINE)
_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz123456789"
_EXCERPT = 120
_THOUGHT = "I read the request and answer it from the offline script."


@dataclass(frozen=True, slots=True)
class Message:
    """A complete answer; `blocks` are as Anthropic returns them."""

    id: str
    model: str
    blocks: list[dict[str, Any]]
    stop_reason: str
    stop_sequence: str | None
    stop_details: Mapping[str, Any] | None
    output_tokens: int
    thinking_tokens: int
    cut_input: str | None = None
    """Set when `max_tokens` ended the answer inside a tool call: the JSON text so far."""


def fresh_id(prefix: str, *seeds: object) -> str:
    """An id like Anthropic's (`msg_01...`), always the same for the same seeds."""
    number = int.from_bytes(hashlib.sha256(repr(seeds).encode()).digest())
    letters = []
    for _ in range(22):
        number, digit = divmod(number, len(_ID_LETTERS))
        letters.append(_ID_LETTERS[digit])
    return f"{prefix}_01{''.join(letters)}"


def compose(request: dict[str, Any], answer: Answer, model: Model, message_id: str) -> Message:
    """The message that `answer` becomes for this request."""
    blocks = _signed(_blocks(answer.parts, request, message_id), request, model, message_id)
    if answer.stop_reason is None:
        ending = _ending(blocks, request)
    else:
        ending = _Ending(answer.stop_reason, blocks, answer.stop_sequence)
    visible = [{key: value for key, value in block.items() if key != "_tokens"} for block in ending.blocks]
    thinking = ending.cut_thinking + sum(block_tokens(block) for block in visible if block["type"] in THINKING)
    output = thinking + sum(_written(block) for block in visible if block["type"] not in THINKING)
    output += text_tokens(ending.cut_input or "")
    if answer.output_tokens is not None:
        output = answer.output_tokens
    return Message(
        message_id,
        request["model"],
        visible,
        ending.reason,
        ending.sequence,
        answer.stop_details,
        max(1, output),
        min(thinking, output),
        ending.cut_input,
    )


def pre_warmed(request: dict[str, Any], message_id: str) -> Message:
    """The empty answer to `max_tokens: 0`."""
    return Message(message_id, request["model"], [], "max_tokens", None, None, 0, 0)


def default_answer(request: dict[str, Any], delivery: Answer) -> Answer:
    """What an unscripted request gets: deterministic, and as the request asks (tools, schema, prefill)."""
    parts: list[Part] = []
    thinking = request.get("thinking") or {}
    if thinking.get("type") in ("adaptive", "enabled"):
        model = find(request["model"])
        display = thinking.get("display") or (model.display_default if model else "summarized")
        parts.append(Thinking(_THOUGHT if display == "summarized" else "", text_tokens(_THOUGHT)))
    calls = list(_asked_calls(request))
    schema = ((request.get("output_config") or {}).get("format") or {}).get("schema")
    used = list(_server_tools_used(request))
    if calls or used:
        parts.extend((*used, *calls))
    elif schema is not None:
        parts.append(Text(json.dumps(instance_of(schema))))
    else:
        parts.append(Text(_reply(request)))
    return replace(delivery, content=tuple(parts))


def last_words(request: dict[str, Any]) -> str:
    """The text of the newest user message."""
    for message in reversed(request["messages"]):
        if message["role"] == "user":
            blocks = content_blocks(message["content"])
            return "\n".join(block["text"] for block in blocks if block.get("type") == "text")
    return ""


def _asked_calls(request: dict[str, Any]) -> Iterator[ToolCall]:
    """Calls that the newest user text asks for (`call NAME {json}`, one a line), else what `tool_choice` forces."""
    tools = {tool["name"]: tool for tool in request.get("tools") or () if "name" in tool and not is_server_tool(tool)}
    choice = request.get("tool_choice") or {"type": "auto"}
    if not tools or choice["type"] == "none":
        return
    asked = [call for call in _calls_in(last_words(request)) if call.name in tools]
    if choice["type"] == "tool":
        asked = [call for call in asked if call.name == choice["name"]]
    if choice.get("disable_parallel_tool_use"):
        asked = asked[:1]
    if not asked and choice["type"] in ("any", "tool"):
        name = choice.get("name") or next(iter(tools))
        asked = [ToolCall(name, instance_of(tools[name].get("input_schema", {"type": "object"})))]
    yield from asked


def _server_tools_used(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    names = {tool["name"] for tool in request.get("tools") or () if is_server_tool(tool)}
    if (request.get("tool_choice") or {}).get("type") == "none":
        return
    for number, call in enumerate(_calls_in(last_words(request)) if names else ()):
        if call.name in names:
            yield from blocks_of(number, call.name, call.input, fresh_id("srvtoolu", last_words(request)))


def _written(block: dict[str, Any]) -> int:
    """Tokens of what the model writes: the results of its server's tools are none of them."""
    return 0 if RESULTS.fullmatch(block["type"]) else block_tokens(block)


def _calls_in(text: str) -> Iterator[ToolCall]:
    for name, arguments in _CALL.findall(text):
        try:
            yield ToolCall(name, json.loads(arguments))
        except ValueError:
            continue


def _reply(request: dict[str, Any]) -> str:
    newest = request["messages"][-1]
    if newest["role"] == "assistant":
        return " and so it goes on."
    results = [block for block in content_blocks(newest["content"]) if block["type"] == "tool_result"]
    if results:
        texts = [block.get("text", "") for result in results for block in content_blocks(result.get("content"))]
        return f"I have {len(results)} tool result(s). The first says: {_excerpt(''.join(texts[:1]))}"
    return f"This is a simulated answer to: {_excerpt(last_words(request))}"


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else line[:_EXCERPT].rstrip() + "..."


def _blocks(parts: tuple[Part, ...], request: dict[str, Any], message_id: str) -> list[dict[str, Any]]:
    omitted = (request.get("thinking") or {}).get("display") == "omitted"
    blocks: list[dict[str, Any]] = []
    for number, part in enumerate(parts):
        match part:
            case Text(text):
                blocks.append({"type": "text", "text": text})
            case Thinking(text, tokens):
                cost = text_tokens(text) if tokens is None else tokens
                blocks.append({"type": "thinking", "thinking": "" if omitted else text, "_tokens": cost})
            case RedactedThinking(tokens):
                blocks.append({"type": "redacted_thinking", "_tokens": tokens})
            case ToolCall(name, arguments, call_id):
                call_id = call_id or fresh_id("toolu", message_id, number)
                blocks.append({"type": "tool_use", "id": call_id, "name": name, "input": dict(arguments)})
            case _:
                blocks.append(dict(part))
    return blocks


def _signed(
    blocks: list[dict[str, Any]], request: dict[str, Any], model: Model, message_id: str
) -> list[dict[str, Any]]:
    """Signs every thinking block that has no signature yet, bound to all that stands before it."""
    turn = len(request["messages"])
    whole = {**request, "messages": [*request["messages"], {"role": "assistant", "content": blocks}]}
    index = 0
    for _, number, block, prefix in bound_thinking(whole):
        if number == turn and "_tokens" in block:
            tokens = min(block["_tokens"], 2**32 - 1)
            provenance = Provenance(tokens, index, model_mark(model.id), prefix, response_mark(message_id))
            text = block.get("thinking", "")
            block["signature" if block["type"] == "thinking" else "data"] = sign(text, provenance)
            index += 1
    return blocks


@dataclass(frozen=True, slots=True)
class _Ending:
    reason: str
    blocks: list[dict[str, Any]]
    sequence: str | None = None
    cut_input: str | None = None
    cut_thinking: int = 0
    """Tokens of thinking that `max_tokens` ended before its block was complete."""


def _ending(blocks: list[dict[str, Any]], request: dict[str, Any]) -> _Ending:
    """Where a stop sequence or `max_tokens` ends the answer, and why it ends."""
    left = request["max_tokens"]
    kept: list[dict[str, Any]] = []
    for block in blocks:
        if block["type"] == "text":
            end, sequence = _first_stop(block["text"], request.get("stop_sequences") or ())
            text = fitting_text(block["text"][:end], left)
            if text or end == len(block["text"]) == 0:
                kept.append({**block, "text": text})
            if len(text) < end:
                return _Ending("max_tokens", kept)
            if sequence is not None:
                return _Ending("stop_sequence", kept, sequence)
            left -= text_tokens(text)
        elif (cost := _written(block)) <= left:
            kept.append(block)
            left -= cost
        else:
            return _cut(block, kept, left)
    called = any(block["type"] == "tool_use" for block in kept)
    return _Ending("tool_use" if called else "end_turn", kept)


def _cut(block: dict[str, Any], kept: list[dict[str, Any]], left: int) -> _Ending:
    """`max_tokens` ends the answer inside a block: a tool call keeps the start of its input, thinking is not shown."""
    if block["type"] in THINKING:
        return _Ending("max_tokens", kept, cut_thinking=left)
    if block["type"] == "tool_use":
        begun = {**block, "input": {}}
        if (room := left - block_tokens(begun)) >= 0:
            arguments = json.dumps(block["input"], ensure_ascii=False)
            return _Ending("max_tokens", [*kept, begun], cut_input=fitting_text(arguments, room))
    return _Ending("max_tokens", kept)


def _first_stop(text: str, sequences: Any) -> tuple[int, str | None]:
    found = [(position, sequence) for sequence in sequences if (position := text.find(sequence)) >= 0]
    return min(found, key=lambda pair: pair[0]) if found else (len(text), None)
