"""Places Claude's cache markers: where a client sets none, and for how long what they mark should live."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from sidecar.accounts.account import MICRO_USD
from sidecar.accounts.prices import PICODOLLARS
from sidecar.conversation import THINKING, Accepted, Lifetime, Line, Position
from sidecar.economy import breakpoints
from sidecar.economy.lifetimes import Head, Tail, has_paused, head, hour_held, tail, whole_prompt
from sidecar.economy.warmth import Entry, readable, tokens_of
from sidecar.keep_warm import KeepWarm
from sidecar.pace import ClientPace, Pace
from sidecar.services import Services

if TYPE_CHECKING:
    from sidecar.accounts.prices import Rates
    from sidecar.exchange import Exchange
    from sidecar.prompt import Prompt

LAYER: Final = "prompt_cache"
MOST_REMEMBERED: Final = 2_000
"""Heads and conversations; the least recently used go first."""
CACHED_BY: Final = ("tool_choice", "thinking", "output_config", "speed")
"""Fields beside the prompt that decide whether a cached prefix fits."""
WITHOUT_IMAGES: Final = THINKING | {"text", "tool_use"}
"""Blocks that no image stands in."""


class _Terms(NamedTuple):
    """What a request asked for beside its prompt."""

    now: float
    asked: tuple[str, str | None, bytes]
    """The model, the effort that its name carried, and a digest of the fields of `CACHED_BY`; empty without them."""
    images: bool
    unchanged: bool
    """The same as in the conversation's request before."""


