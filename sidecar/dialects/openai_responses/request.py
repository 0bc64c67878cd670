"""A Responses request as Claude's Messages request, whatever the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.parameters import read_parameters
from sidecar.dialects.openai.reading import array, flag, mapping, text
from sidecar.dialects.openai.resumption import Beside, Resumption, put_together
from sidecar.dialects.openai.schema_limits import SchemaLimits
from sidecar.dialects.openai.tool_choice import read_tool_choice
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.dialects.openai.tools import listed_tools
from sidecar.dialects.openai_responses.client_tools import ClientTool
from sidecar.dialects.openai_responses.items import ItemsPlace, read_items
from sidecar.dialects.openai_responses.output import ItemForms
from sidecar.dialects.openai_responses.parameters import ENCRYPTED, FIELDS
from sidecar.dialects.openai_responses.tools import read_response_tools
from sidecar.errors import invalid_request
from sidecar.exchange import Json, Note

BRINGS_TOOLS: Final = "additional_tools"


@dataclass(frozen=True, slots=True)
class ResponseBeside(Beside):
    namespaces: Mapping[str, tuple[str, str]]
    client_tools: Mapping[str, ClientTool]
    """Both as in `Decoded`."""
    echo: Json


@dataclass(frozen=True, slots=True)
class Decoded:
    request: Json
    """The inner form. Shares what it did not change with the client's body: neither may be edited in place."""
    notes: list[Note]
    """What was not passed on exactly."""
    tool_names: dict[str, str]
    """Name sent upstream -> client's name, where they differ."""
    stream: bool
    include_usage: bool
    """Only asked of an answer in chat form."""
    store: bool
    """Whether the client may come back to the answer."""
    encrypted: bool
    """Whether reasoning items carry Claude's signed thinking."""
    previous_response_id: str | None
    input: list[Json]
    """The items of this request alone."""
    echo: Json
    """The client's own fields, as its answer repeats them."""
    custom_tools: frozenset[str] = frozenset()
    """Names sent upstream of custom tools: the string `input` of such a call is the client's free-form input."""
    namespaces: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Names sent upstream of tools that stand in a group -> the group and the client's name."""
    client_tools: Mapping[str, ClientTool] = field(default_factory=dict)
    """Names sent upstream of OpenAI's own tools that run at the client."""
    resumption: Resumption[ResponseBeside, ItemsPlace] | None = field(default=None, compare=False)
    known: int = field(default=0, compare=False)
    """How many leading messages are the ones of the request that this one was gone on from."""

    def forms(self, key: str) -> ItemForms:
        """How the items of its answer look. `key` is what their ids have in common."""
        return ItemForms(
            key=key,
            tool_names=self.tool_names,
            custom_tools=self.custom_tools,
            namespaces=self.namespaces,
            client_tools=self.client_tools,
            encrypted=self.encrypted,
        )


def decode(
    body: Json,
    history: Sequence[tuple[Json, str]] = (),
    before: Resumption[ResponseBeside, ItemsPlace] | None = None,
    known: int = 0,
) -> Decoded:
    """Pure: the same body gives the same result, and `body` is left as it is. `history` has the items that stand before
    the input, with their paths.

    `before` is of an earlier body without history that says the same but for its input, of which `known` items are the
    first ones here: then only what follows is read. Raises GatewayError (400, `param` naming the field) for what cannot
    be understood.
    """
    body = mapping(body, "body")
    model = text(body.get("model"), "model")
    said, items = _input_of(body)
    if not (history or said or items):
        raise invalid_request("input: there must be at least one item.", param="input")
    if before is not None and before.place.at < known and not _bring_tools(items[before.place.at + 1 :]):
        beside, place = before.beside, before.place
        names, notes = place.turns.names.copy(), place.turns.notes.copy()
    else:
        before = place = None
        names, notes = ToolNames(), Notes()
        beside = _beside(body, [*history, *said, *_with_paths(items)], names, notes)
    ahead = [*_instructions(body.get("instructions")), *history, *said]
    conversation = read_items(ahead, items, names, notes, place=place)
    if (here := conversation.place) is not None and (history or _bring_tools(items[here.at + 1 :])):
        conversation = conversation._replace(place=None)  # nobody could go on from there
    made = put_together(model, beside, conversation, names, notes, before)
    return Decoded(
        request=made.request,
        notes=notes.listed(),
        tool_names=names.renamed(),
        stream=beside.parameters.stream,
        include_usage=beside.parameters.include_usage,
        store=body.get("store") is None or flag(body["store"], "store"),
        encrypted=ENCRYPTED in (body.get("include") or ()),
        previous_response_id=previous_response_id(body),
        input=[*(item for item, _ in said), *items],
        echo=beside.echo,
        custom_tools=frozenset(beside.tools.custom),
        namespaces=beside.namespaces,
        client_tools=beside.client_tools,
        resumption=made.resumption,
        known=made.known,
    )


