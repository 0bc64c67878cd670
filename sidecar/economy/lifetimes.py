"""Five minutes or an hour: for the newest end of a prompt, and for its head.

A request reads up to its highest hit A, writes for an hour from there to its highest one-hour marker B and for five
minutes from there to its last marker C, and each entry holds the whole prefix up to its marker. So an hour for all of a
long prompt costs 3/4 of the input price for each token that this one request adds, and no more: it is bought where a
request adds little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final

from sidecar.accounts.prices import Rates
from sidecar.conversation import LIFETIME_SECONDS, Accepted, Lifetime
from sidecar.economy.warmth import TokensAt, entries
from sidecar.ledger.money import dollars

RISKED_BEFORE: Final = Fraction(45, 10_000)
RISKED_AFTER: Final = Fraction(2, 100)
"""How much of what a conversation costs may be spent on hours that have not paid: before and after its first pause of
5 to 60 minutes."""
RISKED_OF_SAVED: Final = Fraction(1, 20)
"""The same of what other layers have kept out of the prompt: so much the conversation has become cheaper already."""
PATIENCE: Final = Fraction(1, 8)
"""What an expected loss of earlier requests counts before the first pause; all of it afterwards. Most conversations
never pause."""
ALWAYS_ALLOWED: Final = 400_000_000
"""Pico-dollars of the same in a conversation too small for shares."""
TYPICAL_GROWTH: Final = Fraction(5, 100)
"""New tokens as a share of the prompt, where nothing warm tells better."""
LEAST_TO_JUDGE: Final = 1_024
"""Tokens: a shorter entry may be below a model's minimum."""
HELD_SHARE: Final = Fraction(9, 10)
MARGIN_SECONDS: Final = 10.0
"""Between our clock and Claude's: pauses that near a lifetime's end prove nothing."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The lifetime of the newest end, and the numbers behind it. Pico-dollars."""

    ttl: Lifetime
    writes: int
    """Tokens that this request adds."""
    uncovered: int
    """Tokens that a pause would lose."""
    chance: Fraction
    """Of a pause of 5 to 60 minutes before the next request."""
    cost: int
    """What an hour costs more than five minutes."""
    saves: int
    """What the hour has been worth on average since the last one was bought."""
    why: str

    def __str__(self) -> str:
        return f"tail for {_LONG[self.ttl]}: {self.why}"


@dataclass(frozen=True, slots=True)
class Head:
    """The lifetime of tools and system text, which the next conversation starts with too."""

    ttl: Lifetime
    tokens: int
    soon: Fraction
    """Chance that the next conversation starts 5 to 60 minutes after this one's last request."""
    late: Fraction
    """Chance that it starts later than that."""

    def __str__(self) -> str:
        odds = f"{float(self.soon):.0%} of conversations start within the hour, {float(self.late):.0%} later"
        return f"head of {self.tokens:,} tokens for {_LONG[self.ttl]}: {odds}"


_LONG: Final = {"5m": "5 minutes", "1h": "an hour"}


def tail(
    rates: Rates,
    requests: Sequence[Accepted],
    *,
    prompt: int,
    read: int,
    covered: int,
    since_last: float | None,
    chance: Fraction,
    kept_out: int = 0,
) -> Tail:
    """Whether a request of `prompt` tokens, of which `read` are warm and the first `covered` live an hour already, ends
    with an hour.

    An hour is bought once what it would have saved on average since the last one (a pause loses the uncovered part)
    exceeds what it costs now. Buying by accumulated loss is what costs least in the long run where pauses come at
    random (as in the economic lot size), and it waits for a request that adds little. What hours have cost and not
    brought back stays below a share of the conversation's costs, so that no conversation gets dearer than that.
    `requests` are the conversation's, to the same model; `since_last` is the time since the last of them, `kept_out`
    the tokens that other layers spared it.
    """
    pauses = has_paused(requests, since_last)
    writes = prompt - read
    cost = writes * (rates.cache_write_1h - rates.cache_write_5m)
    earlier = sum(max(0, tokens - covered) for tokens in _waiting(requests, cold=read == 0))
    exposed, parts = prompt - covered + earlier, 1
    if not pauses:
        exposed, parts = (prompt - covered) * PATIENCE.denominator + earlier * PATIENCE.numerator, PATIENCE.denominator
    saves = _of(chance, exposed, parts) * (rates.cache_write_5m - rates.cache_read)
    share = RISKED_AFTER if pauses else RISKED_BEFORE
    allowed = _allowance(rates, requests, prompt=prompt, read=read, since_last=since_last, share=share)
    allowed += _of(RISKED_OF_SAVED, max(0, kept_out)) * rates.cache_write_5m
    ttl: Lifetime = "5m"
    odds = f"{float(chance):.1%} pause"
    if saves <= cost:
        why = f"an hour would cost {dollars(cost)} to save {dollars(saves)} ({odds})"
    elif cost > allowed:
        why = f"an hour for {dollars(cost)} is over what may be risked here ({dollars(max(0, allowed))})"
    else:
        ttl = "1h"
        why = f"costs {dollars(cost)}, saves {dollars(saves)} on average ({odds})"
    return Tail(ttl, writes, prompt - covered, chance, cost, saves, why)


def _waiting(requests: Sequence[Accepted], *, cold: bool) -> list[int]:
    """Prompt lengths of the requests since an hour was last bought, or since the cache was last cold."""
    lengths: list[int] = []
    for one in reversed(() if cold else requests):
        if one.marks.get(one.until - 1) == "1h":
            break
        lengths.append(one.tokens)
        if one.read == 0:
            break
    return lengths


