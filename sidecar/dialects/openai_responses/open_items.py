"""Items on their way: Claude's blocks come in pieces, and each becomes the events of its item.

| item | opens with | pieces | closes with |
| --- | --- | --- | --- |
| message | item.added | a part for each text: part.added, text.delta, annotations | text.done, part.done, item.done |
| reasoning | item.added | summary_part.added, summary_text.delta | summary_text.done, part.done, item.done |
| function_call | item.added | arguments.delta | arguments.done, item.done |
| custom_tool_call | item.added | input.delta, in one piece: a string inside the arguments | input.done, item.done |
| a call of OpenAI's own tools | | | item.added, item.done |
| web_search_call | item.added, in_progress, searching | its result | completed, item.done |
| code_interpreter_call | item.added, in_progress, code, interpreting | its result | completed, item.done |

An item is done when the next one begins or the answer ends: only then is it known whether it was cut.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from sidecar.dialects.openai.server_tools import cited
from sidecar.dialects.openai.tool_calls import custom_input
from sidecar.dialects.openai_responses.events import Events
from sidecar.dialects.openai_responses.output import ItemForms, hosted_kind, text_part, url_citation
from sidecar.exchange import Json
from sidecar.fold import input_text, parse_input


class OpenItem(ABC):
    def __init__(self, events: Events, forms: ItemForms, index: int) -> None:
        self.events = events
        self.forms = forms
        self.index = index

    @abstractmethod
    def begin(self, block: Json) -> bytes:
        """A block that belongs to it begins."""

    def takes(self, block: Json) -> bool:
        """Whether a further block belongs to it too."""
        return False

    def delta(self, delta: Json) -> bytes:
        return b""

    def end(self) -> bytes:
        """Its block is complete."""
        return b""

    @abstractmethod
    def item(self, status: str) -> Json:
        """The item as far as it came."""

    def close(self, status: str) -> tuple[bytes, Json]:
        """What is left to say of it, and the item as it stays."""
        item = self.item(status)
        return self.told("response.output_item.done", item=item), item

    def added(self) -> bytes:
        return self.told("response.output_item.added", item=self.item("in_progress"))

    def told(self, kind: str, **fields: Any) -> bytes:
        return self.events.event(kind, output_index=self.index, **fields)


class OpenMessage(OpenItem):
    def __init__(self, events: Events, forms: ItemForms, index: int, *, joins: bool) -> None:
        """With `joins` all texts are one part: of an answer that cites they are cut at every citation."""
        super().__init__(events, forms, index)
        self._joins = joins
        self._id = forms.item_id("message", index)
        self._parts: list[Json] = []
        self._pieces: list[str] | None = None
        """Of the part that is open."""
        self._text: Callable[[str], bytes] = lambda _: b""
        self._length = 0
        self._cites_from = 0
        self._cites: list[Json] = []

    def begin(self, block: Json) -> bytes:
        opening = b"" if self._parts else self.added()
        if self._pieces is None or not self._joins:
            opening += self._end_part() + self._begin_part()
        self._cites_from, self._cites = self._length, list(block.get("citations") or ())
        return opening + (self._feed(block["text"]) if block.get("text") else b"")

    def takes(self, block: Json) -> bool:
        return bool(block["type"] == "text")

    def delta(self, delta: Json) -> bytes:
        if delta["type"] == "text_delta":
            return self._feed(delta["text"]) if delta["text"] else b""
        if delta["type"] == "citations_delta":
            self._cites.append(delta["citation"])
        return b""

    def end(self) -> bytes:
        found = b""
        for citation in cited(self._cites, self._cites_from, self._length):
            annotations = self._parts[-1]["annotations"]
            annotations.append(url_citation(citation))
            found += self._of_part(
                "response.output_text.annotation.added",
                annotation_index=len(annotations) - 1,
                annotation=annotations[-1],
            )
        self._cites = []
        return found

    def refuse(self, refusal: str) -> bytes:
        """Claude declines: the last part."""
        opening = b"" if self._parts else self.added()
        opening += self._end_part()
        self._parts.append({"type": "refusal", "refusal": ""})
        told = self._of_part("response.content_part.added", part=self._parts[-1])
        told += self._of_part("response.refusal.delta", delta=refusal)
        told += self._of_part("response.refusal.done", refusal=refusal)
        self._parts[-1] = {"type": "refusal", "refusal": refusal}
        return opening + told + self._of_part("response.content_part.done", part=self._parts[-1])

    def item(self, status: str) -> Json:
        return self.forms.message(self._parts, self.index, status)

    def close(self, status: str) -> tuple[bytes, Json]:
        last = self._end_part()
        done, item = super().close(status)
        return last + done, item

    def _begin_part(self) -> bytes:
        self._parts.append(text_part(""))
        self._pieces, self._length, self._cites_from = [], 0, 0
        self._text = self.events.deltas(
            "response.output_text.delta",
            item_id=self._id,
            output_index=self.index,
            content_index=len(self._parts) - 1,
            logprobs=[],
        )
        return self._of_part("response.content_part.added", part=self._parts[-1])

    def _feed(self, text: str) -> bytes:
        assert self._pieces is not None
        self._pieces.append(text)
        self._length += len(text)
        return self._text(text)

    def _end_part(self) -> bytes:
        if self._pieces is None:
            return b""
        part = self._parts[-1]
        part["text"] = "".join(self._pieces)
        self._pieces = None
        done = self._of_part("response.output_text.done", text=part["text"], logprobs=[])
        return done + self._of_part("response.content_part.done", part=part)

    def _of_part(self, kind: str, **fields: Any) -> bytes:
        return self.told(kind, item_id=self._id, content_index=len(self._parts) - 1, **fields)


class OpenReasoning(OpenItem):
    def __init__(self, events: Events, forms: ItemForms, index: int) -> None:
        super().__init__(events, forms, index)
        self._id = forms.item_id("reasoning", index)
        self._block: Json = {}
        self._pieces: list[str] = []
        self._text: Callable[[str], bytes] | None = None

    def begin(self, block: Json) -> bytes:
        self._block = {**block, "thinking": ""} if block["type"] == "thinking" else dict(block)
        text = block.get("thinking")
        return self.added() + (self._feed(text) if text else b"")

    def delta(self, delta: Json) -> bytes:
        if delta["type"] == "thinking_delta":
            return self._feed(delta["thinking"]) if delta["thinking"] else b""
        if delta["type"] == "signature_delta":
            self._block["signature"] = delta["signature"]
        return b""

    def end(self) -> bytes:
        if self._text is None:
            return b""
        text = self._block["thinking"] = "".join(self._pieces)
        done = self._of_summary("response.reasoning_summary_text.done", text=text)
        part = {"type": "summary_text", "text": text}
        return done + self._of_summary("response.reasoning_summary_part.done", part=part)

    def item(self, status: str) -> Json:
        return self.forms.reasoning(self._block, self.index, status)

    def _feed(self, text: str) -> bytes:
        opening = b""
        if self._text is None:
            part = {"type": "summary_text", "text": ""}
            opening = self._of_summary("response.reasoning_summary_part.added", part=part)
            self._text = self.events.deltas(
                "response.reasoning_summary_text.delta", item_id=self._id, output_index=self.index, summary_index=0
            )
        self._pieces.append(text)
        return opening + self._text(text)

    def _of_summary(self, kind: str, **fields: Any) -> bytes:
        return self.told(kind, item_id=self._id, summary_index=0, **fields)


class OpenCall(OpenItem):
    """A `tool_use` that is a function to the client."""

    def __init__(self, events: Events, forms: ItemForms, index: int) -> None:
        super().__init__(events, forms, index)
        self.block: Json = {}
        self.arguments = ""
        self._pieces: list[str] = []
        self._text: Callable[[str], bytes] = lambda _: b""

    @property
    def id(self) -> str:
        return self.forms.item_id(self.forms.call_kind(self.block), self.index)

    def begin(self, block: Json) -> bytes:
        self.block = block
        self._text = self.events.deltas(
            "response.function_call_arguments.delta", item_id=self.id, output_index=self.index
        )
        return self.added()

    def delta(self, delta: Json) -> bytes:
        if delta["type"] != "input_json_delta" or not delta["partial_json"]:
            return b""
        self._pieces.append(delta["partial_json"])
        return self.piece(delta["partial_json"])

    def piece(self, text: str) -> bytes:
        return self._text(text)

    def end(self) -> bytes:
        opening = b""
        if not self._pieces:  # a call must carry JSON: it has the input it began with, mostly `{}`
            self._pieces = [input_text(self.block.get("input") or {})]
            opening = self.piece(self._pieces[0])
        self.arguments = "".join(self._pieces)
        return opening + self.complete()

    def complete(self) -> bytes:
        name = self.item("completed")["name"]
        return self.told("response.function_call_arguments.done", item_id=self.id, name=name, arguments=self.arguments)

    def item(self, status: str) -> Json:
        return self.forms.call(self.block, self.index, self.arguments, status)


class OpenCustomCall(OpenCall):
    """Its input is told when its JSON is complete."""

    def piece(self, text: str) -> bytes:
        return b""

    def complete(self) -> bytes:
        told = custom_input(self.arguments)
        delta = self.told("response.custom_tool_call_input.delta", item_id=self.id, delta=told)
        return delta + self.told("response.custom_tool_call_input.done", item_id=self.id, input=told)


class OpenClientTool(OpenCall):
    """Its item has no form without its arguments: it is added once they are there."""

    def begin(self, block: Json) -> bytes:
        self.block = block
        return b""

    def piece(self, text: str) -> bytes:
        return b""

    def complete(self) -> bytes:
        return self.added()


class OpenHosted(OpenItem):
    """A tool that ran at Claude's: the call, then its result."""

    def __init__(self, events: Events, forms: ItemForms, index: int) -> None:
        super().__init__(events, forms, index)
        self._block: Json = {}
        self._pieces: list[str] = []
        self._result: Any = None
        self._added = False

    def begin(self, block: Json) -> bytes:
        if "tool_use_id" in block:
            self._result = block.get("content")
        else:
            self._block = block
        return b""

    def takes(self, block: Json) -> bool:
        return bool(block.get("tool_use_id") == self._block["id"])

    def delta(self, delta: Json) -> bytes:
        if delta["type"] == "input_json_delta":
            self._pieces.append(delta["partial_json"])
        return b""

    def end(self) -> bytes:
        if self._added:
            return b""
        self._added = True
        if self._pieces:
            self._block = {**self._block, "input": parse_input("".join(self._pieces))}
        kind, item_id = hosted_kind(self._block), self.forms.item_id(hosted_kind(self._block), self.index)
        told = self.added() + self.told(f"response.{kind}.in_progress", item_id=item_id)
        if kind == "web_search_call":
            return told + self.told("response.web_search_call.searching", item_id=item_id)
        code = self.item("in_progress")["code"] or ""
        told += self.told("response.code_interpreter_call_code.delta", item_id=item_id, delta=code)
        told += self.told("response.code_interpreter_call_code.done", item_id=item_id, code=code)
        return told + self.told("response.code_interpreter_call.interpreting", item_id=item_id)

    def item(self, status: str) -> Json:
        build = self.forms.web_search if hosted_kind(self._block) == "web_search_call" else self.forms.code
        return build(self._block, self.index, self._result, status)

    def close(self, status: str) -> tuple[bytes, Json]:
        item = self.item(status)
        completed = b""
        if item["status"] == "completed":
            completed = self.told(f"response.{item['type']}.completed", item_id=item["id"])
        done, item = super().close(status)
        return completed + done, item
