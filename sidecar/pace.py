"""The pace of each client: how long it pauses, how soon it begins again, how long its conversations are.

What prompt caching is worth depends on pauses that lie ahead; this is what is known of those that lie behind. Counts
only, so that nothing of anyone's work is in them. Before there is anything to count, the priors speak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

SHORT_SECONDS, HOUR_SECONDS = 300.0, 3600.0

PAUSE_PRIOR: Final = (Fraction(99, 100) - Fraction(1, 200), Fraction(1, 100), Fraction(1, 200))
PAUSE_WEIGHT: Final = 60
"""Shares of gaps up to 5 minutes, up to an hour and longer, and how many gaps it takes to doubt them. Of recorded
agents' requests 4 % came after a pause; a low prior loses least with those that never pause."""
START_PRIOR: Final = (Fraction(1, 10), Fraction(1, 10), Fraction(8, 10))
START_WEIGHT: Final = 10
RETURN_PRIOR, RETURN_WEIGHT = Fraction(1, 4), 8
"""Of those who have paused for five minutes, how many go on within the hour; the rest come later or never."""
FURTHER_PRIOR, FURTHER_WEIGHT = 16, 4
"""Requests that follow any one, and how many conversations it takes to doubt it. Recorded agents' have a median of 36
in all."""
MOST_COUNTED: Final = 2_000
"""Past this many, old counts lose half their weight: habits change."""
MOST_TURNS: Final = 200
MOST_CLIENTS: Final = 100
DOUBT_SECONDS: Final = 7 * 86_400.0
"""After a loss, and then it is tried once more: it may have been an accident."""
FORMAT: Final = 1

Counts = tuple[int, int, int]
"""Up to 5 minutes, 5 to 60, longer."""


