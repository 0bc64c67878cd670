"""Claude's answer as a completion, whole and streamed: in the shape of OpenAI's `text_completion`, or of a chat, as
Mistral answers what is to be filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import orjson

from sidecar.dialects.openai.feeding import fed
from sidecar.dialects.openai_chat.answer import finish_reason, total_usage, usage
from sidecar.dialects.openai_chat.stream import DONE
from sidecar.dialects.openai_completions.cut import Cut
from sidecar.exchange import Json, Usage
from sidecar.sse import ServerSentEvent


class Shape(NamedTuple):
    """How a choice of an answer looks."""

    whole: str
    """The `object` of the whole answer."""
    chunk: str
    """And of one piece."""
    said: Callable[[str], Json]
    """Where the text of the whole stands."""
    piece: Callable[[str], Json]


TEXT: Final = Shape("text_completion", "text_completion", lambda text: {"text": text}, lambda text: {"text": text})
CHAT: Final = Shape(
    "chat.completion",
    "chat.completion.chunk",
    lambda text: {"message": {"role": "assistant", "content": text, "refusal": None}},
    lambda text: {"delta": {"role": "assistant", "content": text}},
)


def encode_message(
    message: Json,
    *,
    shape: Shape = TEXT,
    id: str,  # noqa: A002 - the field's name on the wire
    created: int,
    index: int,
    echoed: str = "",
    cut: Iterable[str] = (),
) -> Json:
    """One completion. `created` is in Unix seconds."""
    ending = Cut(cut)
    text = ending.feed("".join([block["text"] for block in message["content"] if block["type"] == "text"]))
    reason = "stop" if ending.ended else finish_reason(message.get("stop_reason"))
    return {
        "id": id,
        "object": shape.whole,
        "created": created,
        "model": message["model"],
        "choices": [_choice(index, shape.said(echoed + text + ending.rest()), reason)],
        "usage": usage(message.get("usage") or {}),
    }


class CompletionStream:
    """One completion: events in, SSE bytes out."""

    def __init__(
        self,
        *,
        shape: Shape = TEXT,
        id: str,  # noqa: A002 - the field's name on the wire
        created: int,
        model: str,
        include_usage: bool,
        index: int,
        echoed: str = "",
        cut: Iterable[str] = (),
    ) -> None:
        self._head: Json = {"id": id, "object": shape.chunk, "created": created, "model": model}
        self._shape = shape
        self.include_usage = include_usage
        self.usage = Usage()
        """What Claude counted so far."""
        self._index = index
        self._echoed = echoed
        self._cut = Cut(cut)
        self._stop_reason: str | None = None

    def feed_all(self, events: Iterable[ServerSentEvent]) -> bytes:
        """The chunks of some unparsed events, together. Raises GatewayError for an event that makes no sense."""
        return fed(self._feed, events)

    def usage_chunk(self, total: Json) -> bytes:
        return _event({**self._head, "choices": [], "usage": total})

    def _feed(self, event: Json) -> bytes:
        match event.get("type"):
            case "content_block_delta" if event["delta"]["type"] == "text_delta":
                return self._chunk(self._cut.feed(event["delta"]["text"]))
            case "content_block_start" if event["content_block"]["type"] == "text":
                return self._chunk(self._cut.feed(event["content_block"]["text"]))
            case "message_start":
                self.usage.update(event["message"].get("usage"))
                return self._chunk(self._echoed)
            case "message_delta":
                self.usage.update(event.get("usage"))
                self._stop_reason = event["delta"].get("stop_reason") or self._stop_reason
            case "message_stop":
                rest = self._cut.rest()
                return self._chunk(rest, "stop" if self._cut.ended else finish_reason(self._stop_reason))
        return b""

    def _chunk(self, text: str, reason: str | None = None) -> bytes:
        if not text and reason is None:
            return b""
        body = {**self._head, "choices": [_choice(self._index, self._shape.piece(text), reason)]}
        return _event({**body, "usage": None} if self.include_usage else body)


def end_of(completions: Sequence[CompletionStream]) -> bytes:
    """What follows the last of them: their usage in one chunk where it was asked for, and `[DONE]`."""
    first = completions[0]
    if not first.include_usage:
        return DONE
    return first.usage_chunk(total_usage(usage(one.usage) for one in completions)) + DONE


def _choice(index: int, said: Json, reason: str | None) -> Json:
    return {**said, "index": index, "logprobs": None, "finish_reason": reason}


def _event(body: Json) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(body)
