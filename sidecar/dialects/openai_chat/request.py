"""A chat completions request as Claude's Messages request, whatever the model.

The result says everything that the client said and Claude has a word for; what a given model refuses of it (sampling
parameters, a forced tool, prefill, system messages in the middle) is for the step that knows the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sidecar.dialects.openai.content import blocks_of
from sidecar.dialects.openai.marks import first_marked, keep_four
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.parameters import Parameters, read_parameters
from sidecar.dialects.openai.reading import mapping, text
from sidecar.dialects.openai.schema_limits import SchemaLimits
from sidecar.dialects.openai.tool_choice import read_tool_choice
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.dialects.openai.tools import ToolSet, array_or_none, listed_tools, read_tools, synthesised
from sidecar.dialects.openai_chat.history import Place, read_conversation
from sidecar.dialects.openai_chat.parameters import FIELDS
from sidecar.exchange import Json, Note


@dataclass(frozen=True, slots=True)
class Beside:
    """What a request says beside its conversation."""

    tools: ToolSet
    parameters: Parameters
    choice: Json | None


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where the request can be gone on from that says the same and more behind it."""

    beside: Beside
    place: Place
    definitions: list[Json]
    system: list[Json]
    """As they were sent."""
    unmarked: int
    """How many leading messages have no cache mark."""
    kept: int
    """How many leading messages of the request are those of `place`."""


@dataclass(frozen=True, slots=True)
class Decoded:
    request: Json
    """The inner form. Shares what it did not change with the client's body, and messages with earlier requests: none of
    them may be edited in place."""
    notes: list[Note]
    """What was not passed on exactly."""
    tool_names: dict[str, str]
    """Name sent upstream -> client's name, where they differ."""
    stream: bool
    include_usage: bool
    n: int
    """How many choices the client wants."""
    custom_tools: frozenset[str] = frozenset()
    """Names sent upstream of OpenAI custom tools: the string `input` of such a call is the client's free-form input."""
    legacy_functions: bool = False
    """The client speaks the form of 2023: it expects `function_call` in the answer, not `tool_calls`."""
    resumption: Resumption | None = field(default=None, compare=False)
    known: int = field(default=0, compare=False)
    """How many leading messages are the ones of the request that this one was gone on from."""


def decode(body: Json, before: Resumption | None = None, known: int = 0) -> Decoded:
    """Pure: the same body gives the same result, and `body` is left as it is.

    `before` is of an earlier body that says the same but for its messages, of which `known` are the first ones here:
    then only what follows is read. Raises GatewayError (400, `param` naming the field) for what cannot be understood.
    """
    body = mapping(body, "body")
    model = text(body.get("model"), "model")
    if before is not None and before.place.at < known:
        beside, place = before.beside, before.place
        names, notes = place.turns.names.copy(), place.turns.notes.copy()
    else:
        before = place = None
        names, notes = ToolNames(), Notes()
        beside = _beside(body, names, notes)
    tools, parameters, choice = beside.tools, beside.parameters, beside.choice
    conversation = read_conversation(body.get("messages"), names, notes, place=place)
    definitions = tools.definitions
    if conversation.has_calls and not definitions:
        definitions = synthesised(names.sent()[0])
        choice = {"type": "none"}
        notes.add("tools", "mapped", "one is defined for the calls in the history; the model is told to make none")
    system = blocks_of(body.get("system"), "system", "system", notes) + conversation.system
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
    return Decoded(
        request=request,
        notes=notes.listed(),
        tool_names=names.renamed(),
        stream=parameters.stream,
        include_usage=parameters.include_usage,
        n=parameters.n,
        custom_tools=frozenset(tools.custom),
        legacy_functions=tools.legacy,
        resumption=resumption,
        known=min(before.place.turns.messages, before.kept, kept) if before is not None else 0,
    )


def _beside(body: Json, names: ToolNames, notes: Notes) -> Beside:
    # Tools take their share of the limits first: a form of answer that comes and goes must not change them.
    limits = SchemaLimits()
    tools = ToolSet()
    if not LISTS_TOOLS.isdisjoint(body):
        legacy = bool(body.get("functions")) and not body.get("tools")
        tools = read_tools([*_listed(body)], names, limits, notes, legacy=legacy)
    parameters = read_parameters(body, FIELDS, limits, notes)
    return Beside(tools, parameters, read_tool_choice(body, tools, names, notes))


LISTS_TOOLS = frozenset({"web_search_options", "tools", "functions"})


def _listed(body: Json) -> Iterator[tuple[Json, str]]:
    """`web_search_options`, `tools`, and the `functions` of 2023, all as tools."""
    if (options := body.get("web_search_options")) is not None:
        yield {**mapping(options, "web_search_options"), "type": "web_search"}, "web_search_options"
    yield from listed_tools(body)
    for index, function in enumerate(array_or_none(body, "functions")):
        path = f"functions[{index}]"
        yield {"type": "function", "function": mapping(function, path)}, path
