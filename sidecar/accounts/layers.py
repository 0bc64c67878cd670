"""What each layer kept out of one request, in tokens, and under which counter those tokens would have been billed.

Layers count in bytes of JSON, Claude in tokens. Two things translate: where earlier requests of the conversation ended
their tokens are known, so a position is found between two of them, and the text in between says how many tokens a byte
has. A cut in the warm prefix so counts what it would have been read for, one behind it what it would have been written
for.

Pure: a prompt and returned usage in, values of `account` out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Final

from sidecar.accounts.account import Counter, Reduction, as_marked, uncached
from sidecar.conversation import LIFETIME_SECONDS
from sidecar.exchange import Usage
from sidecar.prompt import REPAIR, THINKING_MEMORY, Prompt

LAYERS_IN_ORDER: Final = (
    REPAIR,
    "context_pruning",
    "boilerplate",
    "size_limits",
    "diff_first",
    "file_references",
    THINKING_MEMORY,
)
"""As they act. A user's own come after them."""

CACHED: Final[tuple[Counter, ...]] = ("cache_read_tokens", "cache_write_1h_tokens", "cache_write_5m_tokens")
MOST_BYTES_A_TOKEN: Final = 8
"""Text has 2 to 5; where there are more, pictures are among it, and they say nothing about text."""


def reductions(prompt: Prompt, usage: Usage, model: str) -> list[Reduction]:
    """What `prompt` holds of every layer, cuts of earlier turns included, in the order in which layers act.

    `usage` is Claude's answer to it, `model` the one that answered: another one's tokens are no measure.
    """
    if not usage.prompt_tokens or not (prompt.edited or prompt.renewed):
        return []
    scale = _Scale(prompt, usage.prompt_tokens, model)
    sizes: dict[tuple[str, Counter], int] = {}
    billed = _counters(scale, usage, len(prompt.positions))
    counter, until = next(billed)
    for saving in prompt.savings():  # ascending
        while saving.index >= until:
            counter, until = next(billed)
        kind = (saving.layer, counter)
        sizes[kind] = sizes.get(kind, 0) + saving.bytes
    found = [Reduction(layer, scale.tokens(size), counter) for (layer, counter), size in sizes.items()]
    found += _kept_readable(prompt, usage, scale)
    found = [reduction for reduction in found if reduction.tokens]
    return sorted(found, key=lambda reduction: _ORDER.get(reduction.layer, len(_ORDER)))


def plainly(prompt: Prompt, usage: Usage, *, model: str, now: float, automatic: bool) -> Callable[[Usage], Usage]:
    """How the client's own bytes would have been cached: not at all where it marked nothing and our markers acted.

    Where it marked something itself (or asked for `automatic` caching), its caching is its own and never our saving.
    Two differences can be shown when all of its lifetimes are 5 minutes: what we wrote for an hour it would have
    written for five minutes, and what the conversation could still read after a longer gap it would have written again.
    Tools and system text are left out of the second: another conversation may have kept those warm.
    """
    if not prompt.marks:
        return as_marked
    if not prompt.client_marks and not automatic:
        return uncached
    if set(prompt.client_marks.values()) - {"5m"}:
        return as_marked
    outlived = 0
    if _gap(prompt, now) > LIFETIME_SECONDS["5m"]:
        head = next((index for index, at in enumerate(prompt.positions) if at.zone == "messages"), 0)
        scale = _Scale(prompt, usage.prompt_tokens, model)
        outlived = max(0, usage.cache_read_tokens - scale.start(head))

    def alone(ours: Usage) -> Usage:
        rewritten = min(outlived, ours.cache_read_tokens)
        return replace(
            ours,
            cache_read_tokens=ours.cache_read_tokens - rewritten,
            cache_write_5m_tokens=ours.cache_write_tokens + rewritten,
            cache_write_1h_tokens=0,
        )

    return alone


class _Scale:
    """Positions of a prompt among the tokens that Claude counted in it."""

    def __init__(self, prompt: Prompt, tokens: int, model: str) -> None:
        line, until = prompt.line, len(prompt.positions)
        before = line.sizes[: prompt.frozen] if line is not None else []
        live = accumulate((prompt.size(index) for index in prompt.live), initial=before[-1] if before else 0)
        self._ends: Final = [0, *before, *list(live)[1:]]
        """Bytes sent before each position, and at the end."""
        self._points: Final = [(0, 0)]
        """(positions, tokens) where requests ended."""
        for one in line.requests if line is not None else ():
            last_until, last_tokens = self._points[-1]
            if one.model == model and last_until < one.until <= prompt.frozen and last_tokens < one.tokens < tokens:
                self._points.append((one.until, one.tokens))
        if self._points[-1][0] >= until:
            self._points.pop()  # the same request once more
        self._points.append((until, tokens))
        self._untils: Final = [until for until, _ in self._points]
        stretches = [
            (self._points[number][1] - self._points[number - 1][1], self._bytes(number))
            for number in range(1, len(self._points))
        ]
        text = [stretch for stretch in stretches if stretch[0] * MOST_BYTES_A_TOKEN >= stretch[1]] or stretches
        self._text_tokens: Final = sum(tokens for tokens, _ in text)
        self._text_bytes: Final = max(1, sum(size for _, size in text))

    def tokens(self, size: int) -> int:
        """Of so many bytes of text; negative for what was added."""
        return (2 * size * self._text_tokens + self._text_bytes) // (2 * self._text_bytes)

    def start(self, index: int) -> int:
        """Tokens before a position."""
        return self._at(index, self._ends[index])

    def middle(self, index: int) -> int:
        """Tokens up to the middle of a position: its edges are where a cache entry may end."""
        return self._at(index, (self._ends[index] + self._ends[index + 1]) // 2)

    def _at(self, index: int, offset: int) -> int:
        number = min(bisect_right(self._untils, index), len(self._points) - 1)
        (begin, before), (_, after) = self._points[number - 1], self._points[number]
        return before + (offset - self._ends[begin]) * (after - before) // max(1, self._bytes(number))

    def _bytes(self, number: int) -> int:
        return self._ends[self._points[number][0]] - self._ends[self._points[number - 1][0]]


def _counters(scale: _Scale, usage: Usage, positions: int) -> Iterator[tuple[Counter, int]]:
    """Counters, each with the position it ends before: first what was read, then what was written (an hour's first)."""
    tokens = 0
    for counter in CACHED:
        tokens += getattr(usage, counter)
        yield counter, bisect_left(range(positions), tokens, key=scale.middle)
    yield "input_tokens", positions


def _kept_readable(prompt: Prompt, usage: Usage, scale: _Scale) -> Iterator[Reduction]:
    """A repair cuts nothing: what was read behind the block that the client changed would have been written again."""
    if not prompt.renewed:
        return
    behind = usage.cache_read_tokens - scale.start(min(prompt.renewed))
    if behind > 0:
        hour = "1h" in prompt.client_marks.values()
        yield Reduction(REPAIR, behind, "cache_write_1h_tokens" if hour else "cache_write_5m_tokens")
        yield Reduction(REPAIR, -behind, "cache_read_tokens")


def _gap(prompt: Prompt, now: float) -> float:
    """Seconds since the conversation's last request; 0 where it is not known."""
    requests = prompt.line.requests if prompt.line is not None else ()
    earlier = [one.now for one in requests if one.until <= prompt.frozen and one.now < now]
    return now - max(earlier, default=now)


_ORDER: Final = {layer: number for number, layer in enumerate(LAYERS_IN_ORDER)}