class PromptCache:
    """Markers at the newest end, at what earlier requests wrote, and at the head; the client's own come first.

    Lifetimes follow the pauses learned of each client. That an hour is what it is documented to be is tested at the
    first pause; where it is not, whole prompts get one lifetime.
    """

    response: Callable[[Exchange], None]
    """Only there where the user turned keeping warm on."""

    def __init__(self, services: Services) -> None:
        self._enabled = services.settings.enable_anthropic_cache_control
        self._fixed: Lifetime | None = None if services.settings.cache_ttl == "auto" else services.settings.cache_ttl
        self._catalogue = services.catalogue
        self._prices = services.prices
        self._pace = services.pace
        self._heads: OrderedDict[tuple[str, str | bytes], float] = OrderedDict()
        """When a project's client last sent any tools or system text, and when those of a hash went to a model."""
        self._terms: OrderedDict[str, _Terms] = OrderedDict()
        self._opening: asyncio.Task[None] | None = None
        self._keep_warm: KeepWarm | None = None
        if services.settings.keep_warm and services.own_requests is not None:
            self._keep_warm = KeepWarm(
                services.own_requests,
                services.prices,
                budget_picos=int(services.settings.keep_warm_budget_usd * PICODOLLARS),
                simulated=services.settings.test_clock,
            )
            # Only now: a hook for whole answers makes every stream be put together.
            self.response = self._consider_keeping_warm

    async def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        if prompt is None or not exchange.policy.switch("enable_anthropic_cache_control", self._enabled):
            return
        if self._opening is None:
            self._opening = asyncio.create_task(self.opened(), name="read prices and paces")
        if (pace := self._pace.known) is not None:
            self._observe(exchange, prompt, pace)
        kept = None
        if self._keep_warm is not None:
            await self._keep_warm.resumed(exchange)
            kept = self._keep_warm.entry(exchange, prompt)
        if exchange.bypass and not _marked_before(prompt.line):
            return
        if prompt.client_marks:
            self._trim(exchange, prompt)
        self._mark(exchange, prompt, pace, kept)

    def _consider_keeping_warm(self, exchange: Exchange) -> None:
        """The `response` hook where the user turned keeping warm on."""
        prompt, pace = exchange.prompt, self._pace.known
        if prompt is None or prompt.line is None or not prompt.marks or pace is None or self._keep_warm is None:
            return
        line = prompt.line  # this request is part of it by now
        warm = readable(line, len(line.sent), model=exchange.model, now=exchange.now)
        covered = max((entry.tokens for entry in warm if entry.ttl == "1h"), default=0)
        chance = pace.of(exchange.client).returns
        self._keep_warm.answered(exchange, covered=covered, chance=chance, returned=has_paused(line.requests))

    async def opened(self) -> None:
        """What decisions need is read. No request waits for it: the first few go with five minutes."""
        await asyncio.to_thread(self._prices.load)
        await self._pace.read()

    # --- markers

    def _trim(self, exchange: Exchange, prompt: Prompt) -> None:
        """Of a client's markers, take away those that Claude would refuse the request for."""
        places = breakpoints.MOST - (exchange.request.get("cache_control") is not None)
        marks = prompt.client_marks
        if len(marks) <= places:
            return
        tools, system = prompt.zone_ends
        detail = f"{len(marks)} marks, of which Claude takes {places}"
        for index in breakpoints.surplus(marks, tools=tools, system=system, places=places):
            del marks[index]
        exchange.note("cache_control", "ignored", detail)

    def _mark(self, exchange: Exchange, prompt: Prompt, pace: Pace | None, kept: Entry | None) -> None:
        client = dict(prompt.client_marks)
        free = breakpoints.MOST - len(client)
        automatic = exchange.request.get("cache_control")
        if isinstance(automatic, dict):
            newest = _last_markable(prompt, len(prompt.positions))
            if newest is not None and newest not in client:
                client[newest] = str(automatic.get("ttl") or "5m")
                free -= 1
        total = prompt.tokens_until(len(prompt.positions))
        shortest = self._catalogue.card(exchange.model).min_cacheable
        if free <= 0 or 2 * total < shortest:
            return
        warm, requests = _warm(exchange, prompt)
        warm += [kept] if kept is not None else []
        newest_end = self._tail(exchange, prompt, warm, requests, total, pace)
        tools, system = prompt.zone_ends
        heading = self._head(exchange, prompt, system, shortest, pace)
        only_tools = tools - 1 if tools < system and prompt.tokens_until(tools) >= shortest else None
        marks = breakpoints.wanted(
            len(prompt.positions),
            lambda index: prompt.positions[index].kind,
            lambda index: _can_be_marked(prompt, index),
            warm,
            tail=newest_end,
            head=heading,
            tools=only_tools,
        )
        for index, ttl in breakpoints.place(marks, client, free=free).items():
            prompt.mark(index, ttl)

    def _tail(
        self,
        exchange: Exchange,
        prompt: Prompt,
        warm: list[Entry],
        requests: list[Accepted],
        total: int,
        pace: Pace | None,
    ) -> Lifetime:
        if self._fixed is not None:
            return self._fixed
        if pace is None:
            return "5m"
        rates, client = self._rates(exchange, total), pace.of(exchange.client)
        read = min(total, warm[-1].tokens if warm else 0)
        hours_hold = pace.hours_hold(exchange.now)
        if hours_hold:
            covered = max([entry.tokens for entry in warm if entry.ttl == "1h"], default=0)
            chosen = tail(
                rates,
                requests,
                prompt=total,
                read=read,
                covered=min(covered, total),
                since_last=exchange.now - requests[-1].now if requests else None,
                chance=client.hour,
                kept_out=int(sum(saving.bytes for saving in prompt.savings()) / prompt.bytes_a_token),
            )
        else:
            chosen = whole_prompt(
                rates,
                requests,
                prompt=total,
                read=read,
                alive=warm[-1].ttl if warm else None,
                hour=client.hour,
                later=client.later,
            )
        _tell_tail(exchange, chosen, "each part of a prompt is paid for by itself" if not hours_hold else "")
        return chosen.ttl

    def _head(
        self,
        exchange: Exchange,
        prompt: Prompt,
        end: int,
        shortest: int,
        pace: Pace | None,
    ) -> breakpoints.Wanted | None:
        last = _last_markable(prompt, end)
        if last is None or (tokens := prompt.tokens_until(last + 1)) < shortest:
            return None
        if self._fixed is not None or pace is None:
            return last, self._fixed or "5m"
        client = pace.of(exchange.client)
        chosen = head(self._rates(exchange, tokens), tokens=tokens, soon=client.starts_soon, late=client.starts_late)
        if prompt.line is None:
            _tell_head(exchange, chosen)
        return last, chosen.ttl

    def _rates(self, exchange: Exchange, tokens: int) -> Rates:
        speed = exchange.request.get("speed")
        row = self._prices.row(exchange.model, exchange.started, speed=speed if isinstance(speed, str) else None)
        return row.rates(tokens)

    # --- what is learned

    def _observe(self, exchange: Exchange, prompt: Prompt, pace: Pace) -> None:
        line, now = prompt.line, exchange.now
        before = pace.of(exchange.client)
        learned = self._after_start(exchange, prompt, before, begins=line is None)
        if line is not None and line.requests:
            learned = learned.after_gap(max(0.0, now - line.requests[-1].now))
        learned = learned.after_request(line.turns + 1 if line is not None else 1)
        pace.learn(exchange.client, learned)
        self._judge(exchange, prompt, pace)
        self._pace.save()

    def _after_start(self, exchange: Exchange, prompt: Prompt, pace: ClientPace, *, begins: bool) -> ClientPace:
        """When the same tools and system text were last sent: only that makes their cache worth anything."""
        _, end = prompt.zone_ends
        if not end:
            return pace
        client, sent = (exchange.project, exchange.client), (exchange.model, prompt.chain[end - 1])
        known, last = client in self._heads, self._heads.get(sent)
        _remember(self._heads, client, exchange.now)
        _remember(self._heads, sent, exchange.now)
        if not begins or not known:
            return pace
        return pace.after_start(max(0.0, exchange.now - last) if last is not None else float("inf"))

    def _judge(self, exchange: Exchange, prompt: Prompt, pace: Pace) -> None:
        """Look at what the request before read, where it came after a pause and asked for the same as ever."""
        line, before = prompt.line, self._terms.get(exchange.conversation)
        _remember(self._terms, exchange.conversation, _terms(exchange, prompt, before))
        if line is None or before is None or not before.unchanged or not _are_the_newest(before, line):
            return
        if not pace.hours_hold(exchange.now):
            return
        held = hour_held(line.requests, tokens_of(line))
        if held is None:
            return
        pace.judge(held, exchange.now)
        read = line.requests[-1].read
        if held:
            exchange.decide(LAYER, f"an hour held: {read:,} tokens were still there after a pause", read_tokens=read)
        else:
            exchange.decide(
                LAYER,
                f"an hour did not hold: after a pause only {read:,} tokens were still there"
                + ("" if pace.hours_hold(exchange.now) else "; from now on whole prompts get one lifetime"),
                read_tokens=read,
            )


