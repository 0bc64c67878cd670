"""The input of a Responses request: a flat row of items as Claude's turns.

    reasoning, message, function_call         ->  assistant: thinking, text, tool_use
    function_call_output, message of the user ->  user: tool_result, text
    instructions, leading system, developer   ->  `system`
    later system and developer                ->  in place, role system

Every block comes from the item it stands in and those before it, never from what follows: so a conversation that grows
keeps the bytes it had, and its prompt cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from sidecar.dialects.openai.content import blocks_of, result_content
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import array, mapping, text, text_of
from sidecar.dialects.openai.resumption import Conversation, Place
from sidecar.dialects.openai.tool_calls import CUSTOM_INPUT, arguments_of
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.dialects.openai.turns import Turns
from sidecar.dialects.openai_responses.client_tools import ITEMS, arguments_in
from sidecar.dialects.openai_responses.reasoning import is_signed, opened
from sidecar.dialects.openai_responses.stored import response_of
from sidecar.dialects.openai_responses.tools import name_in
from sidecar.errors import invalid_request
from sidecar.exchange import Json

ROLES: Final = ("user", "assistant", "system", "developer")

NOT_FOR_CLAUDE: Final = {
    "web_search_call": "Claude gets the text that came of the search, not the search",
    "file_search_call": "Claude gets the text that came of the search, not the search",
    "code_interpreter_call": "Claude gets the text that came of it, not the program",
    "image_generation_call": "Claude makes no images",
    "computer_call": "Claude's computer use is another protocol",
    "computer_call_output": "Claude's computer use is another protocol",
    "mcp_list_tools": "Claude calls no MCP servers here",
    "mcp_approval_request": "Claude calls no MCP servers here",
    "mcp_approval_response": "Claude calls no MCP servers here",
    "mcp_call": "Claude calls no MCP servers here",
    "compaction": "only OpenAI can read it",
    "context_compaction": "only OpenAI can read it",
    "compaction_trigger": "send the whole conversation",
    "configuration_update": "Claude's configuration is that of the request",
    "tool_search_call": "Claude is told of all tools at once",
    "tool_search_output": "Claude is told of all tools at once",
    "program": "Claude calls tools one by one",
    "program_output": "Claude calls tools one by one",
}
"""Items that are reported and left out, and why."""

RAN_AT_CLAUDES: Final = frozenset({"web_search_call", "code_interpreter_call"})
"""Those that Claude's own answers have."""

_PASSED_OVER: Final = frozenset({
    "id", "type", "status", "phase", "role", "content", "object", "created_by", "caller", "async", "parsed_arguments",
    "environment", "max_output_length", "internal_chat_message_metadata_passthrough",
})  # fmt: skip
"""What clients echo from an answer and send back with it; nothing in it is for the model."""


@dataclass(frozen=True, slots=True)
class ItemsPlace(Place):
    came_from: str | None
    is_torn: bool
    """Both as in `_Items`."""


def read_items(
    ahead: Iterable[tuple[object, str]],
    items: Sequence[object],
    names: ToolNames,
    notes: Notes,
    *,
    place: ItemsPlace | None = None,
) -> Conversation[ItemsPlace]:
    """The `items` of the input, and what stands `ahead` of them, with its paths. With a `place`, which has its own
    `names` and `notes`, only the items behind it are read. Raises GatewayError (400) naming the one that cannot be
    understood."""
    if place is None:
        reader, read = _Items(names, notes), 0
        for item, path in ahead:
            reader.read(mapping(item, path), path)
    else:
        reader, read = _Items.going_on(place, names, notes), place.at + 1
    last = _last_turn(items)
    for index, item in enumerate(items[read:], read):
        path = f"input[{index}]"
        reader.read(mapping(item, path), path)
        if index == last:
            place = reader.place(index) or place
    return reader.finished(place)


def _last_turn(items: Sequence[object]) -> int:
    """The item with which the last turn of the assistant's begins, but for its thinking; -1 where there is none."""
    begin, response, others = -1, None, False
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if not isinstance(item, dict) or (kind := item.get("type")) == "reasoning":
            continue
        if item.get("role") == "assistant" or (type(kind) is str and kind in CALLS):
            came_from = _response_of(item)
            if others and (came_from is None or came_from != response):
                break
            begin, response, others = index, came_from, False
        else:
            others = begin >= 0
    return begin


