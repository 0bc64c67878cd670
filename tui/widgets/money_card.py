"""What was saved in a span of time, in large digits, and what was spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Digits, Static

from tui.text import dollars, meter, percent


class MoneyCard(Vertical):
    DEFAULT_CSS = """
    MoneyCard {
        width: 1fr;
        height: auto;
        padding: 0 1;
        border: round $foreground 25%;
        border-title-color: $primary;
    }
    MoneyCard Digits { width: 1fr; color: $success; text-style: bold; }
    MoneyCard.-lost Digits { color: $error; }
    MoneyCard .share { width: 1fr; height: 1; }
    MoneyCard .spent { width: 1fr; height: 1; color: $foreground 80%; }
    """

    def __init__(self, title: str, span: str) -> None:
        """`span` is its name in the sidecar's overview: `today`, `week`, `month`."""
        super().__init__()
        self.border_title = title
        self.span = span

    def compose(self) -> ComposeResult:
        yield Digits("$0.00")
        yield Static(classes="share", markup=False)
        yield Static(classes="spent", markup=False)

    def tell(self, sums: Mapping[str, Any]) -> None:
        """The sums of its span."""
        saved, cost, baseline = sums["saved_picos"], sums["cost_picos"], sums["baseline_picos"]
        lost = saved < 0
        self.set_class(lost, "-lost")
        digits, amount = self.query_one(Digits), dollars(saved)
        if digits.value != amount:
            digits.update(amount)
        share = f"{percent(abs(saved), baseline)}{' LOST' if lost else ''}"
        width = max(4, self.size.width - len(share) - 5)
        colour = self.app.theme_variables["error" if lost else "success"]
        told = Text(meter(abs(saved) / baseline if baseline else 0.0, width), style=colour)
        self.query_one(".share", Static).update(told.append(f" {share}", style="bold"), layout=False)
        said = Text(f"{share} · " if self.screen.has_class("-short") else "")
        said.append(f"{dollars(cost)} spent")
        if not self.screen.has_class("-short") and baseline:
            said.append(f" of {dollars(baseline)}", style="dim")
        self.query_one(".spent", Static).update(said, layout=False)
