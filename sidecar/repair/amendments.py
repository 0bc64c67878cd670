"""The text that tells the model, behind what was sent, how an earlier part of the conversation reads now.

    [Amendment 482913 to the system prompt; replaces earlier ones]
    @@ -12 +12 @@
    +Current time: 10:04

It is always the difference from the text as *first sent*, so that only the newest amendment of a place counts. Below
the header stands a unified diff of lines that end in line feeds alone (`differences.py`):

- The new lines alone where they tell by themselves which ones they replace (a date for a date); old lines, shortened,
  above all others. Only the numbers in `@@` and the lines with `+` are applied.
- `@@ -1 +1 @@ characters 8005-8030`: in a long line, only these characters of it are replaced.
- `@@ -3 +3 @@ text 2`: in the second text of a tool's result.

The six digits are a checksum of the place, of where the amendment stands, and of the text before and after. A text that
only looks like an amendment, or a copy of one that somebody quotes later, has not the right one and is not applied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

from sidecar.repair.changes import Change, is_alike
from sidecar.repair.differences import Hunk, patched

LARGEST_SHARE: Final = 0.4
"""Of the text that it amends: past it the text itself is easier to read."""
ALWAYS_SMALL: Final = 2_000
"""Characters of an amendment that is small whatever it amends."""
SHOWN_LINES: Final = 4
SHOWN_CHARACTERS: Final = 100
"""Of the old text, in a change that does not tell by itself what it replaces."""
AS_FIRST_SENT: Final = "It reads as first sent again."

_PLACE = r"(?:block (\d{1,9}) of )?(?:the system prompt|message (\d{1,9}))"
_HEADER = re.compile(rf"\[Amendment (\d{{6}}) to {_PLACE}; replaces earlier ones\]")
_RANGES = re.compile(
    r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@"
    r"(?: text (\d{1,9}))?(?: characters (\d{1,9})-(\d{1,9}))?"
)


class Place(NamedTuple):
    """A block of the prompt, in words that a model can follow."""

    zone: Literal["system", "messages"]
    message: int
    """Counted from 0 over the messages of user and assistant; 0 for the system prompt."""
    block: int
    """Counted from 0 in the system prompt or the message."""

    def __str__(self) -> str:
        where = "the system prompt" if self.zone == "system" else f"message {self.message + 1}"
        return f"block {self.block + 1} of {where}" if self.block else where


@dataclass(frozen=True, slots=True)
class Amendment:
    """An amendment that was read; whether it is one only `amended` can tell."""

    place: Place
    checksum: str
    hunks: tuple[tuple[int, Hunk], ...]
    """Each with the index of the text that it changes."""


def amendment(change: Change, place: Place, turn: int) -> str | None:
    """The text that goes behind the newest user's turn; None where it would be too large to be read easily.

    `turn` is how many messages of the assistant stand before it.
    """
    frozen = [text.frozen for text in change.texts]
    lines = [_header(place, _checksum(place, turn, frozen, [text.now for text in change.texts]))]
    small = change.is_small
    for number, text in enumerate(change.texts):
        old = text.frozen.split("\n") if text.hunks else []
        for hunk in text.hunks:
            lines.append(_ranges(hunk, number))
            if not (small and is_alike(hunk, old)):
                lines += _shown(hunk, old)
            lines += [f"+{line}" for line in hunk.new]
    if len(lines) == 1:
        lines.append(AS_FIRST_SENT)
    written = "\n".join(lines)
    return written if len(written) <= max(ALWAYS_SMALL, LARGEST_SHARE * sum(map(len, frozen))) else None


def read(text: str) -> Amendment | None:
    """The amendment that a text looks like; None for any other text."""
    first, _, rest = text.partition("\n")
    if (header := _HEADER.fullmatch(first)) is None:
        return None
    checksum, block, message = header.groups()
    zone: Literal["system", "messages"] = "system" if message is None else "messages"
    place = Place(zone, int(message or 1) - 1, int(block or 1) - 1)
    if min(place[1:]) < 0 or _header(place, checksum) != first:
        return None
    if rest == AS_FIRST_SENT:
        return Amendment(place, checksum, ())
    hunks = _read_hunks(rest.split("\n"))
    return Amendment(place, checksum, hunks) if hunks else None


def amended(frozen: Sequence[str], found: Amendment, turn: int) -> list[str] | None:
    """The texts as the client writes them now; None where this is no amendment of them, or not one that stands there.

    `frozen` are the texts of a block as first sent.
    """
    if any(number >= len(frozen) for number, _ in found.hunks):
        return None
    try:
        texts = [
            patched(text, [hunk for place, hunk in found.hunks if place == number])
            for number, text in enumerate(frozen)
        ]
    except ValueError:
        return None
    return texts if _checksum(found.place, turn, frozen, texts) == found.checksum else None


def _header(place: Place, checksum: str) -> str:
    return f"[Amendment {checksum} to {place}; replaces earlier ones]"


def _checksum(place: Place, turn: int, frozen: Sequence[str], now: Sequence[str]) -> str:
    """Digits, since a tokenizer takes three of them at once."""
    digest = blake2b(digest_size=8)
    for part in (str(place), str(turn), *frozen, *now):
        digest.update(f"{len(part)}:".encode())
        digest.update(part.encode("utf-8", "surrogatepass"))
    return f"{int.from_bytes(digest.digest()) % 1_000_000:06}"


def _ranges(hunk: Hunk, text: int) -> str:
    ranges = f"@@ -{_range(hunk.line, hunk.gone)} +{_range(hunk.new_line, len(hunk.new))} @@"
    if text:
        ranges += f" text {text + 1}"
    if hunk.span is not None:
        ranges += f" characters {hunk.span[0] + 1}-{hunk.span[1]}"
    return ranges


def _range(start: int, count: int) -> str:
    """As in a unified diff: counted from 1, and of nothing the line before it."""
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"


def _shown(hunk: Hunk, old: Sequence[str]) -> list[str]:
    """What is replaced, shortened; above a pure insertion the line that it follows."""
    if hunk.span is not None:
        return [f"-{_short(old[hunk.line][slice(*hunk.span)])}"]
    gone = [f"-{_short(line)}" for line in old[hunk.line : hunk.line + hunk.gone]]
    if len(gone) > SHOWN_LINES:
        gone = [gone[0], f"-({len(gone) - 2:,} more lines)", gone[-1]]
    if not gone and hunk.line:
        return [f" {_short(old[hunk.line - 1])}"]
    return gone


def _short(line: str) -> str:
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}..."


def _read_hunks(lines: Sequence[str]) -> tuple[tuple[int, Hunk], ...]:
    """Empty where the lines are no hunks."""
    hunks: list[tuple[int, Hunk]] = []
    at = 0
    while at < len(lines):
        if (ranges := _RANGES.fullmatch(lines[at])) is None:
            return ()
        at += 1
        while at < len(lines) and lines[at][:1] in ("-", " "):
            at += 1
        line, gone, new_line, added, text, start, end = (int(group) if group else None for group in ranges.groups())
        gone, added = 1 if gone is None else gone, 1 if added is None else added
        new = lines[at : at + added]
        if len(new) < added or not all(one.startswith("+") for one in new):
            return ()
        at += added
        span = None if start is None or end is None else (start - 1, end)
        first, first_new = (line or 0) - (1 if gone else 0), (new_line or 0) - (1 if added else 0)
        hunks.append(((text or 1) - 1, Hunk(first, gone, first_new, tuple(one[1:] for one in new), span)))
    if any(number < 0 or hunk.line < 0 for number, hunk in hunks):
        return ()
    return tuple(hunks)
