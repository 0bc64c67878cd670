"""An offline Claude: the Messages API with its checks, its prompt cache and its bill, and a script instead of a model.

    with RunningSimulator() as running:                     # sidecar.simulator.server; a real socket on loopback
        simulator = running.simulator
        simulator.script(Answer("hello"))                   # the next request gets this,
        simulator.script(Failure(529), Answer("again"))     # the two after it these,
        simulator.when("title", Answer("A title"))          # and whoever says "title" this, before the queue is asked
        ... POST {running.url}/v1/messages ...
        [row] = simulator.ledger.wait(1)                    # what was received, billed, and whether the client left
        simulator.clock.advance(301)                        # five minutes later every short-lived cache entry is gone

Answers are made of `Text`, `Thinking`, `RedactedThinking` and `ToolCall` parts, or of blocks as Anthropic writes
them; see `sidecar.simulator.answers` for endings (`stop_reason`, `refusal()`), failures (`Failure(429,
retry_after=2)`), bytes that no Claude would send (`Raw`) and deliveries (`first_byte_after`, `delta_every`,
`silent_after`, `cut_after`, `error_after`, `chunk_sizes`). A request that nothing is scripted for gets a deterministic
answer: it calls the tools that the newest user text asks for (`call NAME {"json": 1}`, one a line; web search and code
execution it runs itself, see `sidecar.simulator.server_tools`), fills in the schema
of `output_config.format`, continues a prefill, thinks when `thinking` is on, or repeats the question.

Other processes use the same over HTTP: `GET|DELETE /_simulator/ledger`, `POST|DELETE /_simulator/script` (`{"steps":
[{"answer": {...}}, {"failure": {...}}], "when": "text"}`), `GET|POST /_simulator/clock` (`{"set": 1e9}`, `{"advance":
300}`, `{"run": true}`), `DELETE /_simulator/cache`.

It shares no code with the gateway it judges and has its own price table and cache rules. A workspace is an API key.
Billing of a request that is cut short: its input and the output sent so far, once `message_start` is out; nothing
before.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.types import ASGIApp

from sidecar.simulator.answers import Answer, Failure, Raw, Step
from sidecar.simulator.app import make_app
from sidecar.simulator.cache_rules import check_marks
from sidecar.simulator.caching import PromptCache, Reading
from sidecar.simulator.canned import CannedClaude
from sidecar.simulator.clock import Clock
from sidecar.simulator.composing import Message, compose, fresh_id, pre_warmed
from sidecar.simulator.delivery import Delivery, Progress
from sidecar.simulator.diagnosis import Diagnoses
from sidecar.simulator.errors import ApiError
from sidecar.simulator.ledger import Ledger, Row, bill
from sidecar.simulator.models import Model
from sidecar.simulator.prompt import PromptBlock, render
from sidecar.simulator.raw import Connections, RawDelivery
from sidecar.simulator.script import Matches, Script
from sidecar.simulator.server_tools import searches_in
from sidecar.simulator.thinking_rules import ResponseMemory
from sidecar.simulator.validation import validate
from sidecar.simulator.wire import Terms, error_body, message_body, message_events

DEFAULT_KEY = "sk-ant-simulated"
MAX_BODY_BYTES = 32 * 1024 * 1024
"""The API's limit of a request body."""


