"""What a client changed in a block that went upstream before: which characters, how many lines, of what kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.conversation import texts_of, with_texts
from sidecar.exchange import Json
from sidecar.repair.differences import Hunk, differences
from sidecar.repair.volatile import alike, free_lines

EXCERPT: Final = 60
"""Characters that a reader is shown."""
AROUND: Final = 80
"""Characters on both sides of a change inside a long line that say what kind of change it is."""
MOST_VOLATILE: Final = 4_000
"""Characters, old and new, of a change that is looked at for dates and the like: what changes by itself is small, and
looking takes about 4 us a character."""


@dataclass(frozen=True, slots=True)
class TextChange:
    """One text of a block."""

    frozen: str
    """As it was first sent."""
    now: str
    """As the client writes it now."""
    hunks: tuple[Hunk, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A block's texts, then and now. None of them may differ: the client took an earlier change back."""

    texts: tuple[TextChange, ...]

    @property
    def lines(self) -> int:
        """How many lines differ."""
        return sum(max(hunk.gone, len(hunk.new)) for text in self.texts for hunk in text.hunks)

    @property
    def is_small(self) -> bool:
        """Whether it is worth a look for what changes by itself."""
        return sum(_touched(text) for text in self.texts) <= MOST_VOLATILE

    @property
    def characters(self) -> int:
        """How many characters the client's text has more than what was sent; negative where it has fewer."""
        return sum(len(text.now) - len(text.frozen) for text in self.texts)

    @property
    def offset(self) -> int:
        """The first character that differs, counted over the block's texts from 0; 0 where none does."""
        before = 0
        for text in self.texts:
            if text.hunks:
                return before + _first_difference(text.frozen, text.now)
            before += len(text.frozen)
        return 0

    def said(self, place: str) -> str:
        """One line for a reader: ``the system prompt changed at character 1,204: `Today is ...` ``."""
        text = next((text for text in self.texts if text.hunks), None)
        if text is None:
            return f"{place} is again as it was first sent"
        lines = "" if self.lines == 1 else f" ({self.lines:,} lines)"
        return f"{place} changed at character {self.offset + 1:,}: `{_excerpt(text)}`{lines}"


def changed(frozen: Json, now: Json) -> Change | None:
    """What differs between a block as it was sent and as the client writes it now; None where they cannot be compared:
    other things than text differ, or there is no text."""
    before, after = texts_of(frozen), texts_of(now)
    if not before or len(before) != len(after) or with_texts(frozen, after) != now:
        return None
    return Change(
        tuple(TextChange(old, new, tuple(differences(old, new))) for old, new in zip(before, after, strict=True))
    )


def is_volatile(change: Change) -> bool:
    """Whether nothing changed but what changes by itself: dates, times, costs, open tabs."""
    return change.is_small and all(_only_volatile(text) for text in change.texts)


def is_alike(hunk: Hunk, frozen: Sequence[str]) -> bool:
    """Whether each new line says what the old one said, but for dates, times and the like. `frozen` are lines."""
    if hunk.span is not None:
        line, (start, end) = frozen[hunk.line], hunk.span
        left, right = line[max(0, start - AROUND) : start], line[end : end + AROUND]
        return alike(left + line[start:end] + right, left + hunk.new[0] + right)
    old = frozen[hunk.line : hunk.line + hunk.gone]
    return len(old) == len(hunk.new) and all(alike(*pair) for pair in zip(old, hunk.new, strict=True))


def _only_volatile(text: TextChange) -> bool:
    if not text.hunks:
        return True
    frozen, now = text.frozen.split("\n"), text.now.split("\n")
    rest = [hunk for hunk in text.hunks if not is_alike(hunk, frozen)]
    if not rest:
        return True
    if any(hunk.span is not None for hunk in rest):
        return False
    free, free_now = free_lines(frozen), free_lines(now)
    return all(
        free.issuperset(range(hunk.line, hunk.line + hunk.gone))
        and free_now.issuperset(range(hunk.new_line, hunk.new_line + len(hunk.new)))
        for hunk in rest
    )


def _touched(text: TextChange) -> int:
    """Characters of the hunks, old and new."""
    frozen = text.frozen.split("\n") if text.hunks else []
    return sum(
        sum(map(len, hunk.new))
        + (hunk.span[1] - hunk.span[0] if hunk.span else sum(map(len, frozen[hunk.line : hunk.line + hunk.gone])))
        for hunk in text.hunks
    )


def _first_difference(old: str, new: str) -> int:
    shorter = min(len(old), len(new))
    return next((at for at in range(shorter) if old[at] != new[at]), shorter)


def _excerpt(text: TextChange) -> str:
    """The line that differs as it reads now, or as it read where it is gone."""
    at = _first_difference(text.frozen, text.now)
    source = text.now if at < len(text.now) else text.frozen
    start = max(source.rfind("\n", 0, at) + 1, at - EXCERPT // 2)
    line = source[start : start + EXCERPT].split("\n")[0].strip()
    return line if len(line) < EXCERPT else line + "..."
