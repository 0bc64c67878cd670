"""Answers a repeated request with the answer that Claude gave before: at once, for nothing.

Says of every request which others are its equals (`exchange.reply_key`), and keeps what Claude answers. Never kept is
an answer that is not all of what Claude wanted to say: an error, a refusal, one that was cut or cancelled, one that the
output guard had to ask for twice. One that ends in tool calls is kept for a moment only: a client that retries gets it
again, a loop that asks the same question after each turn does not run on it.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Final

from sidecar.call import Call
from sidecar.exchange import Exchange, Json
from sidecar.replies.repeats import Repeats
from sidecar.replies.reply import Reply
from sidecar.replies.request_key import may_share, request_key
from sidecar.replies.wishes import TTL_HEADER, CacheWishes, wishes_of
from sidecar.routing.wishes import acts_on
from sidecar.services import Services

LAYER: Final = "response_cache"
TOOL_CALLS: Final = "tool_use"
COMPLETE: Final = frozenset({"end_turn", "stop_sequence", TOOL_CALLS})
"""Stop reasons of answers that are all there and no refusal. One that nobody here knows is neither."""


class ResponseCache:
    def __init__(self, services: Services) -> None:
        self._settings = services.settings
        self._replies = services.replies
        self._api_version = services.api_version
        # What keeps a hold-out from its layers is a matter of its conversation, for which one must look into it.
        self._repeats = Repeats() if not services.settings.holdout_percent else None

    async def arrived(self, exchange: Exchange) -> None:
        """The same bytes with the same headers as a moment ago are the same request."""
        wishes = wishes_of(exchange.client_headers)
        if self._repeats is None or exchange.bypass or wishes.no_store or wishes.fresh or wishes.misread is not None:
            return
        if exchange.kind != "generate" or (key := self._repeats.key(exchange)) is None:
            return
        if (found := await self._replies.find_again(key, exchange.now, max_age=wishes.max_age)) is not None:
            _name(exchange, key)
            _answer(exchange, *found)

    async def request(self, exchange: Exchange) -> None:
        wishes = wishes_of(exchange.client_headers)
        if wishes.misread is not None:
            exchange.note(TTL_HEADER, "ignored", f"{wishes.misread!r} is no whole number of seconds")
        if wishes.no_store or not await self._recognised(exchange):
            return
        key = exchange.reply_key
        if key is None or not self._settings.cache_ttl_seconds:
            return
        if not wishes.fresh and (found := await self._replies.find(key, exchange.now, max_age=wishes.max_age)):
            _answer(exchange, *found)
            return
        exchange.call = Call(exchange)
        exchange.call.when_ended(partial(self._keep, exchange.call, key, wishes))

    async def _recognised(self, exchange: Exchange) -> bool:
        """Whether it has a key by which its equals are known."""
        settings, prompt, switch = self._settings, exchange.prompt, exchange.policy.switch
        if prompt is None or not switch("enable_response_cache", settings.enable_response_cache):
            return False
        if not may_share(exchange, sampled=settings.cache_sampled):
            return False
        key = request_key(
            exchange,
            prompt,
            upstream=settings.anthropic_base_url,
            api_version=await self._api_version(),
            routing=acts_on(exchange, settings),
        )
        _name(exchange, key)
        if self._repeats is not None and settings.cache_ttl_seconds:
            self._repeats.learn(exchange)
        return True

    def _keep(self, call: Call, key: str, wishes: CacheWishes) -> None:
        leader = call.leader
        payload = call.tape if call.body is None else call.body
        stop_reason = leader.stop_reason or ""
        seconds = self._seconds(stop_reason, wishes)
        if not call.is_complete or leader.retracted or stop_reason not in COMPLETE or not seconds or not payload:
            return
        if leader.fallback is not None:  # another model's answer, good for as long as the one asked for is not there
            return
        self._replies.keep(
            Reply(
                key=key,
                project=leader.project,
                model=leader.model,
                route_reason=leader.route_reason if leader.route is not None else "",
                stop_reason=stop_reason,
                stored_at=leader.now + (perf_counter() - leader.timing.received),
                ttl_seconds=seconds,
                notes=tuple(leader.notes),
                form="events" if call.body is None else "message",
                payload=payload,
            )
        )

    def _seconds(self, stop_reason: str, wishes: CacheWishes) -> int:
        settings = self._settings
        if wishes.ttl is not None:
            return wishes.ttl
        if stop_reason == TOOL_CALLS:
            return min(settings.cache_tool_call_ttl_seconds, settings.cache_ttl_seconds)
        return settings.cache_ttl_seconds


def _name(exchange: Exchange, key: str) -> None:
    exchange.reply_key = key
    exchange.response_headers["x-gateway-cache-key"] = key


def _answer(exchange: Exchange, reply: Reply, message: Json) -> None:
    age = int(reply.age(exchange.now))
    exchange.answer = message
    exchange.cache = "HIT"
    exchange.model = reply.model
    exchange.route_reason = reply.route_reason or exchange.route_reason
    exchange.stop_reason = reply.stop_reason
    exchange.response_headers["age"] = str(age)
    exchange.notes.extend(note for note in reply.notes if note not in exchange.notes)
    exchange.decide(LAYER, f"{reply.model} answered the same request {age:,} s ago", age_seconds=age)
