"""Pictures as lines of text with the names of colours. Pure: boxes, things beside each other, large digits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.cells import cell_len

from tui.text import fit

Piece = tuple[str, str]
"""A text and how it looks: `success`, `bold accent`, `accent on primary`, `dim`, or nothing."""
Line = Sequence[Piece]

DIGITS: Final = {
    "0": ("┏━┓", "┃ ┃", "┗━┛"),
    "1": ("╺┓ ", " ┃ ", "╺┻╸"),
    "2": ("╺━┓", "┏━┛", "┗━╸"),
    "3": ("╺━┓", " ━┫", "╺━┛"),
    "4": ("╻ ╻", "┗━┫", "  ╹"),
    "5": ("┏━╸", "┗━┓", "╺━┛"),
    "6": ("┏━╸", "┣━┓", "┗━┛"),
    "7": ("╺━┓", "  ┃", "  ╹"),
    "8": ("┏━┓", "┣━┫", "┗━┛"),
    "9": ("┏━┓", "┗━┫", "╺━┛"),
    "$": ("┏╋┓", "┗╋┓", "┗╋┛"),
    "-": ("   ", "╺━╸", "   "),
    "<": (" ╱ ", "╱  ", " ╲ "),
    "~": (" ", "~", " "),
    ".": (" ", " ", "."),
    ",": (" ", " ", ","),
}
"""Three lines each."""


def large(text: str) -> list[str]:
    """An amount of money in three lines."""
    return ["".join(DIGITS[char][line] for char in text) for line in range(3)]


def size(line: Line) -> int:
    """Cells."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in line)


def padded(line: Line, width: int) -> Line:
    """Exactly so many cells: cut, or filled with blanks."""
    left = width - size(line)
    if left > 0:
        return [*line, (" " * left, "")]
    return line if not left else cropped(line, width)


def cropped(line: Line, width: int) -> Line:
    """No more than so many cells, with a mark where something is missing."""
    kept: list[Piece] = []
    for text, look in line:
        length = size([(text, look)])
        if length > width:
            kept.append((fit(text, width), look))
            return kept
        kept.append((text, look))
        width -= length
    return kept


def boxed(title: str, lines: Sequence[Line], width: int, height: int) -> list[Line]:
    """In a frame of so many cells and lines, with a blank on both sides."""
    inner = max(0, width - 4)
    named = f" {title} "[: max(0, width - 4)] if title else ""
    top = [("╭─", "frame"), (named, "primary"), ("─" * (width - 3 - len(named)) + "╮", "frame")]
    body = [
        [("│ ", "frame"), *padded(line, inner), (" │", "frame")]
        for line in [*lines[: height - 2], *[()] * (height - 2 - len(lines))]
    ]
    return [top, *body, [("╰" + "─" * (width - 2) + "╯", "frame")]]


def beside(blocks: Sequence[Sequence[Line]]) -> list[Line]:
    """Blocks of the same height, from the left."""
    return [[piece for line in row for piece in line] for row in zip(*blocks, strict=True)]


def widths(whole: int, count: int) -> list[int]:
    """So many parts of nearly the same width."""
    return [whole * (part + 1) // count - whole * part // count for part in range(count)]


def wrapped(words: Iterable[Line], width: int, first: int) -> list[Line]:
    """Words in as many lines as they need, two blanks between them; the first line has another width."""
    lines: list[list[Piece]] = [[]]
    room = first
    for word in words:
        length = size(word)
        if lines[-1] and length + 2 > room:
            lines.append([])
            room = width
        if lines[-1]:
            lines[-1].append(("  ", ""))
            room -= 2
        lines[-1].extend(word)
        room -= length
    return [*lines]