class _Items:
    def __init__(self, names: ToolNames, notes: Notes) -> None:
        self._turns = Turns(names, notes)
        self._notes = notes
        self._system: list[Json] = []
        self._leading = True
        self._thoughts: list[Json] = []
        """Thinking that waits for what it led to: Claude refuses a turn that ends with it."""
        self._thought_at = ""
        self._came_from: str | None = None
        """The response that the last item of the assistant's was in; None where that is not known."""
        self._is_torn = False
        """Whether something is missing in the assistant's turn: Claude takes its thinking with the whole of it only."""

    def read(self, item: Json, path: str) -> None:
        kind = item.get("type", "message" if "role" in item else None)
        if type(kind) is not str:
            raise invalid_request(f"{path}.type: expected the type of an item.", param=f"{path}.type")
        if kind in NOT_FOR_CLAUDE:
            self._notes.add(path, "dropped", f"{kind}: {NOT_FOR_CLAUDE[kind]}")
            if kind in RAN_AT_CLAUDES:
                self._stop_thinking(path)
            return
        known = READERS.get(kind)
        if known is None:
            raise invalid_request(
                f"{path}: an item of type {kind[:60]!r} cannot be passed on; there are {', '.join(READERS)}.",
                param=f"{path}.type",
            )
        reader, fields = known
        for key in item.keys() - fields - _PASSED_OVER:
            if item[key] not in (None, "", [], {}):
                self._notes.add(f"{path}.{key}", "dropped", "not known to Claude")
        reader(self, item, path)

    @classmethod
    def going_on(cls, place: ItemsPlace, names: ToolNames, notes: Notes) -> _Items:
        """From there, as often as one likes, with copies of its names and notes."""
        items = cls(names, notes)
        items._turns = Turns.going_on(place.turns, names, notes)
        items._system = [*place.system]
        items._leading = False
        items._came_from = place.came_from
        items._is_torn = place.is_torn
        return items

    def place(self, at: int) -> ItemsPlace | None:
        """Behind the item that was read last, if the assistant's turn has just begun with it."""
        settled = self._turns.settled()
        if settled is None or self._thoughts:
            return None
        return ItemsPlace(at, [*self._system], settled, self._came_from, self._is_torn)

    def finished(self, place: ItemsPlace | None) -> Conversation[ItemsPlace]:
        self._let_go()
        return Conversation(self._system, self._turns.finished(), self._turns.has_calls, place)

    # --- one for each kind of item

    def message(self, item: Json, path: str) -> None:
        role = text_of(item, "role", path)
        if role not in ROLES:
            raise invalid_request(
                f"{path}.role: {role[:60]!r} is not a role; there are {', '.join(ROLES)}.", param=f"{path}.role"
            )
        content = item.get("content")
        if role == "assistant":
            if blocks := blocks_of(content, "assistant", path, self._notes):
                self._assistant(item, blocks, path)
            return
        self._let_go()
        if role == "user":
            self._leading = False
            self._turns.hear(blocks_of(content, "user", path, self._notes), path)
            return
        blocks = blocks_of(content, "system", path, self._notes)
        if self._leading:
            self._system += blocks
        elif blocks:
            self._turns.say("system", blocks)

    def agent_message(self, item: Json, path: str) -> None:
        """What one of Codex's agents tells another, which is to act on it: as if a user said it."""
        parts = [mapping(part, path) for part in array(item.get("content") or [], f"{path}.content")]
        readable = [part for part in parts if part.get("type") != "encrypted_content"]
        if len(readable) < len(parts):
            self._notes.add(f"{path}.content", "dropped", "only OpenAI can read it")
        if readable:
            self.message({"role": "user", "content": readable}, path)

    def pass_over(self, item: Json, path: str) -> None:
        """Read elsewhere."""

    def reasoning(self, item: Json, path: str) -> None:
        """Without `encrypted_content` there is nothing for Claude in it: it takes only what it signed."""
        content = item.get("encrypted_content")
        if content is None:
            return
        blocks = opened(text(content, f"{path}.encrypted_content"))
        if blocks is None or not all(is_signed(block) for block in blocks):
            self._notes.add(f"{path}.encrypted_content", "dropped", "thinking that is not Claude's, or not whole")
            return
        self._thoughts += blocks
        self._thought_at = path
        if self._is_torn:
            self._stop_thinking(path)

    def function_call(self, item: Json, path: str) -> None:
        value = arguments_of(item.get("arguments"), f"{path}.arguments", self._notes)
        self._call(item, name_in(item.get("namespace"), text_of(item, "name", path)), value, path)

    def custom_tool_call(self, item: Json, path: str) -> None:
        value = {CUSTOM_INPUT: text_of(item, "input", path)}
        self._call(item, name_in(item.get("namespace"), text_of(item, "name", path)), value, path)

    def client_tool_call(self, item: Json, path: str) -> None:
        tool = ITEMS[item["type"]]
        self._call(item, tool.name, mapping(arguments_in(item, tool), f"{path}.{tool.holder}"), path)

    def output(self, item: Json, path: str) -> None:
        told = item.get("output")
        # What a shell returns is a row of objects: Claude reads them as they are.
        shell = item["type"] == "shell_call_output" and type(told) is list
        content = result_content(orjson.dumps(told).decode() if shell else told, f"{path}.output", self._notes)
        result: Json = {"type": "tool_result", "tool_use_id": _call_id(item, path)}
        if content:
            result["content"] = content
        if item.get("status") == "failed":
            result["is_error"] = True
        self._let_go()
        self._leading = False
        self._turns.answer(result, path)

    # --- inside

    def _call(self, item: Json, name: str, value: Json, path: str) -> None:
        block = {"type": "tool_use", "id": _call_id(item, path), "name": name, "input": value}
        self._assistant(item, [block], path)

    def _assistant(self, item: Json, blocks: list[Json], path: str) -> None:
        """Some clients put each result right behind its call: calls of one answer are one turn all the same, which
        Claude's thinking belongs to as a whole."""
        self._leading = False
        came_from = _response_of(item)
        self._turns.call(self._thoughts + blocks, path, goes_on=came_from is not None and came_from == self._came_from)
        self._came_from = came_from
        self._thoughts = []

    def _stop_thinking(self, path: str) -> None:
        self._is_torn = True
        had_any = self._turns.forget_thinking()
        if had_any or self._thoughts:
            self._notes.add(path, "dropped", "thinking of a turn with a tool that ran at Claude's")
            self._thoughts = []

    def _let_go(self) -> None:
        """The assistant's turn is over."""
        self._is_torn = False
        if self._thoughts:
            self._notes.add(self._thought_at, "dropped", "thinking without what it led to, which Claude refuses")
            self._thoughts = []


