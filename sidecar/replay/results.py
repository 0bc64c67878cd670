"""What a replay came to, by client and in all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Any, Final

from sidecar.replay.player import Played
from sidecar.replay.sessions import Session

ALL: Final = "all"
MICRO: Final = Decimal(1_000_000)
"""Micro-dollars in a dollar."""


@dataclass(slots=True)
class Sums:
    """Of some requests. Money in micro-dollars; failed requests count nowhere else."""

    key: str
    sessions: int = 0
    requests: int = 0
    failed: int = 0
    plain: Decimal = Decimal(0)
    automatic: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    output_as_asked: Decimal = Decimal(0)
    saved: dict[str, Decimal] = field(default_factory=dict)
    """By layer."""
    lost: int = 0
    breaks: int = 0
    rewritten_cold: int = 0
    overheads: list[float] = field(default_factory=list)

    def add(self, played: Played) -> None:
        if not played.id:  # one that was broken off has no error either
            self.failed += bool(played.error)
            return
        self.requests += 1
        self.plain += played.plain
        self.automatic += played.automatic
        self.spent += played.spent
        self.output += played.output
        self.output_as_asked += played.output_as_asked
        self.lost += played.lost
        self.breaks += played.prefix == "broken"
        self.rewritten_cold += played.prefix == "rewritten cold"
        for layer, saved in played.saved.items():
            self.saved[layer] = self.saved.get(layer, Decimal(0)) + saved
        if played.overhead_ms is not None:
            self.overheads.append(played.overhead_ms)

    @property
    def against_automatic(self) -> float:
        """Percent of what the prompts cost with automatic caching; negative where cgw is dearer."""
        return percent_saved(self.spent, self.automatic)

    @property
    def against_plain(self) -> float:
        return percent_saved(self.spent, self.plain)

    @property
    def whole_against_automatic(self) -> float:
        """The same of the whole bill, answers included."""
        return percent_saved(self.spent + self.output, self.automatic + self.output_as_asked)

    @property
    def overhead_median(self) -> float:
        """Milliseconds."""
        return median(self.overheads) if self.overheads else 0.0

    @property
    def overhead_p95(self) -> float:
        return sorted(self.overheads)[math.ceil(0.95 * len(self.overheads)) - 1] if self.overheads else 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "sessions": self.sessions,
            "requests": self.requests,
            "failed": self.failed,
            "input_usd": {
                "plain": dollars(self.plain),
                "automatic_caching": dollars(self.automatic),
                "cgw": dollars(self.spent),
            },
            "output_usd": dollars(self.output),
            "input_saved_percent": {
                "against_automatic_caching": round(self.against_automatic, 2),
                "against_plain": round(self.against_plain, 2),
            },
            "whole_bill_saved_percent": {
                "against_automatic_caching": round(self.whole_against_automatic, 2),
                "against_plain": round(percent_saved(self.spent + self.output, self.plain + self.output_as_asked), 2),
            },
            "saved_usd_by_layer": {layer: dollars(saved) for layer, saved in sorted(self.saved.items())},
            "characters_lost": self.lost,
            "prefix_breaks": self.breaks,
            "prefixes_rewritten_cold": self.rewritten_cold,
            "overhead_ms": {"median": round(self.overhead_median, 3), "p95": round(self.overhead_p95, 3)},
        }


def by_client(sessions: Sequence[Session], played: Iterable[Played]) -> list[Sums]:
    """A line for each client, in alphabetical order, and one for all of them at the end."""
    return _sums(sessions, played, lambda session: session.client)


def by_session(sessions: Sequence[Session], played: Iterable[Played]) -> list[Sums]:
    """A line for each session that was begun, and one for all of them at the end."""
    return _sums(sessions, played, lambda session: session.name)


def _sums(sessions: Sequence[Session], played: Iterable[Played], key_of: Callable[[Session], str]) -> list[Sums]:
    lines: dict[str, Sums] = {}
    whole = Sums(ALL)
    begun: set[int] = set()
    for one in played:
        session = sessions[one.session]
        line = lines.setdefault(key_of(session), Sums(key_of(session)))
        for sums in (line, whole):
            sums.add(one)
            sums.sessions += one.session not in begun
        begun.add(one.session)
    return [*(lines[key] for key in sorted(lines)), whole]


def percent_saved(spent: Decimal, before: Decimal) -> float:
    return float(100 * (before - spent) / before) if before else 0.0


def dollars(micros: Decimal) -> str:
    """Exact, as text: JSON has no decimals."""
    return f"{micros / MICRO:f}"
