"""Anthropic's stream events as OpenAI's chunks: a fold, with what differs from chunk to chunk cut out of ready-made
bytes.

| event | chunk |
| --- | --- |
| message_start | role |
| content_block_start of a tool_use | id, type and name of the next tool call |
| text_delta, thinking_delta, input_json_delta | content, reasoning_content, arguments |
| content_block_stop of a tool call without input | arguments `{}` |
| content_block_stop of a text with citations | annotations |
| message_stop | refusal if it was one; finish_reason |
| anything else | none |
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import orjson

from sidecar.dialects.anthropic_messages import TEXT_FIELD, plain_deltas, plain_texts
from sidecar.dialects.openai.errors import encode_error, refusal_text
from sidecar.dialects.openai.feeding import fed
from sidecar.dialects.openai.server_tools import cited
from sidecar.dialects.openai.tool_calls import custom_input
from sidecar.dialects.openai_chat.answer import finish_reason, total_usage, url_citations, usage
from sidecar.dialects.openai_chat.call_forms import CallForms
from sidecar.errors import GatewayError
from sidecar.exchange import Json, Usage
from sidecar.fold import input_text
from sidecar.sse import Events, ServerSentEvent

DONE = b"data: [DONE]\n\n"

_HOLE = "\x00"


class ChatStream:
    """One choice: events in, SSE bytes out."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the field's name on the wire
        created: int,
        model: str,
        include_usage: bool,
        tool_names: Mapping[str, str],
        custom_tools: Collection[str] = (),
        legacy_functions: bool = False,
        index: int = 0,
    ) -> None:
        self._head: Json = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self.include_usage = include_usage
        self.usage = Usage()
        """What Claude counted so far."""
        self._forms = CallForms(tool_names, custom_tools, legacy_functions)
        self._index = index
        self._stop_reason: str | None = None
        self._stop_details: Json | None = None
        self._calls: dict[int, _ToolCall] = {}
        """The open tool calls, by content index."""
        self._calls_begun = 0
        self._text_length = 0
        self._cites: list[Json] = []
        """Those of the open text block, which begins at `_cites_from` of the whole text."""
        self._cites_from = 0
        self._turns: dict[str, Callable[[Json], bytes]] = {
            "content_block_start": self._block_start,
            "content_block_stop": self._block_stop,
            "message_start": self._message_start,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
        }
        content, self._after_text = self._template({"content": _HOLE})
        reasoning = content.removesuffix(b'"content":') + b'"reasoning_content":'
        self._before_json = {TEXT_FIELD: content, b'thinking_delta","thinking': reasoning}
        self._before_text = {"text_delta": ("text", content), "thinking_delta": ("thinking", reasoning)}

    def feed(self, event: Json) -> bytes:
        """The chunks of one parsed event."""
        kind = event.get("type", "")
        if kind == "content_block_delta":
            return self._delta(event)
        turn = self._turns.get(kind)
        return turn(event) if turn is not None else b""

    def feed_all(self, events: Iterable[ServerSentEvent]) -> bytes:
        """The chunks of some unparsed events, together. Raises GatewayError for an event that is not JSON, or not what
        its type says."""
        if isinstance(events, Events):
            before, deltas, behind = events.around
            texts = plain_texts(deltas) if deltas else None
            found = plain_deltas(deltas) if deltas and texts is None else None
            if texts is not None or found is not None:  # their texts are JSON already
                opening = fed(self.feed, before) if before else b""  # first: it opens the calls that deltas are of
                chunks = self._all_text(texts) if texts is not None else self._all_spelled(found or ())
                return opening + chunks + (fed(self.feed, behind) if behind else b"")
        return fed(self.feed, events)

    def _all_spelled(self, found: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
        return b"".join([self._spelled(*one) for one in found])

    def _all_text(self, texts: list[bytes]) -> bytes:
        """Of text alone, as most deltas are, without a step for each."""
        if b'""' in texts:
            texts = [text for text in texts if text != b'""']
        joined = b"".join(texts)
        if joined.isascii() and b"\\" not in joined:
            self._text_length += len(joined) - len(texts) * len('""')
        else:
            self._text_length += sum(map(characters, texts))
        before, after = self._before_json[TEXT_FIELD], self._after_text
        return before + (after + before).join(texts) + after if texts else b""

    def _spelled(self, index: bytes, kind: bytes, text: bytes) -> bytes:
        """The chunk of one delta whose text is JSON already."""
        if text == b'""':
            return b""
        before = self._before_json.get(kind)
        if before is not None:
            if kind == TEXT_FIELD:
                self._text_length += characters(text)
            return before + text + self._after_text
        call = self._calls.get(int(index))  # None: a server's tool
        return call.feed_json(text) if call is not None else b""

    def end(self) -> bytes:
        """What follows the last choice: usage where it was asked for, and `[DONE]`."""
        return end_of([self])

    def usage_chunk(self, total: Json) -> bytes:
        return _event({**self._head, "choices": [], "usage": total})

    def _delta(self, event: Json) -> bytes:
        delta = event["delta"]
        kind = delta["type"]
        template = self._before_text.get(kind)
        if template is not None:
            field, before = template
            text = delta[field]
            if kind == "text_delta":
                self._text_length += len(text)
            return before + orjson.dumps(text) + self._after_text if text else b""
        if kind == "input_json_delta":
            call = self._calls.get(event["index"])  # None: a server's tool
            return call.feed(delta["partial_json"]) if call is not None else b""
        if kind == "citations_delta":
            self._cites.append(delta["citation"])
        return b""

    def _message_start(self, event: Json) -> bytes:
        self.usage.update(event["message"].get("usage"))
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _block_start(self, event: Json) -> bytes:
        block = event["content_block"]
        if block["type"] == "tool_use":
            return self._open_call(event["index"], block)
        if block["type"] == "text":
            self._cites, self._cites_from = list(block.get("citations") or ()), self._text_length
        # Empty as a rule, but nothing keeps a server from starting with the first words.
        if text := block.get("text") or block.get("thinking"):
            kind = block["type"]
            return self._delta({"index": event["index"], "delta": {"type": f"{kind}_delta", kind: text}})
        return b""

    def _open_call(self, index: int, block: Json) -> bytes:
        position = self._calls_begun
        self._calls_begun += 1
        if position and self._forms.legacy_functions:
            return b""  # the form has room for one
        template = self._template(self._forms.piece(block, position, _HOLE))
        call = _CustomCall if self._forms.is_custom(block) else _ToolCall
        self._calls[index] = call(block.get("input"), template)
        return self._chunk(self._forms.opening(block, position))

    def _block_stop(self, event: Json) -> bytes:
        call = self._calls.pop(event["index"], None)
        if call is not None:
            return call.end()
        if found := cited(self._cites, self._cites_from, self._text_length):
            self._cites = []
            return self._chunk({"annotations": url_citations(found)})
        return b""

    def _message_delta(self, event: Json) -> bytes:
        self.usage.update(event.get("usage"))
        delta = event["delta"]
        self._stop_reason = delta.get("stop_reason") or self._stop_reason
        self._stop_details = delta.get("stop_details") or self._stop_details
        return b""

    def _message_stop(self, _: Json) -> bytes:
        last = self._chunk({}, finish_reason(self._stop_reason, legacy_functions=self._forms.legacy_functions))
        if self._stop_reason == "refusal":
            return self._chunk({"refusal": refusal_text(self._stop_details)}) + last
        return last

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        choice = {"index": self._index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**self._head, "choices": [choice], **({"usage": None} if self.include_usage else {})})

    def _template(self, delta: Json) -> tuple[bytes, bytes]:
        """What stands before and after the one string that changes."""
        before, after = self._chunk(delta).rsplit(orjson.dumps(_HOLE), 1)
        return before, after


