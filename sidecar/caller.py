"""One call to Claude, to the end of its answer: along the user's chain of models, with other tries where Claude fails,
and once more where a marker of ours came back. What comes is the call's, and from there its readers'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from sidecar import incoming
from sidecar.assembly import Assembly
from sidecar.call import Call
from sidecar.dialects.anthropic_messages import delta_size, deltas_size, error_in
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Exchange
from sidecar.fallback import Fallbacks, take
from sidecar.guard import Guard, QuotedMarkerError, guard_of, marker_in_arguments
from sidecar.headers import for_upstream, printable
from sidecar.persistence import Persistence, begin_anew
from sidecar.pipeline import Pipeline
from sidecar.second_chance import second_chance
from sidecar.sse import Events, ServerSentEvent
from sidecar.upstream import Upstream
from sidecar.written import written

if TYPE_CHECKING:
    from sidecar.wire import UpstreamAnswer

log = logging.getLogger(__name__)

PATHS = {"generate": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"}

START = b"message_start"
BEFORE_CONTENT = frozenset({START, b"ping"})
"""Events after which an error can still become a proper status: nothing of the answer has been seen yet."""

Ask = Callable[[Exchange, Call], Coroutine[Any, Any, None]]
"""Asks Claude for the answer of an exchange, and hands what comes to its call."""


class Caller:
    def __init__(
        self,
        *,
        upstream: Upstream,
        pipeline: Pipeline,
        persistence: Persistence,
        fallbacks: Fallbacks,
        fit: Callable[[Exchange], Awaitable[None]],
        toll: Callable[[Exchange], Awaitable[None]] | None,
        accepted: Callable[[Exchange], None] | None,
        taken_back: Callable[[Exchange], None] | None,
    ) -> None:
        """`fit` makes a request what its model takes; all else as in `Gateway`."""
        self._upstream = upstream
        self._pipeline = pipeline
        self._persistence = persistence
        self._fallbacks = fallbacks
        self._fit = fit
        self._toll = toll
        self._accepted = accepted
        self._taken_back = taken_back

    def whole(self, exchange: Exchange, call: Call) -> Coroutine[Any, Any, None]:
        """`Ask` for an answer in one piece."""
        return self._along_chain(self._ask, exchange, call)

    def stream(self, exchange: Exchange, call: Call) -> Coroutine[Any, Any, None]:
        """`Ask` for a stream of events."""
        return self._along_chain(self._ask_for_stream, exchange, call)

    async def pay(self, exchange: Exchange) -> None:
        """As if it went to Claude now; sending it is up to whoever asks. Raises GatewayError where it may not."""
        if self._toll is not None:
            await self._toll(exchange)

    async def _along_chain(self, ask: Ask, exchange: Exchange, call: Call) -> None:
        """Ask, and where the model is not there ask those that the user allows in its place, as long as nothing of an
        answer has been passed on."""
        tried = [exchange.model]
        while True:
            try:
                return await self._persistence.ask(lambda: ask(exchange, call), exchange, call)
            except GatewayError as error:
                instead = self._fallbacks.after(exchange, error, tried) if call.is_blank else None
                if instead is None:
                    raise
                log.warning("request %s goes on with %s: %s", exchange.id, instead, printable(error.message))
                take(exchange, instead, f"{exchange.model} does not answer ({error.status} {error.code or error.kind})")
            tried.append(instead)
            begin_anew(exchange)
            await self._pipeline.request(exchange, since=Assembly)
            if exchange.answer is not None:
                call.body = orjson.dumps(exchange.answer)
                return None
            await self._fit(exchange)

    async def _ask(self, exchange: Exchange, call: Call) -> None:
        guard = guard_of(exchange)
        async with _Posted(self, exchange) as answer:
            body = await answer.body()
        incoming.read_answer(exchange, body)
        if exchange.answer is not None and guard is not None:
            try:
                guard.check(exchange.answer)
            except QuotedMarkerError as quoted:
                self._take_back(exchange, quoted)
                await self._ask_again(self._ask, exchange, call)
                return
        call.body = body
        if exchange.kind != "generate":
            return
        if self._pipeline.reads_answers:
            self._has_begun(exchange)
        else:  # nobody waits for what is remembered of it
            call.when_ended(partial(self._has_begun, exchange))

    async def _ask_for_stream(self, exchange: Exchange, call: Call) -> None:
        try:
            async with _Posted(self, exchange) as answer:
                if not answer.is_stream:
                    raise GatewayError(
                        "api_error", "Claude's address sent no event stream: is ANTHROPIC_BASE_URL right?", status=502
                    )
                complete = await self._pump(exchange, answer, call)
        except QuotedMarkerError as quoted:
            self._take_back(exchange, quoted)
            if not call.begin_anew(otherwise=marker_in_arguments()):
                raise marker_in_arguments() from quoted
            await self._ask_again(self._ask_for_stream, exchange, call)
            return
        if not complete:
            raise GatewayError(
                "api_error",
                "Claude's answer broke off before its end.",
                status=502,
                code="upstream_broken",
                upstream=True,
            )

    def _has_begun(self, exchange: Exchange) -> None:
        if self._accepted is not None and exchange.usage.prompt_tokens:
            self._accepted(exchange)

    async def _pump(self, exchange: Exchange, answer: UpstreamAnswer, call: Call) -> bool:
        held: list[ServerSentEvent] | None = []
        guard = guard_of(exchange)
        complete = False
        while (events := await answer.events()) is not None:
            if exchange.timing.first_byte is None:
                exchange.timing.first_byte = perf_counter()
            failure: GatewayError | None = None
            batch: Sequence[ServerSentEvent] = events
            if (seen := self._count_around_deltas(exchange, events, guard)) is None:
                failure, told = _up_to_an_error(events)
                ends = self._count(exchange, told)
                batch = await self._passed(exchange, told, guard)
                seen = _Seen(_has_content(batch), ends, is_opening=False)
            complete = seen.end or complete
            if held is None:
                await call.write(batch)
            elif seen.content:
                if held:
                    await call.write(held)
                await call.write(batch)
                held = None
            else:
                held += batch
            if seen.is_opening:  # nobody waits for what is remembered of it: readers were woken before, and go first
                asyncio.get_running_loop().call_soon(self._has_begun, exchange)
            if failure is not None:
                raise failure
        return complete

    def _count_around_deltas(self, exchange: Exchange, events: Events, guard: Guard | None) -> _Seen | None:
        """Count events of which none of the deltas is looked at by itself. None, and nothing is counted, where somebody
        reads along, an error is among them, or a delta carries no output."""
        if self._pipeline.reads_events:
            return None
        before, deltas, behind = events.around
        others = [*before, *behind]
        names = [event.name for event in others]
        size = deltas_size(deltas) if deltas else 0
        if size is None or b"error" in names or (guard is not None and (others or not guard.passes(deltas))):
            return None
        exchange.delivered += size
        if not others:
            return _WORDS
        opening = bool(deltas) and [name for name in names if name in incoming.COUNTED] == [START]
        end = self._count(exchange, others, tells=not opening)
        return _Seen(bool(deltas) or _has_content(others), end, opening)

    def _count(self, exchange: Exchange, events: Iterable[ServerSentEvent], *, tells: bool = True) -> bool:
        """Take what these events tell of usage and size; whether the message ends with them. `tells` at once that
        Claude has begun, with the usage of the prompt alone."""
        complete = False
        for event in events:
            if event.name == b"content_block_delta":
                exchange.delivered += delta_size(event.data)
            elif event.name in incoming.COUNTED:
                complete = incoming.count(exchange, event) or complete
                if tells and event.name == START:
                    self._has_begun(exchange)
        return complete

    async def _passed(
        self, exchange: Exchange, batch: list[ServerSentEvent], guard: Guard | None
    ) -> list[ServerSentEvent]:
        """The events that may go on, once those who read along have seen them."""
        if guard is not None:
            batch = guard.feed(batch)
        if self._pipeline.reads_events:
            for event in batch:
                if event.data:  # not a comment
                    # Parsed by itself: an addon may write into what it is told.
                    await self._pipeline.response_event(exchange, incoming.parse(replace(event)))
        return batch

    def _take_back(self, exchange: Exchange, quoted: QuotedMarkerError) -> None:
        log.warning("request %s: %s; its conversation goes on without references", exchange.id, quoted)
        assert exchange.prompt is not None
        exchange.decide(
            quoted.layer,
            f"off from now on: Claude wrote {quoted.marker!r} into a tool call",
            tokens=exchange.usage.prompt_tokens,
        )
        exchange.retract(quoted.layer)
        exchange.prompt.take_back()
        if self._taken_back is not None:
            self._taken_back(exchange)

    async def _ask_again(self, ask: Ask, exchange: Exchange, call: Call) -> None:
        """Another request of the same exchange, from a prompt that was taken back."""
        exchange.message_id = exchange.cache_miss = exchange.timing.first_byte = None
        exchange.upstream_headers = {}
        await self._pipeline.request(exchange, since=Assembly)
        if exchange.answer is None:
            await self._fit(exchange)
            await ask(exchange, call)
        else:
            call.body = orjson.dumps(exchange.answer)

    async def post(self, exchange: Exchange) -> UpstreamAnswer:
        """Claude's answer to what the exchange has become; to be released."""
        if exchange.timing.upstream_sent is None:
            await self.pay(exchange)
            exchange.timing.upstream_sent = perf_counter()
        try:
            return await self._sent(exchange)
        except GatewayError as error:
            if not second_chance(exchange, error):
                raise
            log.info("request %s is sent once more without what Claude refused: %s", exchange.id, error.message)
            return await self._sent(exchange)

    def _sent(self, exchange: Exchange) -> Coroutine[Any, Any, UpstreamAnswer]:
        exchange.upstream_body = _serialised(exchange) if exchange.edited else (exchange.client_body,)
        return self._upstream.ask(
            "POST",
            PATHS[exchange.kind],
            exchange.upstream_body,
            for_upstream(exchange.client_headers, exchange.dialect),
            query=exchange.query if exchange.dialect == "anthropic_messages" else "",
        )


