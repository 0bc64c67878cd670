"""How a reference says where lines stand: the file and its lines where an envelope or a call tells them.

Envelopes only name; what is the same is found line by line. Sources: the tools' own sources.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import Final, NamedTuple

from sidecar.references.reading import Reading
from sidecar.references.sources import Source

LONGEST_PATH: Final = 32
"""Characters of a path that are shown: its end."""
LONGEST_LINE: Final = 14
"""Characters of a line that are shown: its beginning."""


class Envelope(NamedTuple):
    """What begins a file inside a text, and what ends it. Groups: `path`, and `line` where the first line is told."""

    opening: re.Pattern[str]
    closing: str
    tells: tuple[str, ...]
    """One of these is in every opening: most texts have none, and need not be searched."""


def _envelope(opening: str, closing: str, *tells: str) -> Envelope:
    return Envelope(re.compile(rf"(?m)^{opening}$"), closing, tells)


ENVELOPES: Final = (
    _envelope(r'<(?:final_)?file_content path="(?P<path>[^"\n]+)"[^\n>]*>', "</", 'file_content path="'),  # Cline
    _envelope(r"<path>(?P<path>[^<\n]+)</path>\n<content>", "</content>", "<path>"),  # Cline's own calls
    _envelope(
        r"<path>(?P<path>[^<\n]+)</path>\n<type>file</type>\n<content>", "</content>", "<path>"
    ),  # opencode, Kilo
    _envelope(
        r'<code_selection path="(?P<path>[^"\n]+)" lines="(?P<line>\d+)-\d+">', "</code_selection>", "<code_selection"
    ),  # Cursor
    _envelope(
        r'<attachment [^\n>]{0,400}?filePath="(?P<path>[^"\n]{1,1000})"[^\n>]*+>', "</attachment>", 'filePath="'
    ),  # Copilot
    _envelope(r"`{3,}path=(?P<path>[^\s,`]+)(?:, lines=(?P<line>\d+)-\d+)?", "```", "```path="),  # Cursor until 2024
    _envelope(r"`{3,}(?P<line>\d+):\d+:(?P<path>[^\s`]+)", "```", "```"),  # Cursor's citations
    _envelope(
        r"`{3,}(?:[\w+-]+ )?(?P<path>[^\s`(:]*/[^\s`(:]+)(?: \((?P<line>\d+)-\d+\)|:(?P<from>\d+)-\d+)?",
        "```",
        "```",
    ),  # Continue, Zed
    _envelope(
        r"File: `?(?P<path>[^\n`]+?)`?(?:\. Lines (?P<line>\d+) to [^\n]*)?", "\nFile: ", "File: "
    ),  # Roo, Copilot
    _envelope(
        r"\[File: (?P<path>[^\n]+) \(\d+ lines total\)\](?:\n\(\d+ more lines above\))?",
        "\n(Open file: ",
        "[File: ",
    ),  # SWE-agent
    _envelope(r"[^\n]*result of running `cat -n` on (?P<path>[^\n:]+):?", "\0", "`cat -n`"),  # SWE-agent, OpenHands
    _envelope(r"(?P<path>[\w./\\-]+\.\w+)\n(?:`{3,}|<source>)", "```", "\n```", "\n<source>"),  # aider
)


TELLS: Final = tuple(
    tell
    for tell in {tell: None for envelope in ENVELOPES for tell in envelope.tells}
    if not any(other in tell for envelope in ENVELOPES for other in envelope.tells if other != tell)
)
"""Texts without one of these show no file."""


class Shown(NamedTuple):
    """A file, or a part of one, that a text shows."""

    start: int
    """Offset behind its opening."""
    path: str
    line: int
    """Number in the file of the line behind the opening."""
    closing: str


def where(source: Source, first: int, count: int) -> str:
    """`src/app.py:12-56`, or what the text is called where no file is known."""
    path, line = _file(source, first)
    if path is None:
        return source.origin.called
    numbers = _numbers(source.reading, first, count) or (line and (line, line + count - 1))
    return f"{short_path(path)}:{numbers[0]}-{numbers[1]}" if numbers else short_path(path)


def short_path(path: str) -> str:
    """The end of a path, from a folder on."""
    if len(path) <= LONGEST_PATH:
        return path
    end = path[-LONGEST_PATH:]
    cut = max(end.find("/"), end.find("\\"))
    return f"…{end[cut:] if 0 <= cut < LONGEST_PATH - 1 else end}"


def short_line(key: str) -> str:
    """The beginning of a line, for a reader to find it by."""
    words = " ".join(key.split())
    return words if len(words) <= LONGEST_LINE else words[:LONGEST_LINE].rstrip() + "…"


def _file(source: Source, first: int) -> tuple[str | None, int]:
    """The file that a line stands in, and its number there; 0 where it is not known."""
    reading = source.reading
    offset = reading.starts[first]
    envelopes = shown_files(source.text)
    nearest = bisect_right(envelopes, offset, key=lambda one: one.start) - 1
    if nearest >= 0:
        shown = envelopes[nearest]
        if shown.closing not in source.text[shown.start : offset]:
            body = bisect_right(reading.starts, shown.start)
            return shown.path, max(0, shown.line + first - body)
    return source.origin.path, source.origin.line + first if source.origin.path is not None else 0


def shown_files(text: str) -> list[Shown]:
    """The files that a text shows, in order."""
    for tell in TELLS:
        if tell in text:
            return _searched(text)
    return []


@lru_cache(maxsize=256)
def _searched(text: str) -> list[Shown]:
    shown = []
    for envelope in ENVELOPES:
        if not any(tell in text for tell in envelope.tells):
            continue
        for found in envelope.opening.finditer(text):
            groups = found.groupdict()
            line = int(groups.get("line") or groups.get("from") or 1)
            shown.append(Shown(found.end(), found["path"], line, envelope.closing))
    return sorted(shown)


def _numbers(reading: Reading, first: int, count: int) -> tuple[int, int] | None:
    """The numbers that the lines carry themselves."""
    stretch = reading.stretches[bisect_right(reading.stretches, first, key=lambda one: one.first) - 1]
    if stretch.form.numbering is None or first + count > stretch.end:
        return None
    start = stretch.form.numbering.start + first - stretch.first
    return start, start + count - 1