class Simulator:
    """One simulated Claude. Script, ledger and clock may be used from any thread; all else belongs to its server.

    `keys` are the API keys it takes. `fast` answers every request with one canned message, unchecked and unbilled, for
    benchmarks of what stands in front of it. With `demands_thinking` every call must come back with the thinking that
    led to it.
    """

    def __init__(
        self,
        *,
        keys: Collection[str] = (DEFAULT_KEY,),
        fast: bool = False,
        demands_thinking: bool = False,
        keep_rows: int = 10_000,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.keys = frozenset(keys)
        self.max_body_bytes = max_body_bytes
        self.clock = Clock()
        self.ledger = Ledger(keep=keep_rows)
        self.scripted = Script()
        self.cache = PromptCache()
        self.batch_cost = Decimal(0)
        """Micro-dollars for the messages of batches, which have no rows of their own."""
        self.closing = asyncio.Event()
        self.connections = Connections()
        self._diagnoses = Diagnoses()
        self._responses = ResponseMemory(demands_thinking=demands_thinking)
        self._fast = fast

    @property
    def app(self) -> ASGIApp:
        """The API as an ASGI application."""
        return CannedClaude() if self._fast else make_app(self)

    def script(self, *steps: Step | str) -> None:
        """The next requests get these steps, one each; a string is an answer of that text."""
        self.scripted.add(*(Answer(step) if isinstance(step, str) else step for step in steps))

    def when(self, matches: Matches | str, step: Step | str, *, times: int | None = None) -> None:
        """Requests that match, or whose newest user text holds this string, get `step`; asked before the queue."""
        self.scripted.when(matches, Answer(step) if isinstance(step, str) else step, times=times)

    def authorize(self, headers: Mapping[str, str], *, too_large: bool = False) -> str:
        """The key of a request. Raises ApiError 401, or 413 for a body that was `too_large`."""
        if too_large:
            raise ApiError("Request exceeds the maximum size", 413)
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        key = headers.get("x-api-key") or bearer
        if not key:
            raise ApiError("x-api-key header is required", 401)
        if key not in self.keys:
            raise ApiError("invalid x-api-key" if "x-api-key" in headers else "Invalid bearer token", 401)
        return key

    def accept(self, row: Row, workspace: str, *, counting: bool = False) -> Turn:
        """Checks one request and renders its prompt. Raises ApiError."""
        request = _parsed(row.body)
        model = validate(request, row.headers, self._responses, counting=counting)
        blocks = render(request, model)
        check_marks(request, blocks)
        prompt_tokens = sum(block.tokens for block in blocks)
        if prompt_tokens > model.max_input_tokens:
            raise ApiError(f"prompt is too long: {prompt_tokens} tokens > {model.max_input_tokens} maximum")
        return Turn(request, model, workspace, blocks, prompt_tokens)

    def step_for(self, turn: Turn) -> Step:
        return self.scripted.take(turn.request)

    def deliver(self, turn: Turn, answer: Answer, row: Row, headers: Mapping[str, str]) -> Delivery:
        """Starts the bill of a request and returns its answer, ready to send."""
        request, model = turn.request, turn.model
        reading = self.cache.read(request, turn.blocks, model, turn.workspace, self.clock.now())
        message_id = fresh_id("msg", row.number, hashlib.sha256(row.body).digest())
        if request["max_tokens"] == 0:
            message = pre_warmed(request, message_id)
        else:
            message = compose(request, answer, model, message_id)
        diagnostics = self._diagnoses.compare(message_id, request, turn.blocks, model, reading)
        terms = Terms(reading, request.get("speed"), request.get("inference_geo"), diagnostics)
        streaming = bool(request.get("stream"))
        error = error_body(answer.error_status, None, row.request_id)
        return Delivery(
            answer,
            headers,
            begin=lambda: self.cache.begin(reading),
            end=lambda progress: self._settle(row, turn, message, reading, progress),
            closing=self.closing,
            body=None if streaming else json.dumps(message_body(message, terms), ensure_ascii=False).encode(),
            events=tuple(message_events(message, terms, delta_chars=answer.delta_chars)) if streaming else (),
            error_event=f"event: error\ndata: {json.dumps(error)}\n\n".encode(),
        )

    def fail(self, turn: Turn, failure: Failure, row: Row, headers: Mapping[str, str]) -> Delivery:
        """A scripted failure, ready to send."""
        body = error_body(failure.status, failure.message, row.request_id, failure.kind)
        retry_after = {} if failure.retry_after is None else {"retry-after": f"{failure.retry_after:g}"}
        return Delivery(
            Answer(first_byte_after=failure.after),
            {**headers, **retry_after, **failure.headers},
            begin=lambda: None,
            end=lambda progress: self.refuse(
                row, failure.status, body["error"], model=turn.request["model"], cancelled=progress.cancelled
            ),
            closing=self.closing,
            status=failure.status,
            body=json.dumps(body).encode(),
        )

    def send_raw(self, turn: Turn, raw: Raw, row: Row) -> RawDelivery:
        """Scripted bytes, ready to send."""

        def end() -> None:
            self.ledger.close(row, status=raw.status, model=turn.request["model"], error="raw")

        return RawDelivery(raw, self.connections, end)

    def refuse(self, row: Row, status: int, error: Mapping[str, str], **known: Any) -> None:
        """The request ended in an error; nothing is billed."""
        self.ledger.close(row, status=status, error=error["type"], error_message=error["message"], **known)

    def _settle(self, row: Row, turn: Turn, message: Message, reading: Reading, progress: Progress) -> None:
        """Writes the ledger's row once a delivery has ended, however it ended."""
        request = turn.request
        output, thinking = message.output_tokens, message.thinking_tokens
        if not progress.complete:
            output = min(output, max(1, progress.output_tokens))
            thinking = min(output, progress.thinking_tokens)
        else:
            self._responses.remember(message.id, turn.model, message.blocks)
        searches = searches_in(message.blocks)
        if not progress.started:
            reading, output, thinking, searches = Reading(0, 0, 0, 0), 0, 0, 0
        self.ledger.close(
            row,
            model=request["model"],
            stream=bool(request.get("stream")),
            status=200,
            error=progress.error,
            message_id=message.id,
            stop_reason=message.stop_reason if progress.complete else None,
            input_tokens=reading.input,
            cache_read_tokens=reading.read,
            cache_write_5m_tokens=reading.write_5m,
            cache_write_1h_tokens=reading.write_1h,
            output_tokens=output,
            thinking_tokens=thinking,
            web_searches=searches,
            cost=bill(
                turn.model,
                reading,
                output,
                searches=searches,
                speed=request.get("speed"),
                geo=request.get("inference_geo"),
            ),
            events_sent=progress.events_sent,
            complete=progress.complete,
            cancelled=progress.cancelled,
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """A checked request, rendered for its model."""

    request: dict[str, Any]
    model: Model
    workspace: str
    blocks: list[PromptBlock]
    prompt_tokens: int


def _parsed(body: bytes) -> Any:
    """The body as JSON. Half a surrogate pair is refused too, as the API does."""
    try:
        request = json.loads(body)
        if b"\\ud" in body.lower():
            json.dumps(request, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError(f"The request body is not valid JSON: {error}") from error
    return request
