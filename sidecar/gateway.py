"""The way of an exchange: addons, fitting to the model, upstream, and the accounts at its end.

Knows no ASGI: the listener decodes and encodes around it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

import orjson

from sidecar import incoming
from sidecar.assembly import Assembly
from sidecar.breaker import Breakers
from sidecar.call import Call, Reader, share
from sidecar.conversations import conversation_id
from sidecar.dialects.anthropic_messages import delta_size, deltas_size, error_in, stream_of
from sidecar.errors import CLIENT_LEFT, GatewayError, invalid_request
from sidecar.exchange import LOSSY_ACTIONS, Exchange
from sidecar.fallback import Fallbacks, take
from sidecar.fit import fit
from sidecar.fold import MessageFold
from sidecar.guard import Guard, QuotedMarkerError, guard_of, marker_in_arguments
from sidecar.headers import ROUTING, USE_MODEL, for_upstream, printable
from sidecar.models.catalogue import Catalogue, ModelCard, Resolution
from sidecar.persistence import Persistence, begin_anew
from sidecar.pipeline import Pipeline
from sidecar.second_chance import second_chance
from sidecar.sse import Events, ServerSentEvent, around_deltas
from sidecar.upstream import Upstream
from sidecar.written import written

if TYPE_CHECKING:
    from sidecar.wire import UpstreamAnswer

log = logging.getLogger(__name__)

PATHS = {"generate": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"}

BEFORE_CONTENT = frozenset({b"message_start", b"ping"})
"""Events after which an error can still become a proper status: nothing of the answer has been seen yet."""

SETTLING_SECONDS = 2.0
"""How long the end waits for exchanges whose clients are gone and whose calls have not ended yet."""

WriteEvents = Callable[[Sequence[ServerSentEvent]], Awaitable[None]]

Ask = Callable[[Exchange, Call], Coroutine[Any, Any, None]]
"""Asks Claude for the answer of an exchange, and hands what comes to its call."""


class Gateway:
    def __init__(
        self,
        *,
        catalogue: Catalogue,
        upstream: Upstream,
        pipeline: Pipeline,
        default_max_tokens: int | None = None,
        toll: Callable[[Exchange], Awaitable[None]] | None = None,
        accepted: Callable[[Exchange], None] | None = None,
        taken_back: Callable[[Exchange], None] | None = None,
        persistence: Persistence | None = None,
        fallbacks: Fallbacks | None = None,
        begun: Callable[[Exchange], None] | None = None,
        keeps_answers: Callable[[], bool] | None = None,
        listeners: Sequence[Callable[[Exchange], None]] = (),
    ) -> None:
        """`toll` is asked once for each exchange that goes to Claude, just before it does; its GatewayError keeps it
        back. `accepted` hears that Claude has begun to answer, with the prompt's usage known; `taken_back`
        that a marker of ours came back, and that from now on the prompt goes as the client wrote it. `fallbacks` has
        the models that the user allows in place of one that does not answer. `begun` hears of each exchange before
        anything else happens to it; `keeps_answers` says whether they are to have what was `heard`."""
        self.catalogue = catalogue
        self.upstream = upstream
        self.pipeline = pipeline
        self._default_max_tokens = default_max_tokens
        self._toll = toll
        self._accepted = accepted
        self._taken_back = taken_back
        self._persistence = persistence or Persistence(Breakers(None), retry=False)
        self._fallbacks = fallbacks or Fallbacks(catalogue=catalogue)
        self._begun = begun
        self._keeps_answers = keeps_answers
        self._listeners = tuple(listeners)
        self._calls: set[Call] = set()
        """Those that are on their way."""
        self._unsettled = 0
        """Exchanges that the listeners have not heard of."""
        self._settled = asyncio.Event()
        """Set when that comes to be none."""
        self.requests = 0
        """Generations and token counts taken so far."""
        self.in_flight = 0

    async def pay(self, exchange: Exchange) -> None:
        """As if it went to Claude now, which the caller sees to. Raises GatewayError where it may not."""
        if self._toll is not None:
            await self._toll(exchange)

    def resolve(self, exchange: Exchange) -> None:
        """Find the model that the client means. Raises GatewayError (404) for one nobody knows."""
        named = exchange.client_headers.get(USE_MODEL)
        resolution = self.catalogue.resolve(named or exchange.model_asked)
        routed = exchange.client_headers.get(ROUTING, "").lower() != "off"
        exchange.wish = resolution.wish if routed else None
        card = resolution.card
        if resolution.wish is not None and not exchange.policy.allows(card.id, card.line):
            card = self._allowed(exchange) or card
        exchange.model = exchange.model_resolved = card.id
        exchange.route_reason = "pinned" if named else resolution.reason
        exchange.effort_hint = resolution.effort_hint
        if resolution.note:
            _tell(exchange, resolution)

    def _allowed(self, exchange: Exchange) -> ModelCard | None:
        """Who answers for a project that left the choice to us and may not use the usual one."""
        listed = (self.catalogue.card(card.id) for card in self.catalogue.listed())
        return next((card for card in listed if exchange.policy.allows(card.id, card.line)), None)

    def account(self, exchange: Exchange) -> _Account:
        """Everything that happens to an exchange happens inside `async with`; whatever the end, the listeners hear of
        it once."""
        return _Account(self, exchange)

    async def settled(self) -> None:
        """Returns once the listeners have heard of every exchange, or `SETTLING_SECONDS` are over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLING_SECONDS):
                while self._unsettled:
                    self._settled.clear()
                    await self._settled.wait()

    def begin(self, exchange: Exchange) -> None:
        self.requests += 1
        exchange.conversation = conversation_id(exchange.project, exchange.client_headers, exchange.request)
        if self._begun is not None:
            self._begun(exchange)
        self.in_flight += 1
        self._unsettled += 1

    async def end(self, exchange: Exchange, error: BaseException | None) -> None:
        """`error` is what kept it from an answer."""
        try:
            if error is None:
                exchange.status = exchange.status or 200
                await self.pipeline.response(exchange)
            else:
                await self._broken(exchange, error)
        except BaseException as late:
            if error is None:
                await self._broken(exchange, late)
            raise
        finally:
            self.in_flight -= 1
            self._settle(exchange)

    async def _broken(self, exchange: Exchange, error: BaseException) -> None:
        """Raises GatewayError for a fault of our own."""
        if isinstance(error, asyncio.CancelledError):
            exchange.cancelled = True
            exchange.status = CLIENT_LEFT
        elif isinstance(error, GatewayError):
            await self._failed(exchange, error)
        elif isinstance(error, Exception):
            log.error("request %s failed inside cgw", exchange.id, exc_info=error)
            inner = GatewayError("api_error", f"cgw failed inside; its log has the details under {exchange.id}.")
            await self._failed(exchange, inner)
            raise inner from error

    def _settle(self, exchange: Exchange) -> None:
        """Tell the listeners: of the leader of a call once the call has ended, since what it costs is known only then
        and others may go on reading.

        They hear of it in the loop's next turn: what is ready for the client goes out before. Nobody can come by that,
        since whatever arrives from now on is read after it."""

        def finish() -> None:
            exchange.timing.finished = perf_counter()
            asyncio.get_running_loop().call_soon(tell)

        def tell() -> None:
            heard = call or (exchange.joined.call if exchange.joined is not None else None)
            if heard is not None and self._keeps_answers is not None and self._keeps_answers():
                exchange.heard = heard.body or heard.tape
            for listener in self._listeners:
                try:
                    listener(exchange)
                except Exception:
                    log.exception("the end of request %s was not told to %s", exchange.id, listener)
            self._unsettled -= 1
            if not self._unsettled:
                self._settled.set()

        if exchange.joined is not None:
            exchange.joined.call.leave(exchange.joined)
        call, exchange.call = exchange.call, None  # they know each other: neither would go before the collector comes
        if call is None:
            finish()
        else:
            call.abandon()
            call.when_ended(finish)

    async def _failed(self, exchange: Exchange, error: GatewayError) -> None:
        exchange.error = error
        exchange.status = error.status
        await self.pipeline.error(exchange)

    async def prepare(self, exchange: Exchange) -> None:
        """Addons, then what the chosen model needs. Raises GatewayError under `X-Gateway-Strict: 1` if anything is
        lost."""
        await self.pipeline.request(exchange)
        if exchange.goes_upstream:
            await self._fit(exchange)
        if exchange.client_headers.get("x-gateway-strict") == "1":
            _refuse_losses(exchange)

    async def _fit(self, exchange: Exchange) -> None:
        renamed = exchange.request.get("model") != exchange.model
        if exchange.kind == "count_tokens":
            fitted = {**exchange.request, "model": exchange.model} if renamed else exchange.request
        elif exchange.dialect == "anthropic_messages" and not renamed:
            return
        else:
            fitted, notes = fit(
                exchange.request,
                self.catalogue.card(exchange.model),
                api_version=exchange.client_headers.get("anthropic-version") or await self.upstream.api_version(),
                default_max_tokens=self._default_max_tokens,
                effort_hint=exchange.effort_hint,
            )
            exchange.notes.extend(note for note in notes if note not in exchange.notes)
        if fitted is not exchange.request:
            exchange.request = fitted
            exchange.edited = True

    async def whole(self, exchange: Exchange) -> bytes:
        """The body of a non-streamed answer, as Claude sent it."""
        if exchange.answer is not None:
            return orjson.dumps(exchange.answer)
        reader = self._reader(exchange, self._ask)
        await self._read(exchange, reader, _nowhere, fold=True)
        return reader.call.body or orjson.dumps(exchange.answer)

    async def stream(self, exchange: Exchange, write: WriteEvents, *, fold: bool = False) -> None:
        """Hand the events of the answer to `write`, those of one network read together.

        Nothing is written before the first event that carries content, so that an overload inside a 200 still raises
        GatewayError as if it had been a status. With `fold` nothing is written at all: `exchange.answer` is complete at
        the end (as it is when an addon asks for it), and until then the answer may begin anew.
        """
        if exchange.answer is None:
            await self._read(exchange, self._reader(exchange, self._ask_for_stream), write, fold=fold)
        elif not fold:
            await write(stream_of(exchange.answer))

    def _reader(self, exchange: Exchange, ask: Ask) -> Reader:
        """Its place at the call that it joined, or at its own, which begins now."""
        if exchange.joined is not None:
            return exchange.joined
        call = exchange.call = exchange.call or Call(exchange)
        reader = call.join()
        call.begin(self._ask_along_chain(ask, exchange, call))
        self._calls.add(call)
        call.when_ended(lambda: self._calls.discard(call))
        return reader

    def cut(self) -> None:
        """End every answer that is being given with an error, since cgw itself ends."""
        for call in list(self._calls):
            call.cut(_stopped())

    async def _ask_along_chain(self, ask: Ask, exchange: Exchange, call: Call) -> None:
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
            await self.pipeline.request(exchange, since=Assembly)
            if exchange.answer is not None:
                call.body = orjson.dumps(exchange.answer)
                return None
            await self._fit(exchange)

    async def _read(self, exchange: Exchange, reader: Reader, write: WriteEvents, *, fold: bool) -> None:
        call = reader.call
        reader.may_rewind = fold
        folding: MessageFold | None = None
        try:
            while (batch := await call.read(reader)) is not None:
                if exchange.joined is not None:
                    share(exchange, call)
                if fold or self.pipeline.reads_answers:
                    if folding is None or reader.begins:
                        folding = MessageFold()
                    incoming.fold(folding, batch)
                if not fold:
                    await write(batch)
        finally:
            call.leave(reader)
            if exchange.joined is not None:
                share(exchange, call)
        if call.body is None:
            exchange.answer = folding.message if folding is not None else None
        elif exchange.kind == "generate":
            exchange.answer = exchange.answer or incoming.json_object(call.body)
            if exchange.answer is not None and not fold:
                await write(stream_of(exchange.answer))

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
        if exchange.kind == "generate":
            self._has_begun(exchange)
        call.body = body

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
        async for events in answer.events():
            if exchange.timing.first_byte is None:
                exchange.timing.first_byte = perf_counter()
            counted = self._count_around_deltas(exchange, events, guard)
            if counted is not None:
                complete = counted or complete
                await call.write(held or ())
                await call.write(events)
                held = None
                continue
            failure, batch = None, [*events]
            for position, event in enumerate(batch):
                if event.name == b"error":
                    failure, batch = error_in(event.data), batch[:position]
                    break
            complete = self._count(exchange, batch) or complete
            batch = await self._passed(exchange, batch, guard)
            if held is None:
                await call.write(batch)
            else:
                held += batch
                if any(event.data and event.name not in BEFORE_CONTENT for event in batch):
                    await call.write(held)
                    held = None
            if failure is not None:
                raise failure
        return complete

    def _count_around_deltas(self, exchange: Exchange, events: Events, guard: Guard | None) -> bool | None:
        """Count events of which none of the deltas is looked at by itself; whether the message ends with them. None,
        and nothing is counted, where somebody reads along, an error is among them, or there is no delta."""
        before, deltas, behind = around_deltas(events.raw)
        if not deltas or self.pipeline.reads_events or (size := deltas_size(Events(deltas))) is None:
            return None
        others = [*Events(before), *Events(behind)]
        if guard is not None and (others or not guard.passes(deltas)):
            return None
        if any(event.name == b"error" for event in others):
            return None
        complete = self._count(exchange, others)
        exchange.delivered += size
        return complete

    def _count(self, exchange: Exchange, events: Iterable[ServerSentEvent]) -> bool:
        """Take what these events tell of usage and size; whether the message ends with them."""
        complete = False
        for event in events:
            if event.name == b"content_block_delta":
                exchange.delivered += delta_size(event.data)
            elif event.name in incoming.COUNTED:
                complete = incoming.count(exchange, event) or complete
                if event.name == b"message_start":
                    self._has_begun(exchange)
        return complete

    async def _passed(
        self, exchange: Exchange, batch: list[ServerSentEvent], guard: Guard | None
    ) -> list[ServerSentEvent]:
        """The events that may go on, once those who read along have seen them."""
        if guard is not None:
            batch = guard.feed(batch)
        if self.pipeline.reads_events:
            for event in batch:
                if event.data:  # not a comment
                    await self.pipeline.response_event(exchange, incoming.parse(event))
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
        await self.pipeline.request(exchange, since=Assembly)
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
        return await self._answer(exchange)

    async def _answer(self, exchange: Exchange) -> UpstreamAnswer:
        try:
            return await self._sent(exchange)
        except GatewayError as error:
            if not second_chance(exchange, error):
                raise
            log.info("request %s is sent once more without what Claude refused: %s", exchange.id, error.message)
            return await self._sent(exchange)

    def _sent(self, exchange: Exchange) -> Coroutine[Any, Any, UpstreamAnswer]:
        exchange.upstream_body = _serialised(exchange) if exchange.edited else (exchange.client_body,)
        return self.upstream.ask(
            "POST",
            PATHS[exchange.kind],
            exchange.upstream_body,
            for_upstream(exchange.client_headers, exchange.dialect),
            query=exchange.query if exchange.dialect == "anthropic_messages" else "",
        )