def _response_of(item: Json) -> str | None:
    item_id = item.get("id")
    return response_of(item_id) if type(item_id) is str else None


def _call_id(item: Json, path: str) -> str:
    """Local shells have the id of the call in `id`."""
    return text_of(item, "call_id" if item.get("call_id") is not None else "id", path)


CALLS: Final = frozenset({"function_call", "custom_tool_call", *(tool.item for tool in ITEMS.values())})
_CALL: Final = frozenset({"call_id", "name", "namespace"})
_RESULT: Final = _CALL | {"output"}

READERS: Final[dict[str, tuple[Callable[[_Items, Json, str], None], frozenset[str]]]] = {
    "message": (_Items.message, frozenset()),
    "agent_message": (_Items.agent_message, frozenset({"author", "recipient"})),
    "additional_tools": (_Items.pass_over, frozenset({"tools"})),
    "reasoning": (_Items.reasoning, frozenset({"summary", "encrypted_content"})),
    "function_call": (_Items.function_call, _CALL | {"arguments"}),
    "function_call_output": (_Items.output, _RESULT),
    "custom_tool_call": (_Items.custom_tool_call, _CALL | {"input"}),
    "custom_tool_call_output": (_Items.output, _RESULT),
    **{tool.item: (_Items.client_tool_call, frozenset({"call_id", tool.holder})) for tool in ITEMS.values()},
    **{f"{kind}_output": (_Items.output, _RESULT) for kind in ITEMS},
}
"""Who reads an item of each kind, and the fields that it may have beside those that are passed over."""
