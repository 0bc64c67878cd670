"""Keeps the prompt cache of a paused conversation alive: one request, marked for an hour, and then nothing.

The request is the conversation's last one with the beginning of Claude's answer behind it and no output asked for. Its
marker stands on that answer, which the client will send back: so the next request finds an entry that holds it all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Protocol

from sidecar.conversation import LIFETIME_SECONDS, THINKING, positions_of
from sidecar.economy.keeping_warm import IDLE_SECONDS, IdleMark, idle_mark
from sidecar.economy.warmth import Entry

if TYPE_CHECKING:
    from sidecar.accounts.prices import Prices
    from sidecar.exchange import Exchange, Json, Usage
    from sidecar.prompt import Prompt

log = logging.getLogger(__name__)

LAYER: Final = "keep_warm"
MOST_WAITING: Final = 32
"""Conversations: each holds its whole prompt while it waits."""
MOST_REMEMBERED: Final = 2_000
LATEST_SECONDS: Final = 295.0
"""After a request's start: later its entry is gone."""
WORDS_AFTER: Final = {"role": "user", "content": "."}
"""A request must end with the user's words; these stand behind the marker and are no part of what is kept."""
MISTAKEN: Final = 2
"""Times that an answer came back in other words than foreseen, after which its client is not kept warm any more."""
BYTES_A_TOKEN: Final = 3


class Asks(Protocol):
    """How the gateway sends a request of its own."""

    async def ask(self, behind: Exchange, request: Json, layer: str, *, at: float | None = None) -> Usage | None: ...


@dataclass(frozen=True, slots=True)
class Idle:
    """A conversation that waits for its next request, and the request that would keep it warm."""

    behind: Exchange
    due: float
    """Epoch seconds."""
    request: Json
    until: int
    """Positions of the conversation so far."""
    digests: tuple[bytes, ...]
    """Of the positions of the answer that the request holds."""
    planned: IdleMark


@dataclass(frozen=True, slots=True)
class Kept:
    """What an idle mark wrote."""

    model: str
    until: int
    digests: tuple[bytes, ...]
    tokens: int
    at: float


