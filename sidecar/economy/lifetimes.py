"""Five minutes or an hour: for the newest end of a prompt, and for its head.

A request reads up to its highest hit A, writes for an hour from there to its highest one-hour marker B and for five
minutes from there to its last marker C, and each entry holds the whole prefix up to its marker. So an hour for all of a
long prompt costs 3/4 of the input price for each token that this one request adds, and no more: it is bought where a
request adds little.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from sidecar.accounts.prices import Rates
from sidecar.conversation import LIFETIME_SECONDS, Accepted, Lifetime
from sidecar.economy.warmth import TokensAt, entries
from sidecar.ledger.money import dollars

SHORT, LONG = LIFETIME_SECONDS["5m"], LIFETIME_SECONDS["1h"]

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


class Tail(NamedTuple):
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
    allowed: int | None = None
    """What may be risked on it; None where a whole prompt gets one lifetime."""

    def __str__(self) -> str:
        return f"tail for {_LONG[self.ttl]}: {self._why()}"

    def _why(self) -> str:
        cost, saves, odds = dollars(self.cost), dollars(self.saves), f"{float(self.chance):.1%} pause"
        if self.allowed is None:
            return f"an hour for the whole prompt costs {cost} a request and saves {saves} on average"
        if self.saves <= self.cost:
            return f"an hour would cost {cost} to save {saves} ({odds})"
        if self.cost > self.allowed:
            return f"an hour for {cost} is over what may be risked here ({dollars(max(0, self.allowed))})"
        return f"costs {cost}, saves {saves} on average ({odds})"


class Head(NamedTuple):
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
    past = _past(requests)
    pauses = past.paused or (since_last is not None and SHORT < since_last <= LONG)
    writes = prompt - read
    cost = writes * (rates.cache_write_1h - rates.cache_write_5m)
    earlier = _waiting(requests, covered) if read else 0
    exposed, parts = prompt - covered + earlier, 1
    if not pauses:
        exposed, parts = (prompt - covered) * PATIENCE.denominator + earlier * PATIENCE.numerator, PATIENCE.denominator
    saves = _of(chance, exposed, parts) * (rates.cache_write_5m - rates.cache_read)
    spent = (past.read + read) * rates.cache_read + (past.written_5m + writes) * rates.cache_write_5m
    spent += past.written_1h * rates.cache_write_1h + past.plain * rates.input
    warm = min(prompt, requests[-1].tokens) if requests and since_last is not None and since_last < SHORT else 0
    five = (past.five_read + warm) * rates.cache_read + (past.five_written + prompt - warm) * rates.cache_write_5m
    five += past.five_plain * rates.input
    share = RISKED_AFTER if pauses else RISKED_BEFORE
    allowed = max(_of(share, five), ALWAYS_ALLOWED) - (spent - five)
    allowed += _of(RISKED_OF_SAVED, max(0, kept_out)) * rates.cache_write_5m
    ttl: Lifetime = "1h" if cost < saves and cost <= allowed else "5m"
    return Tail(ttl, writes, prompt - covered, chance, cost, saves, allowed)


def _waiting(requests: Sequence[Accepted], covered: int) -> int:
    """Uncovered tokens, in all, of the requests since an hour was last bought, or since the cache was last cold."""
    uncovered = 0
    for one in reversed(requests):
        if one.marks.get(one.until - 1) == "1h":
            break
        if one.tokens > covered:
            uncovered += one.tokens - covered
        if one.read == 0:
            break
    return uncovered


def has_paused(requests: Sequence[Accepted]) -> bool:
    """Whether a conversation went on after 5 to 60 minutes."""
    return any(SHORT < after.now - before.now <= LONG for before, after in pairwise(requests))


class _Past(NamedTuple):
    """A conversation so far, in tokens: as it was billed, and as it would have been with nothing but a five-minute
    marker at every newest end."""

    paused: bool
    read: int
    written_5m: int
    written_1h: int
    plain: int
    five_read: int
    five_written: int
    five_plain: int


def _past(requests: Sequence[Accepted]) -> _Past:
    before: Accepted | None = None
    paused = False
    all_read = all_5m = all_1h = in_all = five_read = five_written = five_plain = 0
    for one in requests:
        tokens, read, written_5m, written_1h = one.tokens, one.read, one.written_5m, one.written_1h
        all_read += read
        all_5m += written_5m
        all_1h += written_1h
        in_all += tokens
        if before is None:
            warm = read
        else:
            gap = one.now - before.now
            warm = before.tokens if gap < SHORT else 0
            paused = paused or SHORT < gap <= LONG
        before = one
        if not (read or written_5m or written_1h):
            five_plain += tokens  # too short to be cached, however it is marked
        elif warm < tokens:
            five_read += warm
            five_written += tokens - warm
        else:
            five_read += tokens
    plain = in_all - all_read - all_5m - all_1h
    return _Past(paused, all_read, all_5m, all_1h, plain, five_read, five_written, five_plain)


def _of(share: Fraction, amount: int, parts: int = 1) -> int:
    """`int(share * amount / parts)`, without the time that fractions take."""
    product, divisor = share.numerator * amount, share.denominator * parts
    return product // divisor if product >= 0 else -(-product // divisor)


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
    return Tail(alive or better, prompt - read, prompt, hour, cost, saves)


def _growth(requests: Sequence[Accepted]) -> Fraction:
    """New tokens a request, as a share of the prompt."""
    new = sum(max(0, after.tokens - before.tokens) for before, after in pairwise(requests))
    in_all = sum(after.tokens for after in requests[1:])
    return Fraction(new, in_all) if in_all else TYPICAL_GROWTH


def head(rates: Rates, *, tokens: int, soon: Fraction, late: Fraction) -> Head:
    """An hour for the head pays where (w - r) q1 > 3/4 q2: it is written once for all conversations that start within
    the hour, and for nothing where the next one starts later."""
    gain = soon.numerator * late.denominator * (rates.cache_write_5m - rates.cache_read)
    loss = late.numerator * soon.denominator * (rates.cache_write_1h - rates.cache_write_5m)
    return Head("1h" if gain > loss else "5m", tokens, soon, late)


def hour_held(requests: Sequence[Accepted], tokens_at: TokensAt) -> bool | None:
    """Whether the newest request found what by the documented rule lived an hour: the guard of all this.

    None where it proves nothing: no pause of 5 to 60 minutes before it, or no one-hour entry under one of its markers.
    """
    if len(requests) < 2:
        return None
    newest = requests[-1]
    pause = newest.now - requests[-2].now
    if not SHORT + MARGIN_SECONDS < pause < LONG - MARGIN_SECONDS:
        return None
    alive = entries(requests[:-1], tokens_at, model=newest.model, now=newest.now)
    reachable = [entry for entry in alive if entry.ttl == "1h" and entry.until - 1 in newest.marks]
    longest = max((entry.tokens for entry in reachable), default=0)
    if longest < LEAST_TO_JUDGE:
        return None
    return newest.read >= HELD_SHARE * longest