def _beside(body: Json, row: list[tuple[Json, str]], names: ToolNames, notes: Notes) -> ResponseBeside:
    # Tools take their share of the limits first: a form of answer that comes and goes must not change them.
    limits = SchemaLimits()
    tools = read_response_tools([*listed_tools(body), *_added_tools(row)], names, limits, notes)
    parameters = read_parameters(body, FIELDS, limits, notes)
    choice = read_tool_choice(body, tools.tools, names, notes)
    return ResponseBeside(tools.tools, parameters, choice, tools.namespaces, tools.client_tools, _echo(body))


def previous_response_id(body: Json) -> str | None:
    """Of a request; None where it stands alone."""
    told = body.get("previous_response_id")
    return None if told is None else text(told, "previous_response_id")


def _input_of(body: Json) -> tuple[list[tuple[Json, str]], list[Any]]:
    """What `input` says in a string, as the message of the user that it is; or its items, as they come."""
    told = body.get("input")
    if told is None:
        return [], []
    if type(told) is str:
        return [({"type": "message", "role": "user", "content": told}, "input")], []
    return [], array(told, "input")


def _with_paths(items: Iterable[object]) -> Iterator[tuple[Json, str]]:
    for index, item in enumerate(items):
        path = f"input[{index}]"
        yield mapping(item, path), path


def _instructions(told: object) -> list[tuple[object, str]]:
    if told is None:
        return []
    if type(told) is str:
        return [({"type": "message", "role": "system", "content": told}, "instructions")]
    return [(item, f"instructions[{index}]") for index, item in enumerate(array(told, "instructions"))]


def _bring_tools(items: Iterable[object]) -> bool:
    """Tools beside those of the request."""
    return any(isinstance(item, dict) and item.get("type") == BRINGS_TOOLS for item in items)


def _added_tools(items: Iterable[tuple[Json, str]]) -> list[tuple[Json, str]]:
    return [
        (mapping(tool, f"{path}.tools[{index}]"), f"{path}.tools[{index}]")
        for item, path in items
        if item.get("type") == BRINGS_TOOLS
        for index, tool in enumerate(array(item.get("tools"), f"{path}.tools"))
    ]


_REPEATED = (
    "instructions", "max_output_tokens", "max_tool_calls", "previous_response_id", "prompt_cache_key",
    "safety_identifier", "temperature", "top_p",
)  # fmt: skip


def _echo(body: Json) -> Json:
    """What a response repeats of its request, in OpenAI's own words."""
    reasoning = body.get("reasoning") or {}
    words = body.get("text") or {}
    echo: Json = {name: body.get(name) for name in _REPEATED}
    echo |= {
        "background": False,
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": body.get("service_tier") or "auto",
        "store": body.get("store") is not False,
        "text": {"format": words.get("format") or {"type": "text"}, "verbosity": words.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [_whole(tool) for tool in body.get("tools") or ()],
        "top_logprobs": body.get("top_logprobs") or 0,
        "truncation": body.get("truncation") or "disabled",
    }
    if body.get("user") is not None:
        echo["user"] = body["user"]
    try:
        orjson.dumps(echo)
    except orjson.JSONEncodeError as error:
        raise invalid_request(f"The request is nested too deep to be repeated in its answer: {error}.") from error
    return echo


def _whole(tool: Json) -> Json:
    """A tool as OpenAI repeats it: a function says all that it may say."""
    if tool.get("type") != "function" or "function" in tool:
        return tool
    return {"description": None, "parameters": None, "strict": None} | tool
