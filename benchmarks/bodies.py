"""What grows with a request's body: reading all of it, and the conversation's next turn, which finds the rest again.

    python benchmarks/bodies.py

Microseconds of the thread's CPU, the best of many, for each stage from the client's bytes to those for Claude, where no
layer changes anything.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson

sys.path[:0] = [str(Path(__file__).parent / "speed"), str(Path(__file__).parents[1])]

from asks import Conversation  # noqa: E402 -- found by the line above

from sidecar.bodies import Bodies, Known, Made, Read  # noqa: E402
from sidecar.conversation import flattened  # noqa: E402
from sidecar.dialects import openai_chat  # noqa: E402
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
        for chat in (False, True):
            asks = Conversation(size, NEW, chat).asks()
            first, second, third = (next(asks).body for _ in range(3))
            bodies = Bodies(10**9)
            for raw in (first, second):
                _prepare(bodies, raw, chat=chat)
            for stage, (cold, warm) in _stages(bodies, third, chat=chat).items():
                figures = f"{_best(cold, times):.0f} | {_best(warm, times):.0f}"
                print(f"| {len(third):,} bytes | {'chat' if chat else 'messages'} | {stage} | {figures} |")


def _translated(read: Read) -> tuple[Json, Known | None]:
    """As the chat route does it."""
    known = read.known
    resumption = known.made.resumption if known is not None and known.beside else None
    decoded = openai_chat.decode(read.wire, resumption, known.messages if known is not None else 0)
    if read.made is not None:
        read.made.resumption = decoded.resumption
    return decoded.request, replace(known, messages=decoded.known) if known is not None and decoded.known else None


def _prepare(bodies: Bodies, raw: bytes, *, chat: bool) -> None:
    """One turn, with all that is kept of it."""
    read = bodies.read("default", raw)
    request, known = _translated(read) if chat else (read.wire, read.known)
    assert read.made is not None
    before = None if known is None else known.made.flat
    read.made.flat = flattened(request, "default", before, 0 if known is None else known.messages)
    _shape(an_exchange(request=request, known=known, made=read.made))
    read.made.written = written(request, known.made.written if known is not None else None)


def _stages(bodies: Bodies, raw: bytes, *, chat: bool) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Each stage for all of the body, and for what is new in it."""
    read = bodies.read("default", raw, keep=False)
    request, known = _translated(read) if chat else (read.wire, read.known)
    assert known is not None, "the second turn is remembered"
    stages: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "parse": (lambda: orjson.loads(raw), lambda: bodies.read("default", raw, keep=False)),
    }
    if chat:
        stages["translate"] = (lambda: openai_chat.decode(read.wire), lambda: _translated(read))
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
