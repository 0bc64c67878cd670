"""What grows with a request's body: reading all of it, and the conversation's next turn, which finds the rest again.

    python benchmarks/bodies.py

Microseconds of the thread's CPU, the best of many, for each stage from the client's bytes to those for Claude, where no
layer changes anything.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

sys.path[:0] = [str(Path(__file__).parent / "speed"), str(Path(__file__).parents[1])]

from asks import Conversation  # noqa: E402 -- found by the line above

from sidecar.bodies import Bodies, Known, Made, Read  # noqa: E402
from sidecar.conversation import flattened  # noqa: E402
from sidecar.dialects import openai_chat, openai_responses  # noqa: E402
from sidecar.exchange import Json  # noqa: E402
from sidecar.replies.request_key import _shape  # noqa: E402
from sidecar.written import written  # noqa: E402
from tests.support.exchanges import an_exchange  # noqa: E402

SIZES = {190_000: 40, 1_000_000: 40, 4_000_000: 10}
"""Characters of a conversation, and how often each stage is done."""
NEW = 4_000
"""Characters that each turn adds."""


def main() -> None:
    print("| body | dialect | stage | all of it, us | next turn, us |\n|---|---|---|---:|---:|")
    for size, times in SIZES.items():
        for dialect in ("messages", "chat", "responses"):
            asks = Conversation(size, NEW, dialect == "chat").asks()
            first, second, third = (
                _as_items(ask.body) if dialect == "responses" else ask.body for ask in islice(asks, 3)
            )
            decode = DECODERS.get(dialect)
            bodies = Bodies(10**9)
            for raw in (first, second):
                _prepare(bodies, raw, decode)
            for stage, (cold, warm) in _stages(bodies, third, decode).items():
                figures = f"{_best(cold, times):.0f} | {_best(warm, times):.0f}"
                print(f"| {len(third):,} bytes | {dialect} | {stage} | {figures} |")


def _as_items(body: bytes) -> bytes:
    """A Messages request of the benchmark as Codex would send it."""
    wire = orjson.loads(body)
    tools = [
        {
            "type": "function",
            "name": tool["name"],
            "description": tool["description"],
            "parameters": tool["input_schema"],
        }
        for tool in wire["tools"]
    ]
    items = [item for message in wire["messages"] for item in _items_of(message["role"], message["content"])]
    return orjson.dumps({"model": wire["model"], "tools": tools, "input": items, "store": False})


def _items_of(role: str, content: str | list[Json]) -> Iterator[Json]:
    if isinstance(content, str):
        kind = "output_text" if role == "assistant" else "input_text"
        yield {"type": "message", "role": role, "content": [{"type": kind, "text": content}]}
        return
    for block in content:
        if block["type"] == "tool_use":
            arguments = orjson.dumps(block["input"]).decode()
            yield {"type": "function_call", "name": block["name"], "arguments": arguments, "call_id": block["id"]}
        else:
            yield {"type": "function_call_output", "call_id": block["tool_use_id"], "output": block["content"]}


def _of_chat(wire: Json, before: Any, known: int) -> openai_chat.Decoded:
    return openai_chat.decode(wire, before, known)


def _of_responses(wire: Json, before: Any, known: int) -> openai_responses.Decoded:
    return openai_responses.decode(wire, (), before, known)


Decode = Callable[[Json, Any, int], openai_chat.Decoded | openai_responses.Decoded]
DECODERS: dict[str, Decode] = {"chat": _of_chat, "responses": _of_responses}


def _translated(read: Read, decode: Decode) -> tuple[Json, Known | None]:
    """As the routes of these dialects do it."""
    known = read.known
    resumption = known.made.resumption if known is not None and known.beside else None
    decoded = decode(read.wire, resumption, known.messages if known is not None else 0)
    if read.made is not None:
        read.made.resumption = decoded.resumption
    return decoded.request, known and known.inside(decoded.known)


def _prepare(bodies: Bodies, raw: bytes, decode: Decode | None) -> None:
    """One turn, with all that is kept of it."""
    read = bodies.read("default", raw)
    request, known = _translated(read, decode) if decode else (read.wire, read.known)
    assert read.made is not None
    before = None if known is None else known.made.flat
    read.made.flat = flattened(request, "default", before, 0 if known is None else known.messages)
    _shape(an_exchange(request=request, known=known, made=read.made))
    read.made.written = written(request, known.made.written if known is not None else None)


def _stages(
    bodies: Bodies, raw: bytes, decode: Decode | None
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Each stage for all of the body, and for what is new in it."""
    read = bodies.read("default", raw, keep=False)
    request, known = _translated(read, decode) if decode else (read.wire, read.known)
    assert known is not None, "the second turn is remembered"
    stages: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "parse": (lambda: orjson.loads(raw), lambda: bodies.read("default", raw, keep=False)),
    }
    if decode:
        stages["translate"] = (lambda: decode(read.wire, None, 0), lambda: _translated(read, decode))
    stages["positions, hashes, chain"] = (
        lambda: flattened(request, "default"),
        lambda: flattened(request, "default", known.made.flat, known.messages),
    )
    stages["shape"] = (
        lambda: _shape(an_exchange(request=request)),
        lambda: _shape(an_exchange(request=request, known=known, made=Made())),
    )
    stages["write for Claude"] = (lambda: orjson.dumps(request), lambda: written(request, known.made.written))
    return stages


def _best(stage: Callable[[], object], times: int) -> float:
    took = []
    for _ in range(times):
        began = time.thread_time()
        stage()
        took.append(time.thread_time() - began)
    return min(took) * 1e6


if __name__ == "__main__":
    main()
