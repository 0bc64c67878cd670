"""The requests: small ones, and conversations of 200 KB and 1 MB that go on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import orjson
from load import Ask

MODEL = "claude-sonnet-5-5"
RESULT_BYTES = 3_000
WORDS_OF_A_SHORT_ANSWER = 4
"""Deltas, where the gateway lets Claude stream what its client wants whole."""
TURNS_KEPT = 40
"""After so many turns a conversation begins anew, so that its size stays about the same."""

_numbers = count(1)
Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    name: str
    asks: Callable[[bool], Iterator[Ask]]
    """For chat or for Claude's own form."""
    each: int
    """Requests on each connection a round."""
    at_once: int = 1
    floors: tuple[str, ...] = ("bare proxy",)
    dialects: tuple[str, ...] = ("chat", "native")


def new_mark() -> str:
    return f"ask-{next(_numbers):08d}"


def body(messages: list[Json], *, deltas: int, chat: bool, tools: list[Json] | None = None) -> bytes:
    told: Json = {"model": MODEL, "max_tokens": deltas or WORDS_OF_A_SHORT_ANSWER, "messages": messages}
    if tools:
        told["tools"] = [{"type": "function", "function": tool} for tool in tools] if chat else [
            {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
            for tool in tools
        ]  # fmt: skip
    if deltas:
        told["stream"] = True
    return orjson.dumps(told)


def small(*, chat: bool, deltas: int = 0, paced: bool = False) -> Iterator[Ask]:
    """Questions that have nothing to do with one another."""
    while True:
        mark = new_mark()
        words = f"{mark} What is the capital of France{', told at a pace' * paced}?"
        yield Ask(body([{"role": "user", "content": words}], deltas=deltas, chat=chat), mark.encode(), deltas)


def repeated(*, chat: bool, size: int = 0) -> Iterator[Ask]:
    """One question, over and over."""
    mark = new_mark()
    asked = History(seed=next(_numbers), chat=chat).grown(size) if size else []
    asked = [*asked, {"role": "user", "content": f"{mark} What is the capital of France?"}]
    same = Ask(body(asked, deltas=0, chat=chat, tools=tools() if size else None), mark.encode())
    while True:
        yield same


@dataclass
class Conversation:
    """An agent at work: each request brings what Claude said last and a result of `new` bytes."""

    size: int
    new: int
    chat: bool
    deltas: int = 0

    def asks(self) -> Iterator[Ask]:
        while True:
            history = History(seed=next(_numbers), chat=self.chat)
            history.grown(self.size)
            for _ in range(TURNS_KEPT if self.new * TURNS_KEPT < self.size else 8):
                mark = new_mark()
                history.messages.append({"role": "user", "content": f"{mark} Go on with it."})
                asked = body(history.messages, deltas=self.deltas, chat=self.chat, tools=tools())
                yield Ask(asked, mark.encode(), self.deltas)
                texts = max(1, self.deltas - 1)
                said = mark + ("sixteen letters and sixteen more" * texts)[: 16 * texts]
                history.messages.append({"role": "assistant", "content": said})
                history.turn(self.new)


class History:
    """Calls of a tool and their results, as Claude's blocks or as OpenAI's messages."""

    def __init__(self, *, seed: int, chat: bool) -> None:
        self._chat = chat
        self._calls = seed * 1_000_000
        self._random = random.Random(seed)
        self.messages: list[Json] = [{"role": "user", "content": f"Task {seed}: read the code and mend the fault."}]
        self.size = 0

    def grown(self, size: int) -> list[Json]:
        while self.size < size:
            self.turn(RESULT_BYTES)
        return self.messages

    def turn(self, size: int) -> None:
        self._calls += 1
        call, arguments = f"toolu_{self._calls}", {"path": f"src/{self._calls}.py"}
        text = self._text(size)
        if self._chat:
            function = {"name": "tool_1", "arguments": orjson.dumps(arguments).decode()}
            used: list[Json] = [{"id": call, "type": "function", "function": function}]
            self.messages.append({"role": "assistant", "content": None, "tool_calls": used})
            self.messages.append({"role": "tool", "tool_call_id": call, "content": text})
        else:
            used = [{"type": "tool_use", "id": call, "name": "tool_1", "input": arguments}]
            result = [{"type": "tool_result", "tool_use_id": call, "content": text}]
            self.messages += [{"role": "assistant", "content": used}, {"role": "user", "content": result}]
        self.size += len(text)

    def _text(self, size: int) -> str:
        lines: list[str] = []
        length = 0
        while length < size:
            lines.append(f"    {self._random.choice(WORDS)} = {self._random.choice(WORDS)}({self._random.random()})")
            length += len(lines[-1]) + 1
        return "\n".join(lines)[:size]


WORDS = [f"{one}_{number}" for one in ("path", "index", "value", "reader", "total", "handle") for number in range(50)]


@cache
def tools() -> list[Json]:
    schema = {
        "type": "object",
        "properties": {f"p{number}": {"type": "string", "description": "what it is for" * 3} for number in range(6)},
    }
    return [
        {"name": f"tool_{number}", "description": "It does it. " * 10, "parameters": schema} for number in range(20)
    ]