class _Account:
    __slots__ = ("_exchange", "_gateway")

    def __init__(self, gateway: Gateway, exchange: Exchange) -> None:
        self._gateway = gateway
        self._exchange = exchange

    async def __aenter__(self) -> None:
        self._gateway.begin(self._exchange)

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        await self._gateway.end(self._exchange, error)


class _Posted:
    """One request to Claude, up to the end of its answer: `async with` it."""

    __slots__ = ("_answer", "_exchange", "_gateway")

    def __init__(self, gateway: Gateway, exchange: Exchange) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._answer: UpstreamAnswer | None = None

    async def __aenter__(self) -> UpstreamAnswer:
        exchange = self._exchange
        try:
            self._answer = answer = await self._gateway.post(exchange)
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


def _stopped() -> GatewayError:
    return GatewayError(
        "overloaded_error",
        "cgw was stopped before this answer was complete: ask again once it runs.",
        status=503,
        code="stopped",
        retry_after=1.0,
    )


async def _nowhere(_: Sequence[ServerSentEvent]) -> None:
    return


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


def _tell(exchange: Exchange, resolution: Resolution) -> None:
    retired = resolution.reason == "retired"
    exchange.note("model", "changed" if retired else "mapped", resolution.note or "")
    if retired:
        log.warning("%s", printable(resolution.note or ""))


def _refuse_losses(exchange: Exchange) -> None:
    lost = [str(note) for note in exchange.notes if note.action in LOSSY_ACTIONS]
    if lost:
        raise GatewayError(
            "invalid_request_error",
            f"X-Gateway-Strict: 1 was asked for, and Claude would not get this as written: {'; '.join(lost)}.",
            code="not_honoured",
        )
