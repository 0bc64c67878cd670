"""What was saved in a span of time, in large digits, and what was spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Digits, Static

from tui.text import dollars, percent


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
    MoneyCard Static { width: 1fr; height: 1; color: $foreground 80%; }
    """

    def __init__(self, title: str, span: str) -> None:
        """`span` is its name in the sidecar's overview: `today`, `week`, `month`."""
        super().__init__()
        self.border_title = title
        self.span = span

    def compose(self) -> ComposeResult:
        yield Digits("$0.00")
        yield Static("", markup=False)

    def tell(self, sums: Mapping[str, Any]) -> None:
        """The sums of its span."""
        saved, cost, baseline = sums["saved_picos"], sums["cost_picos"], sums["baseline_picos"]
        self.set_class(saved < 0, "-lost")
        self.query_one(Digits).update(dollars(saved))
        share = percent(saved, baseline) if saved >= 0 else f"{percent(-saved, baseline)} LOST"
        self.query_one(Static).update(f"{share} · {dollars(cost)} spent")
