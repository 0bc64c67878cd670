"""Numbers as people read them. Pure; everything fits a column and reads without colour."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from rich.cells import cell_len, set_cell_size

PICOS_PER_CENT: Final = 10_000_000_000
PICOS_PER_DOLLAR: Final = 100 * PICOS_PER_CENT
NONE: Final = "-"
UNSEEN: Final = (
    "\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
"""Characters that are not seen and do something: control characters behind ASCII's, format characters, those that turn
the direction of writing. For a class of a regular expression."""

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
BAR: Final = "█"
BAR_PARTS: Final = " ▏▎▍▌▋▊▉█"


def dollars(picos: int, *, sign: bool = False, estimated: object = False) -> str:
    """`$0.0042`, `$1.23`, `$1,234`, `<$0.0001`: as many digits as matter, in at most nine characters. With `sign` also
    a plus; `~$0.0042` where it is `estimated`, or a part of it."""
    amount = abs(picos) / PICOS_PER_DOLLAR
    before = ("~" if estimated else "") + ("-" if picos < 0 else "+" if sign and picos > 0 else "")
    if not picos:
        text = "0.00"
    elif amount >= 1000:
        text = f"{amount:,.0f}"
    elif amount >= 0.995:
        text = f"{amount:,.2f}"
    elif amount >= 0.00005:
        text = f"{amount:.4f}"
    else:
        return f"{before}$0.0000" if estimated else f"{before}<$0.0001"
    return f"{before}${text}"


def tokens(count: int) -> str:
    """`812`, `41.2k`, `3.4M`."""
    size = abs(count)
    sign = "-" if count < 0 else ""
    for limit, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if size >= limit * 0.9995:
            scaled = size / limit
            return f"{sign}{scaled:.0f}{unit}" if scaled >= 99.95 else f"{sign}{scaled:.1f}{unit}"
    return f"{sign}{size}"


def milliseconds(value: float | None) -> str:
    """`87ms`, `1.24s`, `2m05s`."""
    if value is None:
        return NONE
    if value < 999.5:
        return f"{value:.0f}ms"
    if value < 59_950:
        return f"{value / 1000:.2f}s" if value < 9_995 else f"{value / 1000:.1f}s"
    whole = round(value / 1000)
    return f"{whole // 60}m{whole % 60:02}s"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 07 s`, `2 h 05 min`, `3 d 4 h`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole // 60 % 60:02} min"
    return f"{whole // 86_400} d {whole // 3600 % 24} h"


def clock(moment: float) -> str:
    """The local time of day of an epoch second."""
    return time.strftime("%H:%M:%S", time.localtime(moment))


def day_and_clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).astimezone().strftime("%m-%d %H:%M")


def moment(epoch: float, span: float) -> str:
    """When, as exactly as matters in a span of so many seconds: `12:04:10`, `12:04`, `11-22`."""
    form = "%H:%M:%S" if span < 600 else "%H:%M" if span < 2 * 86_400 else "%m-%d"
    return datetime.fromtimestamp(epoch).astimezone().strftime(form)


def today() -> str:
    """`today`, and whose day that is where it is not the user's: the ledger's days are those of UTC."""
    return "today, UTC" if time.localtime().tm_gmtoff else "today"


def ago(seconds: float) -> str:
    """`now`, `42 s ago`, `3 min ago`."""
    if seconds < 1:
        return "now"
    return f"{duration(seconds).partition(' min')[0] + ' min' if 60 <= seconds < 3600 else duration(seconds)} ago"


def percent(part: float, whole: float) -> str:
    """`-` of nothing."""
    if not whole:
        return NONE
    value = 100 * part / whole
    return f"{value:.0f}%" if abs(value) >= 9.95 or not value else f"{value:.1f}%"


def bar(share: float, width: int) -> str:
    """A bar of `width` cells filled to `share` (0 to 1), to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return (BAR * full + (BAR_PARTS[rest] if rest else "")).ljust(width)


def meter(share: float, width: int) -> str:
    """How much of something is used, as a line: heavy as far as it is, light behind."""
    filled = min(width, max(round(share * width), share > 0))
    return "━" * filled + "─" * (width - filled)


def sparkline(values: list[float] | list[int], width: int) -> str:
    """The newest `width` values, scaled to the largest; one that is not 0 is always seen."""
    shown = values[-width:]
    top = max(shown, default=0)
    if top <= 0:
        return BLOCKS[1] * len(shown)
    return "".join(BLOCKS[max(1, round(8 * value / top))] if value > 0 else BLOCKS[1] for value in shown)


def cut(text: str, width: int) -> str:
    """On one line of at most `width` characters, with a mark where something is missing."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"


def fit(text: str, width: int, *, right: bool = False) -> str:
    """Exactly so many cells on a screen, however wide its characters are; cut with a mark, or filled with blanks."""
    line = text if text.isascii() and text.isprintable() and "  " not in text else " ".join(text.split())
    if (size := len(line) if line.isascii() else cell_len(line)) > width:
        line = f"{set_cell_size(line, width - 1)}…" if width else ""
        size = width
    return " " * (width - size) + line if right else line + " " * (width - size)