def _tell_tail(exchange: Exchange, chosen: Tail, because: str) -> None:
    exchange.decide(
        LAYER,
        f"{chosen} ({because})" if because else chosen,
        ttl=chosen.ttl,
        new_tokens=chosen.writes,
        uncovered_tokens=chosen.uncovered,
        pause_chance=float(chosen.chance),
        cost_micro_usd=chosen.cost // MICRO_USD,
        saved_micro_usd=chosen.saves // MICRO_USD,
    )


def _tell_head(exchange: Exchange, chosen: Head) -> None:
    exchange.decide(
        LAYER,
        chosen,
        ttl=chosen.ttl,
        head_tokens=chosen.tokens,
        soon_chance=float(chosen.soon),
        late_chance=float(chosen.late),
    )


def _warm(exchange: Exchange, prompt: Prompt) -> tuple[list[Entry], list[Accepted]]:
    """What this request can find in the cache, and the conversation's requests to the same model."""
    line = prompt.line
    if line is None or not prompt.frozen:
        return [], []
    same = [one for one in line.requests if one.model == exchange.model and one.until <= prompt.frozen]
    return readable(line, prompt.frozen, model=exchange.model, now=exchange.now), same


def _can_be_marked(prompt: Prompt, index: int) -> bool:
    edit = prompt.edit(index)
    if edit is None:
        return breakpoints.can_be_marked(prompt.positions[index].block)
    return bool(edit.behind) or breakpoints.can_be_marked(edit.blocks[0] if edit.blocks else None)


def _last_markable(prompt: Prompt, end: int) -> int | None:
    for index in range(end - 1, -1, -1):
        if _can_be_marked(prompt, index):
            return index
    return None


def _marked_before(line: Line | None) -> bool:
    """A conversation that cgw has been marking stays marked under a bypass: its cache is there to be read."""
    return line is not None and not line.holdout and any(one.marks for one in line.requests)


def _terms(exchange: Exchange, prompt: Prompt, before: _Terms | None) -> _Terms:
    fields = [exchange.request.get(name) for name in CACHED_BY]
    digest = blake2b(orjson.dumps(fields), digest_size=16).digest() if any(fields) else b""
    asked = exchange.model, exchange.effort_hint, digest
    if before is None:
        return _Terms(exchange.now, asked, any(map(_holds_images, prompt.positions)), unchanged=False)
    images = before.images or any(map(_holds_images, prompt.positions[prompt.frozen :]))
    same = (before.asked, before.images) == (asked, images)
    return _Terms(exchange.now, asked, images, unchanged=same and _are_the_newest(before, prompt.line))


def _are_the_newest(terms: _Terms, line: Line | None) -> bool:
    """Whether the line's newest request asked for these."""
    return line is not None and bool(line.requests) and terms.now == line.requests[-1].now


def _holds_images(at: Position) -> bool:
    if at.zone != "messages" or at.kind in WITHOUT_IMAGES:
        return False
    is_text = at.kind == "tool_result" and not isinstance(at.block.get("content"), list)
    return not is_text and b'"image"' in at.raw


def _remember[Key, Value](known: OrderedDict[Key, Value], key: Key, value: Value) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > MOST_REMEMBERED:
        known.popitem(last=False)
