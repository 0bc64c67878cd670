"""A request with its repeated lines told by reference, without a sidecar around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sidecar.conversation import with_texts
from sidecar.exchange import Json
from sidecar.references.budget import Budget
from sidecar.references.index import LineIndex
from sidecar.references.marker import references_in
from sidecar.references.reduce import Grain, Reducer, Taken
from sidecar.references.slots import Walk, request_blocks
from tests.support.talks import texts

FINEST = Grain(lines=3, characters=60)
"""Finer than any user may choose: small texts show everything."""
PLENTY = 10**9


def reduced(
    request: Json,
    *,
    frozen: Sequence[Json] = (),
    grain: Grain = FINEST,
    work: int = PLENTY,
    each: Callable[[Taken], None] | None = None,
) -> Json:
    """What is sent for a request; the first of its messages went upstream as `frozen` says. `each` is told of every
    text on its way."""
    walk, lines = Walk(), LineIndex()
    messages: list[Json] = [*frozen]
    for zone, role, number, block in request_blocks({**request, "messages": messages}):
        for slot in walk.block(zone, role, number, block):
            lines.add(slot.text, slot.origin)
    reducer = Reducer(lines, grain, Budget(work))
    for number in range(len(frozen), len(request["messages"])):
        message = request["messages"][number]
        content = []
        for _, role, _, block in request_blocks({"messages": [message]}):
            taken = [reducer.take(slot) for slot in walk.block("messages", role, number, block)]
            for one in taken if each is not None else ():
                each(one)
            changed = any(one.text != one.slot.text for one in taken)
            content.append(with_texts(block, [one.text for one in taken]) if changed else block)
        plain = isinstance(message["content"], str)
        messages.append({**message, "content": content[0]["text"] if plain else content})
    return {**request, "messages": messages}


def markers(request: Json) -> list[str]:
    """All references in a request's messages as they stand there."""
    return [text[one.start : one.end] for text in texts(request) for one in references_in(text)]