class _Seen(NamedTuple):
    """Of events that came together."""

    content: bool
    """Whether any is more than a beginning."""
    end: bool
    """Whether the message ends with them."""
    is_opening: bool
    """Whether they are its beginning and first words, and that Claude has begun is still to be told."""


_WORDS: Final = _Seen(content=True, end=False, is_opening=False)
"""Deltas and nothing else."""


def _has_content(events: Iterable[ServerSentEvent]) -> bool:
    return not {event.name for event in events if event.data} <= BEFORE_CONTENT


def _up_to_an_error(events: Events) -> tuple[GatewayError | None, list[ServerSentEvent]]:
    """The error among them, and what came before it."""
    told = [*events]
    for position, event in enumerate(told):
        if event.name == b"error":
            return error_in(event.data), told[:position]
    return None, told


class _Posted:
    """One request to Claude, up to the end of its answer: `async with` it."""

    __slots__ = ("_answer", "_caller", "_exchange")

    def __init__(self, caller: Caller, exchange: Exchange) -> None:
        self._caller = caller
        self._exchange = exchange
        self._answer: UpstreamAnswer | None = None

    async def __aenter__(self) -> UpstreamAnswer:
        exchange = self._exchange
        try:
            self._answer = answer = await self._caller.post(exchange)
        except BaseException as error:
            self._ended(error)
            raise
        exchange.upstream_headers = answer.headers
        return answer

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        assert self._answer is not None
        self._answer.release()
        self._ended(error)

    def _ended(self, error: BaseException | None) -> None:
        exchange = self._exchange
        if isinstance(error, GatewayError):
            exchange.upstream_headers = exchange.upstream_headers or error.headers
        if exchange.timing.upstream_sent is not None:
            exchange.timing.upstream_ended = perf_counter()


def _serialised(exchange: Exchange) -> tuple[bytes, ...]:
    """In pieces. Only a body that is remembered is one that a later request goes on from."""
    made, known = exchange.made, exchange.known
    try:
        if made is None:
            told: tuple[bytes, ...] = (orjson.dumps(exchange.request),)
        else:
            made.written = written(exchange.request, known.made.written if known is not None else None)
            told = made.written.pieces
    except orjson.JSONEncodeError as error:
        raise invalid_request(f"The request cannot be passed on: {error}. Is a schema nested too deep?") from error
    return told