class KeepWarm:
    """Watches one sidecar's conversations. Belongs to the event loop.

    In a replay (`simulated`) nothing waits: what would have been sent in a pause is sent before the first request that
    comes after it, with the moment it would have had.
    """

    def __init__(
        self,
        asks: Asks,
        prices: Prices,
        *,
        budget_picos: int,
        simulated: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`budget_picos`: pico-dollars for one conversation."""
        self._asks = asks
        self._prices = prices
        self._budget = budget_picos
        self._simulated = simulated
        self._sleep = sleep
        self._waiting: OrderedDict[str, Idle] = OrderedDict()
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._spent: OrderedDict[str, int] = OrderedDict()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._mistakes: dict[str, int] = {}

    # --- a request comes

    async def resumed(self, exchange: Exchange) -> None:
        """A conversation goes on: it needs no keeping now. In a replay, first send all that is due by now."""
        if self._simulated:
            await self.catch_up(exchange.now)
        self._stop_waiting(exchange.conversation)

    async def catch_up(self, now: float) -> None:
        """Send what would have been sent by `now`, in order."""
        due = sorted((idle.due, name) for name, idle in self._waiting.items() if idle.due <= now)
        for _, name in due:
            await self._send(self._waiting.pop(name))

    def entry(self, exchange: Exchange, prompt: Prompt) -> Entry | None:
        """What an idle mark left in the cache for this request, if the answer came back as it was foreseen."""
        kept = self._kept.pop(exchange.conversation, None)
        if kept is None or kept.model != exchange.model or prompt.frozen != kept.until:
            return None
        expires = kept.at + LIFETIME_SECONDS["1h"]
        if exchange.now >= expires:
            return None
        until = kept.until + len(kept.digests)
        if tuple(at.digest for at in prompt.positions[kept.until : until]) != kept.digests:
            self._mistakes[exchange.client] = self._mistakes.get(exchange.client, 0) + 1
            exchange.decide(LAYER, "what was kept warm does not fit: the answer came back in other words")
            return None
        return Entry(until, kept.tokens, "1h", expires)

    # --- an answer is complete

    def answered(self, exchange: Exchange, *, covered: int, chance: Fraction, returned: bool) -> None:
        """Consider to keep this conversation warm. `covered` tokens live an hour already; `chance` is that of a paused
        conversation to go on within the hour, `returned` whether this one has."""
        if (idle := self._idle(exchange, covered, chance, returned)) is None:
            return
        exchange.decide(
            LAYER,
            f"if nothing comes in {IDLE_SECONDS:.0f} seconds: {idle.planned}",
            prefix_tokens=idle.planned.prefix,
            return_chance=float(chance),
        )
        if not idle.planned.pays or len(self._waiting) >= MOST_WAITING:
            return
        name = exchange.conversation
        self._stop_waiting(name)  # requests of one conversation may run beside each other
        self._waiting[name] = idle
        _foresee(idle, idle.due + LIFETIME_SECONDS["1h"])
        if not self._simulated:
            self._timers[name] = asyncio.create_task(self._wait(name), name=f"keep {name} warm")

    def _idle(self, exchange: Exchange, covered: int, chance: Fraction, returned: bool) -> Idle | None:
        prompt, answer, usage = exchange.prompt, exchange.answer, exchange.usage
        if prompt is None or answer is None or self._mistakes.get(exchange.client, 0) >= MISTAKEN:
            return None
        if not (usage.cache_read_tokens or usage.cache_write_tokens):
            return None
        native = exchange.dialect == "anthropic_messages"
        said = _said(answer, thinking=native or prompt.keeps_thinking)
        request = idle_request(exchange.request, said) if said else None
        sent_back = [block for block in said if native or block["type"] not in THINKING]
        positions = positions_of({"messages": [{"role": "assistant", "content": sent_back}]}) if said else None
        if request is None or positions is None:
            return None
        prefix = usage.prompt_tokens
        planned = idle_mark(
            self._prices.row(exchange.model, exchange.started).rates(prefix),
            prefix=prefix,
            answer=sum(len(at.raw) for at in positions) // BYTES_A_TOKEN,
            covered=covered,
            chance=chance,
            left=self._budget - self._spent.get(exchange.conversation, 0),
            returned=returned,
        )
        digests = tuple(at.digest for at in positions)
        due = exchange.now + IDLE_SECONDS
        return Idle(exchange, due, request, len(prompt.positions), digests, planned)

    def _stop_waiting(self, name: str) -> None:
        if (idle := self._waiting.pop(name, None)) is not None:
            _foresee(idle, 0.0)
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    async def _wait(self, name: str) -> None:
        idle = self._waiting[name]
        began = idle.behind.timing.received
        elapsed = (idle.behind.timing.upstream_ended or began) - began
        await self._sleep(max(0.0, IDLE_SECONDS - elapsed))
        self._timers.pop(name, None)
        del self._waiting[name]
        if elapsed <= LATEST_SECONDS:
            await self._send(idle)
        else:
            _foresee(idle, 0.0)

    async def _send(self, idle: Idle) -> None:
        behind = idle.behind
        usage = await self._asks.ask(behind, idle.request, LAYER, at=idle.due if self._simulated else None)
        if usage is None:
            _foresee(idle, 0.0)
            return
        cost = self._prices.cost(behind.model, usage, behind.started).total
        _remember(self._spent, behind.conversation, self._spent.get(behind.conversation, 0) + cost)
        tokens = usage.cache_read_tokens + usage.cache_write_tokens
        if usage.cache_write_1h_tokens:
            _remember(self._kept, behind.conversation, Kept(behind.model, idle.until, idle.digests, tokens, idle.due))


def _foresee(idle: Idle, warm_until: float) -> None:
    """Tell the conversation in advance: its next request is looked at before a replay sends what was due."""
    if idle.behind.prompt is not None and idle.behind.prompt.line is not None:
        idle.behind.prompt.line.warm_until = warm_until


def idle_request(request: Json, said: list[Json]) -> Json | None:
    """The request behind the last one that keeps it warm; None where Claude would refuse one without output.

    Everything that decides whether a cached prefix fits is as it was: thinking, effort, tools and their choice.
    """
    forced = (request.get("tool_choice") or {}).get("type") in ("any", "tool")
    manual = (request.get("thinking") or {}).get("type") == "enabled"
    shaped = bool((request.get("output_config") or {}).get("format"))
    if forced or manual or shaped:
        return None
    *first, last = said
    marked = {**last, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    kept = {name: value for name, value in request.items() if name not in ("stream", "diagnostics", "cache_control")}
    bare: Json = _without_marks(kept)
    messages = [*bare["messages"], {"role": "assistant", "content": [*first, marked]}, WORDS_AFTER]
    return {**bare, "messages": messages, "max_tokens": 0}


def _said(answer: Json, *, thinking: bool) -> list[Json]:
    """What of an answer stands before its first call, as it will be sent again; it ends with words. Nothing where there
    is thinking in it and more behind it: Claude takes it only with all that it said."""
    said: list[Json] = []
    for block in answer.get("content") or ():
        if block.get("type") == "text" and str(block.get("text") or "").strip():
            said.append({"type": "text", "text": block["text"]})
        elif block.get("type") in THINKING and thinking:
            said.append(block)
        elif block.get("type") not in THINKING:
            return [] if any(one["type"] in THINKING for one in said) else said
    while said and said[-1]["type"] != "text":
        said.pop()
    return said


def _without_marks(value: Any) -> Any:
    """The same without cache markers, wherever they stand but in what tools are called with and defined by."""
    if isinstance(value, list):
        return [_without_marks(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: item if name in ("input", "input_schema") else _without_marks(item)
        for name, item in value.items()
        if name != "cache_control"
    }


def _remember[Value](known: OrderedDict[str, Value], name: str, value: Value) -> None:
    known[name] = value
    known.move_to_end(name)
    while len(known) > MOST_REMEMBERED:
        known.popitem(last=False)