class _ToolCall:
    """The arguments of one call as they come."""

    def __init__(self, initial_input: object, template: tuple[bytes, bytes]) -> None:
        self._initial_input = initial_input
        self._before, self._after = template
        self._has_arguments = False

    def feed(self, piece: str) -> bytes:
        if not piece:
            return b""
        self._has_arguments = True
        return self._before + orjson.dumps(piece) + self._after

    def feed_json(self, piece: bytes) -> bytes:
        """The same with the piece as JSON."""
        self._has_arguments = True
        return self._before + piece + self._after

    def end(self) -> bytes:
        """A call must carry JSON: without a single piece it has the input it began with, mostly `{}`."""
        return b"" if self._has_arguments else self.feed(input_text(self._initial_input or {}))


class _CustomCall(_ToolCall):
    """The input of one custom call: told when its JSON is complete."""

    def __init__(self, initial_input: object, template: tuple[bytes, bytes]) -> None:
        super().__init__(initial_input, template)
        self._pieces: list[str] = []

    def feed(self, piece: str) -> bytes:
        self._pieces.append(piece)
        return b""

    def feed_json(self, piece: bytes) -> bytes:
        return self.feed(orjson.loads(piece))

    def end(self) -> bytes:
        arguments = "".join(self._pieces) or input_text(self._initial_input or {})
        return self._before + orjson.dumps(custom_input(arguments)) + self._after


def characters(text: bytes) -> int:
    """How many there are in a JSON string."""
    return len(text) - len('""') if text.isascii() and b"\\" not in text else len(orjson.loads(text))


def error_chunk(error: GatewayError) -> bytes:
    """The error in mid-stream. No `[DONE]` after it: OpenAI's SDKs raise at the error, and to those who overlook it a
    stream without an end says that something is missing."""
    return _event(encode_error(error)[1])


def end_of(choices: Sequence[ChatStream]) -> bytes:
    """What follows the last of all choices: their usage in one chunk where it was asked for, and `[DONE]`."""
    first = choices[0]
    if not first.include_usage:
        return DONE
    return first.usage_chunk(total_usage(usage(choice.usage) for choice in choices)) + DONE


def _event(body: Json) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(body)