def has_paused(requests: Sequence[Accepted], since_last: float | None = None) -> bool:
    """Whether a conversation went on after 5 to 60 minutes, or does so now."""
    gaps = [after.now - before.now for before, after in pairwise(requests)]
    gaps += [since_last] if since_last is not None else []
    return any(LIFETIME_SECONDS["5m"] < gap <= LIFETIME_SECONDS["1h"] for gap in gaps)


def _allowance(
    rates: Rates,
    requests: Sequence[Accepted],
    *,
    prompt: int,
    read: int,
    since_last: float | None,
    share: Fraction,
) -> int:
    """What may be spent now beyond what one five-minute marker at every newest end would have cost in all."""
    spent = five = 0
    before: Accepted | None = None
    for one in requests:
        warm = _five_minutes_on(before, one.now - before.now) if before else one.read
        spent += _cost(rates, one)
        five += _as_five(rates, one, min(warm, one.tokens))
        before = one
    warm = min(prompt, _five_minutes_on(before, since_last))
    spent += read * rates.cache_read + (prompt - read) * rates.cache_write_5m
    five += warm * rates.cache_read + (prompt - warm) * rates.cache_write_5m
    return max(_of(share, five), ALWAYS_ALLOWED) - (spent - five)


def _of(share: Fraction, amount: int, parts: int = 1) -> int:
    """`int(share * amount / parts)`, without the time that fractions take."""
    product, divisor = share.numerator * amount, share.denominator * parts
    return product // divisor if product >= 0 else -(-product // divisor)


def _five_minutes_on(before: Accepted | None, seconds: float | None) -> int:
    """Tokens that a five-minute marker at the end of the request before would have kept."""
    alive = before is not None and seconds is not None and seconds < LIFETIME_SECONDS["5m"]
    return before.tokens if before is not None and alive else 0


def _cost(rates: Rates, one: Accepted) -> int:
    plain = one.tokens - one.read - one.written_5m - one.written_1h
    return (
        one.read * rates.cache_read
        + one.written_5m * rates.cache_write_5m
        + one.written_1h * rates.cache_write_1h
        + plain * rates.input
    )


def _as_five(rates: Rates, one: Accepted, warm: int) -> int:
    if not (one.read or one.written_5m or one.written_1h):
        return _cost(rates, one)  # too short to be cached, however it is marked
    return warm * rates.cache_read + (one.tokens - warm) * rates.cache_write_5m


def whole_prompt(
    rates: Rates,
    requests: Sequence[Accepted],
    *,
    prompt: int,
    read: int,
    alive: Lifetime | None,
    hour: Fraction,
    later: Fraction,
) -> Tail:
    """The lifetime where each part of a prompt must be paid for by itself to live an hour: one for all of it.

    An hour costs least where q1 > 3/4 (growth + q2) / (w - r), with q1 and q2 the chances of a pause of up to and over
    an hour. (Anthropic's own crossover, 3.1 to 3.3 % at a growth of 5 %, agrees.) It is chosen when all is written
    anyway; while the prompt is `alive`, its parts go on as they began.
    """
    growth = _growth(requests)
    cost = int(prompt * (growth + later)) * (rates.cache_write_1h - rates.cache_write_5m)
    saves = int(prompt * hour) * (rates.cache_write_5m - rates.cache_read)
    better: Lifetime = "1h" if saves > cost else "5m"
    why = f"an hour for the whole prompt costs {dollars(cost)} a request and saves {dollars(saves)} on average"
    return Tail(alive or better, prompt - read, prompt, hour, cost, saves, why)


def _growth(requests: Sequence[Accepted]) -> Fraction:
    """New tokens a request, as a share of the prompt."""
    new = sum(max(0, after.tokens - before.tokens) for before, after in pairwise(requests))
    in_all = sum(after.tokens for after in requests[1:])
    return Fraction(new, in_all) if in_all else TYPICAL_GROWTH


def head(rates: Rates, *, tokens: int, soon: Fraction, late: Fraction) -> Head:
    """An hour for the head pays where (w - r) q1 > 3/4 q2: it is written once for all conversations that start within
    the hour, and for nothing where the next one starts later."""
    gain = soon * (rates.cache_write_5m - rates.cache_read)
    return Head("1h" if gain > late * (rates.cache_write_1h - rates.cache_write_5m) else "5m", tokens, soon, late)


def hour_held(requests: Sequence[Accepted], tokens_at: TokensAt) -> bool | None:
    """Whether the newest request found what by the documented rule lived an hour: the guard of all this.

    None where it proves nothing: no pause of 5 to 60 minutes before it, or no one-hour entry under one of its markers.
    """
    if len(requests) < 2:
        return None
    *earlier, newest = requests
    pause = newest.now - earlier[-1].now
    if not LIFETIME_SECONDS["5m"] + MARGIN_SECONDS < pause < LIFETIME_SECONDS["1h"] - MARGIN_SECONDS:
        return None
    alive = entries(earlier, tokens_at, model=newest.model, now=newest.now)
    reachable = [entry for entry in alive if entry.ttl == "1h" and entry.until - 1 in newest.marks]
    longest = max((entry.tokens for entry in reachable), default=0)
    if longest < LEAST_TO_JUDGE:
        return None
    return newest.read >= HELD_SHARE * longest