class ClientPace(NamedTuple):
    """One client's. Each `after_...` gives the pace with one more observation."""

    gaps: Counts = (0, 0, 0)
    """Between two requests of a conversation."""
    starts: Counts = (0, 0, 0)
    """Between the last request with some tools and system text and the first of the next conversation with them."""
    reached: tuple[int, ...] = ()
    """How many conversations came to their 1st, 2nd, 3rd... request."""

    def after_gap(self, seconds: float) -> ClientPace:
        return ClientPace(_counted(self.gaps, seconds), self.starts, self.reached)

    def after_start(self, seconds: float) -> ClientPace:
        """`seconds` is infinite where these tools and system text were never seen before, though the client was."""
        return ClientPace(self.gaps, _counted(self.starts, seconds), self.reached)

    def after_request(self, number: int) -> ClientPace:
        """A conversation came to its `number`th request, from 1."""
        if number > MOST_TURNS:
            return self
        reached = [*self.reached, *[0] * (number - len(self.reached))]
        reached[number - 1] += 1
        if reached[0] > MOST_COUNTED:
            reached = [count // 2 for count in reached]
        return ClientPace(self.gaps, self.starts, tuple(reached))

    @property
    def hour(self) -> Fraction:
        """The chance that the next request comes after a pause of 5 to 60 minutes."""
        return _chance(self.gaps, 1, PAUSE_PRIOR, PAUSE_WEIGHT)

    @property
    def later(self) -> Fraction:
        """The chance that it comes after a longer one."""
        return _chance(self.gaps, 2, PAUSE_PRIOR, PAUSE_WEIGHT)

    @property
    def returns(self) -> Fraction:
        """The chance that a conversation silent for five minutes goes on within the hour. Each ends once in silence."""
        silences = self.gaps[1] + self.gaps[2] + (self.reached[0] if self.reached else 0)
        return (RETURN_PRIOR * RETURN_WEIGHT + self.gaps[1]) / (RETURN_WEIGHT + silences)

    @property
    def starts_soon(self) -> Fraction:
        """The chance that the next conversation begins 5 to 60 minutes after this one's last request."""
        return _start_chance(self.starts, 1)

    @property
    def starts_late(self) -> Fraction:
        """The chance that it begins later."""
        return _start_chance(self.starts, 2)

    def further(self, number: int) -> int:
        """How many requests are expected after the `number`th of a conversation: by the share of earlier conversations
        that went on from there."""
        there = self.reached[number - 1] if 0 < number <= len(self.reached) else 0
        went_on = sum(self.reached[max(0, number) :])
        return (FURTHER_PRIOR * FURTHER_WEIGHT + went_on) // (FURTHER_WEIGHT + there)


@dataclass(slots=True)
class Pace:
    """All clients', and what pauses have shown of Claude's billing."""

    clients: dict[str, ClientPace] = field(default_factory=dict)
    hours_held: int = 0
    """Pauses that a prefix survived as it should, at most two."""
    hours_lost: int = 0
    """Pauses since then that it did not."""
    lost_at: float = 0.0
    """When the last of those was, in epoch seconds."""

    def of(self, client: str) -> ClientPace:
        return self.clients.get(client, _UNKNOWN)

    def learn(self, client: str, pace: ClientPace) -> None:
        self.clients.pop(client, None)
        self.clients[client] = pace
        while len(self.clients) > MOST_CLIENTS:
            del self.clients[next(iter(self.clients))]

    def hours_hold(self, now: float) -> bool:
        """Whether an hour is what it is documented to be, as far as anyone has seen."""
        return self.hours_lost <= self.hours_held or now >= self.lost_at + DOUBT_SECONDS

    def judge(self, held: bool, now: float) -> None:
        """A pause has shown whether a prefix lived its hour. One loss is enough to doubt what was never seen to hold;
        against what was, it takes more, as a cache may also be lost by accident."""
        if held:
            self.hours_held, self.hours_lost = min(2, self.hours_held + 1), 0
        else:
            self.hours_lost, self.lost_at = min(3, self.hours_lost + 1), now

    def to_bytes(self) -> bytes:
        """Any thread may ask for it."""
        return orjson.dumps(
            {
                "format": FORMAT,
                "hours": [self.hours_held, self.hours_lost, self.lost_at],
                "clients": {name: [one.gaps, one.starts, one.reached] for name, one in list(self.clients.items())},
            }
        )

    @classmethod
    def from_bytes(cls, kept: bytes | None) -> Pace:
        """What `to_bytes` wrote; what is missing, broken or of another version counts as nothing known."""
        try:
            return _read(orjson.loads(kept or b"{}"))
        except (ValueError, TypeError, KeyError):
            return cls()


_UNKNOWN: Final = ClientPace()


def _read(kept: Mapping[str, Any]) -> Pace:
    if kept["format"] != FORMAT:
        return Pace()
    held, lost, at = kept["hours"]
    clients = {
        str(name): ClientPace(_three(gaps), _three(starts), _whole(reached))
        for name, (gaps, starts, reached) in kept["clients"].items()
    }
    held, lost = _whole([held, lost], 2)
    return Pace(clients, held, lost, float(at))


def _three(counts: Any) -> Counts:
    short, hour, long = _whole(counts, 3)
    return short, hour, long


def _whole(counts: Any, length: int | None = None) -> tuple[int, ...]:
    whole = tuple(int(count) for count in counts)
    if any(count < 0 for count in whole) or (length is not None and len(whole) != length):
        raise ValueError("no counts")
    return whole


def _counted(counts: Counts, seconds: float) -> Counts:
    short, hour, long = counts
    if short + hour + long >= MOST_COUNTED:
        short, hour, long = short // 2, hour // 2, long // 2
    if seconds <= SHORT_SECONDS:
        return short + 1, hour, long
    return (short, hour + 1, long) if seconds <= HOUR_SECONDS else (short, hour, long + 1)


@lru_cache(maxsize=2 * MOST_CLIENTS)
def _start_chance(starts: Counts, kind: int) -> Fraction:
    """Asked for in every request, and it changes only where a conversation begins."""
    return _chance(starts, kind, START_PRIOR, START_WEIGHT)


def _chance(counts: Counts, kind: int, prior: tuple[Fraction, Fraction, Fraction], weight: int) -> Fraction:
    """`(prior[kind] * weight + counts[kind]) / (weight + sum(counts))`, as one fraction."""
    whole = prior[kind].denominator
    return Fraction(prior[kind].numerator * weight + counts[kind] * whole, whole * (weight + sum(counts)))
