"""A chat completions request as Claude's Messages request, whatever the model.

The result says everything that the client said and Claude has a word for; what a given model refuses of it (sampling
parameters, a forced tool, prefill, system messages in the middle) is for the step that knows the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sidecar.dialects.openai.content import blocks_of
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.parameters import read_parameters
from sidecar.dialects.openai.reading import mapping, text
from sidecar.dialects.openai.resumption import Beside, Place, Resumption, put_together
from sidecar.dialects.openai.schema_limits import SchemaLimits
from sidecar.dialects.openai.tool_choice import read_tool_choice
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.dialects.openai.tools import ToolSet, array_or_none, listed_tools, read_tools
from sidecar.dialects.openai_chat.history import read_conversation
from sidecar.dialects.openai_chat.parameters import FIELDS
from sidecar.exchange import Json, Note


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
    resumption: Resumption[Beside, Place] | None = field(default=None, compare=False)
    known: int = field(default=0, compare=False)
    """How many leading messages are the ones of the request that this one was gone on from."""


def decode(body: Json, before: Resumption[Beside, Place] | None = None, known: int = 0) -> Decoded:
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
    conversation = read_conversation(body.get("messages"), names, notes, place=place)
    conversation.system[:0] = blocks_of(body.get("system"), "system", "system", notes)
    made = put_together(model, beside, conversation, names, notes, before)
    tools, parameters = beside.tools, beside.parameters
    return Decoded(
        request=made.request,
        notes=notes.listed(),
        tool_names=names.renamed(),
        stream=parameters.stream,
        include_usage=parameters.include_usage,
        n=parameters.n,
        custom_tools=frozenset(tools.custom),
        legacy_functions=tools.legacy,
        resumption=made.resumption,
        known=made.known,
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
