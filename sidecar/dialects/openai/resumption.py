"""A conversation that goes on: what of an earlier request holds for the next one, which says the same and more behind
it. And the request that both dialects make of their parts, anew or from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sidecar.dialects.openai.marks import first_marked, keep_four
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.parameters import Parameters
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.dialects.openai.tools import ToolSet, synthesised
from sidecar.dialects.openai.turns import Settled
from sidecar.exchange import Json


@dataclass(frozen=True, slots=True)
class Beside:
    """What a request says beside its conversation."""

    tools: ToolSet
    parameters: Parameters
    choice: Json | None


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere in a conversation from which it can be read on."""

    at: int
    """Of the last message, or item of the input, that was read."""
    system: list[Json]
    turns: Settled


class Conversation[P: Place](NamedTuple):
    """As Claude's turns."""

    system: list[Json]
    messages: list[Json]
    has_calls: bool
    place: P | None
    """The last one."""


@dataclass(frozen=True, slots=True)
class Resumption[B: Beside, P: Place]:
    """Where the request can be gone on from that says the same and more behind it."""

    beside: B
    place: P
    definitions: list[Json]
    system: list[Json]
    """As they were sent."""
    unmarked: int
    """How many leading messages have no cache mark."""
    kept: int
    """How many leading messages of the request are those of `place`."""


class PutTogether[B: Beside, P: Place](NamedTuple):
    request: Json
    """The inner form."""
    resumption: Resumption[B, P] | None
    known: int
    """How many leading messages are the ones of the request that this one was gone on from."""


def put_together[B: Beside, P: Place](
    model: str,
    beside: B,
    conversation: Conversation[P],
    names: ToolNames,
    notes: Notes,
    before: Resumption[B, P] | None,
) -> PutTogether[B, P]:
    parameters, choice = beside.parameters, beside.choice
    system, definitions = conversation.system, beside.tools.definitions
    if conversation.has_calls and not definitions:
        definitions = synthesised(names.sent()[0])
        choice = {"type": "none"}
        notes.add("tools", "mapped", "one is defined for the calls in the history; the model is told to make none")
    if parameters.instruction is not None:
        system.append({"type": "text", "text": parameters.instruction})
    if before is not None:  # they are equal; the very same objects nobody looks at again
        definitions, system = before.definitions or definitions, before.system
    request: Json = {"model": model}
    for key, value in (("tools", definitions), ("system", system)):
        if value:
            request[key] = value
    request["messages"] = conversation.messages
    if choice is not None:
        request["tool_choice"] = choice
    request |= parameters.request
    if parameters.stream:
        request["stream"] = True
    unmarked = first_marked(conversation.messages, before.unmarked if before is not None else 0)
    kept = keep_four(request, notes, start=unmarked)
    resumption = None
    if (here := conversation.place) is not None:
        resumption = Resumption(beside, here, definitions, system, min(unmarked, here.turns.messages), kept)
    known = min(before.place.turns.messages, before.kept, kept) if before is not None else 0
    return PutTogether(request, resumption, known)
