"""What the tabs of a request's detail say, as text. Pure: an exchange as the sidecar tells it in, lines out.

Signs carry what colours say: `-` and `+` in a difference, `!` before a warning.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from tui.request_row import RequestRow
from tui.text import NONE, UNSEEN, bar, day_and_clock, dollars, milliseconds, percent, tokens

Json = Mapping[str, Any]
Colours = Mapping[str, str]

FIRST_OF_RUN: Final = 8
LAST_OF_RUN: Final = 2
"""Lines that are shown of a long passage that was removed; the tabs Client and Sent have all of it."""
CONTEXT: Final = 2
TIMING_WIDTH: Final = 34
"""Of a line of the waterfall without its bar."""
BILL_WIDTH: Final = 52
"""Of a line of the bill without its amount."""
_UNWRITABLE: Final = re.compile(f"[{UNSEEN}\ud800-\udfff]")
"""What steers a terminal and JSON need not escape, and halves of characters, which no file takes."""


def pretty(body: str) -> str:
    """JSON with a line a value; anything else as it is. What could steer a terminal stays escaped."""
    try:
        told = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body
    return _UNWRITABLE.sub(lambda found: json.dumps(found[0])[1:-1], told)


def card(row: RequestRow, colours: Colours) -> Text:
    """A request at one glance: its head, and which layers saved or cost what."""
    told = summary(row, colours)
    told.no_wrap, told.overflow = True, "ellipsis"
    if row.saved_by:
        told.append("\n")
    for layer, picos in sorted(row.saved_by.items(), key=lambda one: -abs(one[1])):
        told.append(f"{layer.replace('_', ' ')} ", style="dim")
        told.append(
            f"{dollars(picos, sign=True, estimated=row.estimated)}  ",
            style=colours["success" if picos >= 0 else "error"],
        )
    return told


def summary(row: RequestRow, colours: Colours) -> Text:
    """The head of a detail: two lines."""
    told = Text()
    told.append(f"{row.status or row.state} ", style=f"bold {colours['success' if row.state == 'ok' else 'warning']}")
    asked = f"{row.model_asked} → {row.model}" if row.model_asked != row.model else row.model
    told.append(f"{asked}", style="bold")
    told.append(f"  {row.client} · {row.project} · {row.dialect.replace('_', ' ')} · {day_and_clock(row.time)}", "dim")
    if row.cache == "HIT":
        told.append("\nanswered from cgw's response cache, without Claude")
    else:
        told.append(f"\nin {tokens(row.prompt_tokens)} ({tokens(row.cache_read_tokens)} from cache)")
        if row.removed_tokens:
            told.append(f", {tokens(row.removed_tokens)} removed")
        told.append(f" · out {tokens(row.output_tokens)}")
    told.append(f" · {dollars(row.cost_picos, estimated=row.estimated)}")
    if row.saved_picos:
        good = row.saved_picos > 0
        word = "saved" if good else "lost"
        saved = dollars(abs(row.saved_picos), estimated=row.estimated)
        told.append(f" · {word} {saved}", style=colours["success" if good else "error"])
    told.append(f" · first {milliseconds(row.first_byte_ms)} · whole {milliseconds(row.duration_ms)}")
    if row.miss is not None:
        told.append(f"\n! cache missed: {miss_line(row)}", style=colours["error" if row.miss.ours else "warning"])
    if row.error:
        told.append(f"\n! {row.error}", style=colours["error"])
    return told


def miss_line(row: RequestRow) -> str:
    """`cgw itself: 41,200 tokens, $0.26: the cache was ...`."""
    miss = row.miss
    if miss is None:
        return ""
    whose = "cgw itself: " if miss.ours else ""
    return f"{whose}{miss.tokens:,} tokens, {dollars(miss.cost_picos)}: {miss.cause}"


def difference(edits: Sequence[Json], same: bool, colours: Colours) -> Text:
    """Every edit, named and priced."""
    told = Text()
    if not edits:
        return told.append(
            "Byte for byte what the client sent."
            if same
            else "No layer changed what it says: only its form is another (dialect, model, cache marks)."
        )
    for edit in edits:
        told.append(f"{edit['layer'].replace('_', ' ')}", style=f"bold {colours['primary']}")
        told.append(f"  {edit['where']}  ")
        removed, saved = edit["removed_tokens"], edit["saved_picos"]
        told.append(f"{tokens(removed)} tokens fewer" if removed >= 0 else f"{tokens(-removed)} tokens more")
        if saved is not None:
            good = saved >= 0
            told.append(
                f" · {'saves' if good else 'costs'} {dollars(abs(saved))} here", colours["success" if good else "error"]
            )
        told.append("" if edit["new"] else "  (since an earlier turn)", style="dim")
        told.append("\n")
        told.append(_changes(edit["before"], edit["after"], colours))
        told.append("\n")
    return told


def _changes(before: str, after: str, colours: Colours) -> Text:
    told = Text()
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=CONTEXT, lineterm=""))[2:]
    for line in _folded(lines):  # the first two name files that there are not
        style = {"-": colours["error"], "+": colours["success"]}.get(line[:1], "dim" if line[:1] in "@." else "")
        told.append(f"{line}\n", style=style)
    return told


def _folded(lines: Sequence[str]) -> Iterator[str]:
    """Long runs of lines that are all removed, or all added, without their middle."""
    for sign, run in itertools.groupby(lines, key=lambda line: line[:1]):
        alike = list(run)
        left_out = len(alike) - FIRST_OF_RUN - LAST_OF_RUN
        if sign in "+-" and left_out > 1:
            yield from alike[:FIRST_OF_RUN]
            yield f"... {left_out:,} more lines {'removed' if sign == '-' else 'added'}"
            yield from alike[-LAST_OF_RUN:]
        else:
            yield from alike


def decisions(row: RequestRow, made: Sequence[Json], notes: Sequence[Json], colours: Colours) -> Text:
    """Where it went and what was decided for it, each with its numbers, then what could not be passed on as it was
    written."""
    told = Text()
    told.append("model: ", style=f"bold {colours['primary']}")
    told.append(f"{row.model_asked or 'none'} was asked for, {row.model} answered" if row.model else row.model_asked)
    told.append(f"\n    {row.route_reason or 'not routed'}\n", style="dim")
    if row.miss is not None:
        told.append("cache missed: ", style=f"bold {colours['error' if row.miss.ours else 'warning']}")
        told.append(f"{miss_line(row)}\n")
    for one in made:
        told.append(f"{one['layer'].replace('_', ' ')}: ", style=f"bold {colours['primary']}")
        told.append(one["said"])
        numbers = ", ".join(_number(name, value) for name, value in one["numbers"].items())
        told.append(f"\n    {numbers}" if numbers else "", style="dim")
        told.append("\n")
    if not made:
        told.append("No layer had anything to decide.\n", style="dim")
    for note in notes:
        told.append(f"\n{note['action']} ", style=colours["warning"])
        told.append(f"{note['field']}")
        told.append(f": {note['detail']}" if note["detail"] else "")
    return told


def _number(name: str, value: float | str) -> str:
    """`cost $0.1200`, `new tokens 114`, `pause chance 30%`."""
    about = name.removesuffix("_micro_usd").replace("_", " ")
    if not isinstance(value, int | float):
        return f"{about} {value}"
    if name.endswith("_micro_usd"):
        return f"{about} {dollars(round(value * 1_000_000))}"
    if name.endswith("_chance"):
        return f"{about} {percent(value, 1)}"
    return f"{about} {value:,.1f}" if isinstance(value, float) else f"{about} {value:,}"


def answer(message: Json | None, colours: Colours) -> Text:
    """Text, thinking and calls, each under its name."""
    if message is None:
        return Text("There is no answer.", style="dim")
    told = Text()
    for block in message.get("content") or ():
        kind = block.get("type")
        if kind == "text":
            told.append(f"{block['text']}\n\n")
        elif kind == "thinking":
            told.append("thinking\n", style=f"bold {colours['secondary']}")
            told.append(f"{block.get('thinking') or '(only its signature came)'}\n\n", style="dim")
        elif kind == "redacted_thinking":
            told.append("thinking that only Claude can read\n\n", style=f"bold {colours['secondary']}")
        elif kind in {"tool_use", "server_tool_use"}:
            told.append(f"→ {block.get('name')} ", style=f"bold {colours['accent']}")
            told.append(f"{json.dumps(block.get('input'), indent=2, ensure_ascii=False)}\n\n")
        else:
            told.append(f"{json.dumps(block, indent=2, ensure_ascii=False)}\n\n")
    return told.append(f"stopped: {message.get('stop_reason') or 'broke off'}", style="dim")


def timing(stretches: Sequence[Json], row: RequestRow, colours: Colours, width: int) -> Text:
    """A waterfall in lines of so many cells."""
    room = max(16, width - TIMING_WIDTH)
    end = max((stretch["end_ms"] for stretch in stretches), default=0) or 1
    told = Text()
    for stretch in stretches:
        start, length = stretch["start_ms"], stretch["end_ms"] - stretch["start_ms"]
        lead = min(room - 1, int(room * start / end))
        told.append(f"{stretch['name']:<22}")
        told.append(" " * lead)
        filled = bar(length * room / end / (room - lead), room - lead).rstrip() or "▏"
        told.append(filled.ljust(room - lead), style=colours["accent" if "cgw" in stretch["name"] else "primary"])
        told.append(f" {milliseconds(length):>7}\n")
    told.append(f"\ncgw's own part: {milliseconds(row.overhead_ms)}", style="dim")
    if row.retries:
        told.append(f"\nasked again {row.retries} times", style=colours["warning"])
    return told


def cost(sheet: Json | None, colours: Colours) -> Text:
    """The bill line by line, and who made the difference."""
    if sheet is None:
        return Text("Nothing was billed.", style="dim")
    told = Text()
    told.append(f"{sheet['model']}\n\n", style="bold")
    for line in sheet["lines"]:
        a_million = dollars(line["picos_per_token"] * 1_000_000)
        told.append(f"{line['what']:<16}{line['tokens']:>12,}")
        told.append(f"{f'at {a_million} a million':>24}", style="dim")
        told.append(f"{dollars(line['picos']):>12}\n")
    estimated = sheet["estimated"]
    mark = "  (estimated)" if estimated else ""
    told.append(f"{'bill':<{BILL_WIDTH}}{dollars(sheet['total_picos'], estimated=estimated):>12}{mark}\n", style="bold")
    told.append(f"{'without cgw':<{BILL_WIDTH}}{dollars(sheet['baseline_picos'], estimated=estimated):>12}\n\n")
    for layer, saved in sheet["saved_by"].items():
        told.append(f"{layer.replace('_', ' '):<{BILL_WIDTH}}")
        amount = dollars(saved, sign=True, estimated=estimated)
        told.append(f"{amount:>12}\n", style=colours["success" if saved >= 0 else "error"])
    saved = sheet["baseline_picos"] - sheet["total_picos"]
    share = percent(abs(saved), sheet["baseline_picos"])
    return told.append(f"\n{share} {'less' if saved >= 0 else 'more'} than without" if share != NONE else "")


def headers(found: Json, colours: Colours) -> Text:
    """Those of the client and those of Claude's answer, secrets masked."""
    told = Text()
    for title, lines in _headers(found):
        told.append(f"{title}\n", style=f"bold {colours['primary']}")
        told.append("" if lines else "  none\n", style="dim")
        for name, value in lines.items():
            told.append(f"  {name}: ", style="dim")
            told.append(f"{value}\n")
        told.append("\n")
    return told


def _headers(found: Json) -> Iterator[tuple[str, Mapping[str, str]]]:
    client, upstream = found["client"], found["upstream"]
    yield f"From the client: {client['method']} {client['path']}", client["headers"]
    yield f"Passed on to {upstream['url']}, beside cgw's own credential and API version", upstream["headers"]
    yield "From Claude", found["answer_headers"]
