"""The conversation: OpenAI's flat list of messages as Claude's turns.

    assistant, with calls a and b     ->  assistant: tool_use a, tool_use b
    tool b, tool a, user              ->  user: tool_result a, tool_result b, text
    leading system and developer      ->  `system`
    later system and developer        ->  in place, role system
    tool, answering no open call      ->  tagged text of the user
    call that nobody answered         ->  tool_result that says so

Every block comes from the message it stands in and those before it, never from what follows; so a conversation that
grows keeps the bytes it had, and its prompt cache. Only the turn that is still open changes with what is added to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sidecar.dialects.openai.content import MARKS, blocks_of, mark_of, put_mark, result_content, text_blocks
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import array, mapping, text, text_of
from sidecar.dialects.openai.resumption import Conversation, Place
from sidecar.dialects.openai.tool_calls import uses_of
from sidecar.dialects.openai.tool_names import ToolNames
from sidecar.dialects.openai.turns import Turns
from sidecar.errors import invalid_request
from sidecar.exchange import Json


def read_conversation(
    messages: object, names: ToolNames, notes: Notes, *, place: Place | None = None
) -> Conversation[Place]:
    """With a `place`, which has its own `names` and `notes`, only what stands behind it is read. Raises GatewayError
    (400) naming the message that cannot be understood."""
    messages = array(messages, "messages")
    if not messages:
        raise invalid_request("messages: there must be at least one message.", param="messages")
    turns = Turns(names, notes)
    system: list[Json] = []
    leading, read = True, 0
    if place is not None:
        turns = Turns.going_on(place.turns, names, notes)
        system, leading, read = [*place.system], False, place.at + 1
    last = _last_turn(messages)
    for index, message in enumerate(messages[read:], read):
        path = f"messages[{index}]"
        role = text_of(mapping(message, path), "role", path)
        known = _ROLES.get(role)
        if known is None:
            raise invalid_request(
                f"{path}.role: {role!r} is not a role; there are {', '.join(_ROLES)}.", param=f"{path}.role"
            )
        reader, expected = known
        if not message.keys() <= expected:
            _note_what_is_lost(message, expected, path, notes)
        if leading and reader is _read_system:
            system += _blocks(message, "system", path, notes)
        else:
            leading = False
            reader(turns, message, path, notes)
        if index == last and (settled := turns.settled()) is not None:
            place = Place(index, [*system], settled)
    return Conversation(system, turns.finished(), turns.has_calls, place)


def _last_turn(messages: list[Json]) -> int:
    """The message with which the last turn of the assistant's begins."""
    for index in range(len(messages) - 1, 0, -1):
        if _is_assistants(messages[index]) and not _is_assistants(messages[index - 1]):
            return index
    return -1


def _is_assistants(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") == "assistant"


def _read_system(turns: Turns, message: Json, path: str, notes: Notes) -> None:
    if blocks := _blocks(message, "system", path, notes):
        turns.say("system", blocks)


def _read_user(turns: Turns, message: Json, path: str, notes: Notes) -> None:
    turns.hear(_blocks(message, "user", path, notes), path)


def _read_assistant(turns: Turns, message: Json, path: str, notes: Notes) -> None:
    blocks = blocks_of(message.get("content"), "assistant", path, notes)
    if (refusal := message.get("refusal")) is not None:
        blocks += text_blocks(text(refusal, f"{path}.refusal"), f"{path}.refusal", notes)
    blocks += uses_of(message, path, notes)
    if not blocks:
        notes.add(path, "repaired", "an assistant message without content, left out")
        return
    _put_mark_of(message, blocks, path, notes)
    turns.call(blocks, path)


def _read_tool(turns: Turns, message: Json, path: str, notes: Notes) -> None:
    call_id = text_of(message, "tool_call_id", path)
    turns.answer(_with_content({"type": "tool_result", "tool_use_id": call_id}, message, path, notes), path)


def _read_function(turns: Turns, message: Json, path: str, notes: Notes) -> None:
    name = text_of(message, "name", path)
    turns.answer(_with_content({"type": "tool_result"}, message, path, notes), path, function=name)


def _with_content(block: Json, message: Json, path: str, notes: Notes) -> Json:
    if content := result_content(message.get("content"), path, notes):
        block["content"] = content
    _put_mark_of(message, [block], path, notes)
    return block


def _blocks(message: Json, place: Literal["system", "user"], path: str, notes: Notes) -> list[Json]:
    blocks = blocks_of(message.get("content"), place, path, notes)
    _put_mark_of(message, blocks, path, notes)
    return blocks


def _put_mark_of(message: Json, blocks: list[Json], path: str, notes: Notes) -> None:
    """A mark on the message itself, as opencode puts it, marks the message's last block."""
    if MARKS.isdisjoint(message):
        return
    mark = mark_of(message, path)
    if mark is not None and not put_mark(blocks, mark):
        notes.add(path, "ignored", "a cache mark on a message without content")


_ECHOED = frozenset({
    "annotations", "id", "index", "object", "parsed", "provider_specific_fields", "reasoning", "reasoning_content",
    "reasoning_details", "reasoning_text", "status", "thinking_blocks", "type",
})  # fmt: skip
"""What clients keep from an answer and send back with it; nothing in it is for the model."""

_ANYWHERE = _ECHOED | MARKS | {"role", "content"}

_ROLES: dict[str, tuple[Callable[[Turns, Json, str, Notes], None], frozenset[str]]] = {
    "system": (_read_system, _ANYWHERE),
    "developer": (_read_system, _ANYWHERE),
    "user": (_read_user, _ANYWHERE),
    "assistant": (_read_assistant, _ANYWHERE | {"refusal", "tool_calls", "function_call"}),
    "tool": (_read_tool, _ANYWHERE | {"tool_call_id", "name"}),
    "function": (_read_function, _ANYWHERE | {"name"}),
}
"""Who reads a message of each role, and the fields that it may have."""


def _note_what_is_lost(message: Json, expected: frozenset[str], path: str, notes: Notes) -> None:
    for key, value in message.items():
        if key not in expected and value not in (None, "", [], {}):
            detail = "Claude knows no names of speakers" if key == "name" else "not known to Claude"
            notes.add(f"{path}.{key}", "dropped", detail)
