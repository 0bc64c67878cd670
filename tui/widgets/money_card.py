"""What was saved in a span of time, in large digits, and what was spent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tui.drawing import Line, boxed, large
from tui.text import dollars, meter, percent


def money_card(title: str, sums: Mapping[str, Any] | None, width: int, *, short: bool) -> list[Line]:
    """A box of seven lines, or six in a short terminal; without figures until there are some."""
    saved, cost, baseline = (sums[name] if sums else 0 for name in ("saved_picos", "cost_picos", "baseline_picos"))
    lost, estimated = saved < 0, sums["estimated"] if sums else 0
    colour = "error" if lost else "success"
    share = f"{percent(abs(saved), baseline)}{' LOST' if lost else ''}"
    spent = f"{dollars(cost, estimated=estimated)} spent" if sums else "..."
    lines: list[Line] = [
        [(line, f"bold {colour}")] for line in large(dollars(saved, estimated=estimated) if sums else "$")
    ]
    if short:
        lines.append([(f"{share} · {spent}", "")])
    else:
        filled = meter(abs(saved) / baseline if baseline else 0.0, max(4, width - 5 - len(share)))
        lines.append([(filled, colour), (f" {share}", "bold")])
        lines.append([(spent, ""), (f" of {dollars(baseline, estimated=estimated)}" if baseline else "", "dim")])
    return boxed(title, lines, width, len(lines) + 2)
