"""Anthropic's stream events as those of a response: a fold.

| event | events of the response |
| --- | --- |
| message_start | created, in_progress |
| content_block_start, _delta, _stop | those of its item, see `open_items` |
| message_stop | what closes the last item; completed or incomplete |
| anything else | none |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import orjson

from sidecar.dialects.anthropic_messages import stream_of
from sidecar.dialects.openai.errors import encode_error, refusal_text
from sidecar.dialects.openai.feeding import fed
from sidecar.dialects.openai_responses.answer import STATUSES, TIERS, Envelope, usage
from sidecar.dialects.openai_responses.events import Events
from sidecar.dialects.openai_responses.open_items import (
    OpenCall,
    OpenClientTool,
    OpenCustomCall,
    OpenHosted,
    OpenItem,
    OpenMessage,
    OpenReasoning,
)
from sidecar.dialects.openai_responses.output import ItemForms
from sidecar.dialects.openai_responses.reasoning import SIGNED_BY
from sidecar.errors import GatewayError
from sidecar.exchange import Json, Usage
from sidecar.sse import ServerSentEvent

_CALLS: Final[dict[str, type[OpenCall]]] = {"function_call": OpenCall, "custom_tool_call": OpenCustomCall}


class ResponseStream:
    """Events in, SSE bytes out; `response` is the whole of it in the end."""

    def __init__(self, envelope: Envelope, forms: ItemForms, *, clock: Callable[[], int]) -> None:
        """`clock` tells Unix seconds."""
        self.response: Json | None = None
        """Complete, once Claude's message is."""
        self.usage = Usage()
        """What Claude counted so far."""
        self._envelope = envelope
        self._forms = forms
        self._clock = clock
        self._events = Events()
        self._output: list[Json] = []
        self._open: OpenItem | None = None
        self._taking = False
        """Whether the block that is on its way belongs to the open item."""
        self._joins = False
        self._stop_reason: str | None = None
        self._stop_details: Json | None = None
        self._turns: dict[str, Callable[[Json], bytes]] = {
            "content_block_delta": self._delta,
            "content_block_start": self._block_start,
            "content_block_stop": self._block_stop,
            "message_start": self._message_start,
            "message_delta": self._message_delta,
            "message_stop": self._message_stop,
        }

    def feed(self, event: Json) -> bytes:
        """The events of one parsed event."""
        turn = self._turns.get(event.get("type", ""))
        return turn(event) if turn is not None else b""

    def feed_all(self, events: Iterable[ServerSentEvent]) -> bytes:
        """The events of some unparsed ones, together. Raises GatewayError for an event that is not JSON, or not what
        its type says."""
        return fed(self.feed, events)

    def fail(self, error: GatewayError) -> bytes:
        """The end of an answer that broke off. OpenAI's SDKs raise at `error`; who reads on finds the response."""
        told = encode_error(error)[1]["error"]
        flat = {name: told[name] for name in ("code", "message", "param")}
        event = self._events.event("error", **flat, error=told)
        return event + self._events.event("response.failed", response=self._envelope.failed(error, self._output))

    def _message_start(self, event: Json) -> bytes:
        self.usage.update(event["message"].get("usage"))
        response = self._envelope.response("in_progress")
        return self._events.event("response.created", response=response) + self._events.event(
            "response.in_progress", response=response
        )

    def _block_start(self, event: Json) -> bytes:
        block = event["content_block"]
        before = b""
        self._taking = self._open is not None and self._open.takes(block)
        if not self._taking:
            item = self._item_for(block)
            if item is None:
                return b""
            before = self._close("completed")
            item.index = len(self._output)
            self._open, self._taking = item, True
        assert self._open is not None
        return before + self._open.begin(block)

    def _item_for(self, block: Json) -> OpenItem | None:
        """None for what has no place in a response."""
        kind, index = block["type"], len(self._output) + (self._open is not None)
        if kind == "text":
            return OpenMessage(self._events, self._forms, index, joins=self._joins)
        if kind in SIGNED_BY:
            return OpenReasoning(self._events, self._forms, index)
        if kind == "tool_use":
            return _CALLS.get(self._forms.call_kind(block), OpenClientTool)(self._events, self._forms, index)
        if kind == "server_tool_use":
            self._joins = True
            return OpenHosted(self._events, self._forms, index)
        return None

    def _delta(self, event: Json) -> bytes:
        delta = event["delta"]
        return self._open.delta(delta) if self._taking and self._open is not None else b""

    def _block_stop(self, _: Json) -> bytes:
        if not self._taking or self._open is None:
            return b""
        self._taking = False
        return self._open.end()

    def _message_delta(self, event: Json) -> bytes:
        self.usage.update(event.get("usage"))
        delta = event["delta"]
        self._stop_reason = delta.get("stop_reason") or self._stop_reason
        self._stop_details = delta.get("stop_details") or self._stop_details
        return b""

    def _message_stop(self, _: Json) -> bytes:
        status, reason = STATUSES.get(self._stop_reason or "", ("completed", None))
        before = b""
        if self._stop_reason == "refusal":
            before = self._refuse(refusal_text(self._stop_details))
        before += self._close(status)
        told = self._envelope.response(
            status,
            self._output,
            completed_at=self._clock() if status == "completed" else None,
            incomplete_details=None if reason is None else {"reason": reason},
            service_tier=TIERS.get(self.usage.service_tier or "", "default"),
            usage=usage(self.usage),
        )
        self.response = told
        return before + self._events.event(f"response.{status}", response=told)

    def _refuse(self, refusal: str) -> bytes:
        before = b""
        if not isinstance(self._open, OpenMessage):
            before = self._close("completed")
            self._open = OpenMessage(self._events, self._forms, len(self._output), joins=False)
        return before + self._open.refuse(refusal)

    def _close(self, status: str) -> bytes:
        if self._open is None:
            return b""
        done, item = self._open.close(status)
        self._output.append(item)
        self._open = None
        return done


def encode_response(message: Json, envelope: Envelope, forms: ItemForms, *, completed: int) -> Json:
    """A complete Anthropic message as a response: what its stream adds up to. `completed` is in Unix seconds."""
    stream = ResponseStream(envelope, forms, clock=lambda: completed)
    for event in stream_of(message):
        stream.feed(orjson.loads(event.data))
    assert stream.response is not None
    return stream.response
