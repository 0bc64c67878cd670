"""The way of an exchange: addons, fitting to the model, upstream, and the accounts at its end.

Knows no ASGI: the listener decodes and encodes around it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

import orjson

from sidecar import incoming
from sidecar.breaker import Breakers
from sidecar.call import Call, Reader, share
from sidecar.caller import Ask, Caller
from sidecar.conversations import conversation_id
from sidecar.dialects.anthropic_messages import stream_of
from sidecar.errors import CLIENT_LEFT, GatewayError
from sidecar.exchange import LOSSY_ACTIONS, Exchange
from sidecar.fallback import Fallbacks
from sidecar.fit import fit
from sidecar.fold import MessageFold
from sidecar.headers import ROUTING, USE_MODEL, printable
from sidecar.models.catalogue import Catalogue, ModelCard, Resolution
from sidecar.persistence import Persistence
from sidecar.pipeline import Pipeline
from sidecar.sse import ServerSentEvent
from sidecar.upstream import Upstream

log = logging.getLogger(__name__)

SETTLING_SECONDS = 2.0
"""How long the end waits for exchanges whose clients are gone and whose calls have not ended yet."""

WriteEvents = Callable[[Sequence[ServerSentEvent]], Awaitable[None]]


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
        self._caller = Caller(
            upstream=upstream,
            pipeline=pipeline,
            persistence=persistence or Persistence(Breakers(None), retry=False),
            fallbacks=fallbacks or Fallbacks(catalogue=catalogue),
            fit=self._fit,
            toll=toll,
            accepted=accepted,
            taken_back=taken_back,
        )
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
        """As if it went to Claude now; sending it is up to whoever asks. Raises GatewayError where it may not."""
        await self._caller.pay(exchange)

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
        call = await self._read(exchange, self._caller.whole, _nowhere, fold=True)
        if call is not None and call.body is not None:
            return call.body
        return orjson.dumps(exchange.answer)

    def stream(self, exchange: Exchange, write: WriteEvents, *, fold: bool = False) -> Coroutine[Any, Any, Call | None]:
        """Hand the events of the answer to `write`, those of one network read together.

        Nothing is written before the first event that carries content, so that an overload inside a 200 still raises
        GatewayError as if it had been a status. With `fold` nothing is written at all: `exchange.answer` is complete at
        the end (as it is when an addon asks for it), and until then the answer may begin anew.
        """
        return self._read(exchange, self._caller.stream, write, fold=fold)

    def _reader(self, exchange: Exchange, ask: Ask) -> Reader:
        """Its place at the call that it joined, or at its own, which begins now."""
        if exchange.joined is not None:
            return exchange.joined
        call = exchange.call = exchange.call or Call(exchange)
        reader = call.join()
        call.begin(ask(exchange, call))
        self._calls.add(call)
        call.when_ended(lambda: self._calls.discard(call))
        return reader

    def cut(self) -> None:
        """End every answer that is being given with an error, since cgw itself ends."""
        for call in list(self._calls):
            call.cut(_stopped())

    async def _read(self, exchange: Exchange, ask: Ask, write: WriteEvents, *, fold: bool) -> Call | None:
        """The call that was read; None where the answer was there already."""
        if exchange.answer is not None:
            if not fold:
                await write(stream_of(exchange.answer))
            return None
        reader = self._reader(exchange, ask)
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
        return call


class _Account:
    __slots__ = ("_exchange", "_gateway")

    def __init__(self, gateway: Gateway, exchange: Exchange) -> None:
        self._gateway = gateway
        self._exchange = exchange

    async def __aenter__(self) -> None:
        self._gateway.begin(self._exchange)

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        await self._gateway.end(self._exchange, error)


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
