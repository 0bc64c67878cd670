"""Claude's turns, built one message at a time.

A turn of the assistant is followed by what answers it: the results of its calls, in the order of the calls, then what
the user said. Clients send these in any order and sometimes not at all, so answers are held until all are in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from sidecar.dialects.openai.content import UNMARKABLE
from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.tool_names import CallIds, ToolNames
from sidecar.exchange import Json

NOTHING_SAID = "(The user has said nothing yet.)"
"""Opens a conversation that does not begin with the user, as Claude's must."""
EMPTY_MESSAGE = "(empty message)"
NO_RESULT = "(This call was not answered: its result is missing from the conversation.)"


@dataclass(slots=True)
class _Call:
    """A call of the last assistant turn. `client_id` is None for the older `function_call`."""

    client_id: str | None
    client_name: str
    id: str
    path: str
    result: Json | None = None


class Settled(NamedTuple):
    """A conversation up to a turn of the assistant that has just begun: what stands before it changes no more."""

    has_calls: bool
    names: ToolNames
    notes: Notes
    ids: CallIds
    written: list[Json]
    calls: list[_Call]

    @property
    def messages(self) -> int:
        """How many will never change."""
        return len(self.written) - 1


class Turns:
    def __init__(self, names: ToolNames, notes: Notes) -> None:
        self.has_calls = False
        self._names = names
        self._notes = notes
        self._ids = CallIds()
        self._written: list[Json] = []
        self._calls: list[_Call] = []
        self._said: list[Json] = []
        """User and system messages since the last assistant turn."""
        self._answering = True
        """Whether anything came since the last assistant turn; what comes now belongs to its answers."""

    @classmethod
    def going_on(cls, settled: Settled, names: ToolNames, notes: Notes) -> Turns:
        """From there, as often as one likes, with copies of its names and notes."""
        turns = cls(names, notes)
        turns.has_calls = settled.has_calls
        turns._ids = settled.ids.copy()
        turns._written = [*settled.written[:-1], _open_turn(settled.written[-1])]
        turns._calls = [replace(call) for call in settled.calls]
        turns._answering = False
        return turns

    def settled(self) -> Settled | None:
        """Where the turn of the assistant that has just been called is its first message; else None."""
        if self._answering or self._said or any(call.result for call in self._calls):
            return None
        return Settled(
            self.has_calls,
            self._names.copy(),
            self._notes.copy(),
            self._ids.copy(),
            [*self._written[:-1], _open_turn(self._written[-1])],
            [replace(call) for call in self._calls],
        )

    def call(self, blocks: list[Json], path: str, *, goes_on: bool = False) -> None:
        """The assistant said this. `tool_use` blocks come with the client's names and ids (None where it has none).
        `goes_on` says that it is of the turn before, whatever results stand between them."""
        follows_answers = self._answering and not (goes_on and self._calls and not self._said)
        if follows_answers:
            self._close_answers()
        self._answering = False
        for block in blocks:
            if block["type"] == "tool_use":
                self._open(block, path)
        if follows_answers:
            self._written.append({"role": "assistant", "content": blocks})
        else:
            self._written[-1]["content"] += blocks

    def forget_thinking(self) -> bool:
        """Leave the thinking of the assistant's open turn out; whether there was any."""
        if self._answering:
            return False
        turn = self._written[-1]
        kept = [block for block in turn["content"] if block["type"] not in UNMARKABLE]
        forgotten = len(kept) < len(turn["content"])
        turn["content"] = kept
        return forgotten

    def say(self, role: Literal["user", "system"], blocks: list[Json]) -> None:
        """Blocks of the user, or system text in the middle of the conversation; none for an empty message."""
        self._answering = True
        if self._said and self._said[-1]["role"] == role:
            self._said[-1]["content"] += blocks
        else:
            self._said.append({"role": role, "content": blocks})

    def hear(self, blocks: list[Json], path: str) -> None:
        """A message of the user. Some clients send results in it, as Claude's own API has them."""
        said = [block for block in blocks if block["type"] != "tool_result"]
        for block in blocks:
            if block["type"] == "tool_result":
                self.answer(block, f"{path}.content")
        if said or not blocks:
            self.say("user", said)

    def answer(self, result: Json, path: str, *, function: str | None = None) -> None:
        """A `tool_result` with the client's id of the call; or, in the older form, of the call to this `function`."""
        label = result["tool_use_id"] if function is None else function
        why = "no call of the turn before has this id"
        for call in self._calls:
            if label != (call.client_id if function is None else call.client_name):
                continue
            if call.result is None:
                break
            why = "the call is answered already"
        else:
            self._notes.add(path, "repaired", f"result {label[:80]!r} passed on as text of the user: {why}")
            self.say("user", _as_text(result, label))
            return
        if self._said:
            self._notes.add(path, "repaired", "a tool result moved in front of the text that stood before it")
        result["tool_use_id"] = call.id
        call.result = result
        self._answering = True

    def finished(self) -> list[Json]:
        """The messages. A last assistant turn without calls stays last: it is the beginning of the answer (prefill)."""
        if self._answering or self._calls:
            self._close_answers()
        return self._written

    def _open(self, block: Json, path: str) -> None:
        self.has_calls = True
        client_id, name = block["id"], block["name"]
        call_id = self._ids.upstream(name if client_id is None else client_id)
        if client_id is not None and call_id != client_id:
            self._notes.add(path, "mapped", "a call id renamed: Claude wants each once, in letters, digits, _ and -")
        self._calls.append(_Call(client_id, name, call_id, path))
        block["id"] = call_id
        block["name"] = self._names.upstream(name)

    def _close_answers(self) -> None:
        """Write what answers the last assistant turn: the results in the order of the calls, then what was said."""
        results = [call.result or self._missing(call) for call in self._calls]
        if results:
            if self._said and self._said[0]["role"] == "user":
                self._said[0]["content"] = results + self._said[0]["content"]
            else:
                self._said.insert(0, {"role": "user", "content": results})
        elif not self._written and (not self._said or self._said[0]["role"] == "system"):
            self._notes.add("messages", "repaired", "opened with a turn of the user, as Claude wants it")
            self._said.insert(0, {"role": "user", "content": [{"type": "text", "text": NOTHING_SAID}]})
        for message in self._said:
            if not message["content"]:
                self._notes.add("messages", "repaired", f"an empty message of the user became {EMPTY_MESSAGE!r}")
                message["content"] = [{"type": "text", "text": EMPTY_MESSAGE}]
        self._written += self._said
        self._said = []
        self._calls = []

    def _missing(self, call: _Call) -> Json:
        label = call.client_name if call.client_id is None else call.client_id
        self._notes.add(call.path, "repaired", f"call {label[:80]!r} has no result; Claude is told so")
        return {"type": "tool_result", "tool_use_id": call.id, "content": NO_RESULT, "is_error": True}


def _open_turn(message: Json) -> Json:
    """What comes may be put behind its content."""
    return {**message, "content": [*message["content"]]}


def _as_text(result: Json, label: str) -> list[Json]:
    """A result that answers nothing, in tags: the words stay, and so do pictures."""
    opening, closing = f"<tool_result tool_call_id={json.dumps(label, ensure_ascii=False)}>", "</tool_result>"
    content = result.get("content", "")
    if type(content) is str:
        blocks = [{"type": "text", "text": f"{opening}\n{content}\n{closing}"}]
    else:
        blocks = [{"type": "text", "text": opening}, *content, {"type": "text", "text": closing}]
    if (mark := result.get("cache_control")) is not None:
        blocks[-1]["cache_control"] = mark
    return blocks
