"""Every key, the filter language, and what the signs mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.filters import OPERATORS
from tui.views import VIEWS, View
from tui.widgets.request_columns import CACHES, STATES

if TYPE_CHECKING:
    from rich.console import RenderableType

SAID = {
    "running": "runs",
    "ok": "answered",
    "failed": "ended in an error",
    "left": "its client left",
    "unseen": "ended, and its end did not come here",
    "hit": "Claude's cache held what was sent before",
    "partly": "it held a part",
    "miss": "it held nothing: the detail says why",
    "new": "nothing was sent before",
    "none": "too small to be cached",
}

COLUMNS_SAID = {
    "Route": "why this model answered: an alias, a route, a fallback",
    "In": "tokens of the prompt, cached or not; nothing where cgw answered itself",
    "Spared": "what part of them was read from Claude's cache or left out",
    "Cache": "what the caches did; capitals are cgw's own response cache",
    "Saved": "against what the client's own bytes would have cost",
    "First, Took": "time to the first byte, and to the last",
}


class Help(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Close")]
    DEFAULT_CSS = """
    Help > VerticalScroll {
        width: 90%; max-width: 100; height: 90%;
        padding: 1 2; background: $surface; border: round $primary; border-title-color: $primary;
    }
    Help Static { width: 1fr; height: auto; }
    """

    def __init__(self, view: View, before: Screen[Any] | None = None) -> None:
        """`before` is the screen that stands before the view, if one does."""
        super().__init__()
        self._view = view
        self._before = before

    def compose(self) -> ComposeResult:
        with VerticalScroll() as scroll:
            scroll.border_title = "Help"
            for title, content in self._sections():
                yield Static(Text(f"\n{title}", style="bold underline"))
                yield Static(content)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def _sections(self) -> Iterator[tuple[str, RenderableType]]:
        title = next(row.title for row in VIEWS if row.id == self._view.id)
        yield title, Text(self._view.HINT)
        here = (self._view, *self._view.walk_children()) if self._before is None else (self._before,)
        yield "Keys here", _table(_keys(self.app, *here))
        views = [(str(number), f"{row.title}") for number, row in enumerate(VIEWS, start=1)]
        yield "Keys everywhere", _table([*views, *_keys(self.app, self.app), ("Ctrl+P", "Command palette")])
        operators = [(f"~{one.letter} {one.takes}".rstrip(), one.told) for one in OPERATORS]
        signs = [
            ("!  &  |  ( )", "not, and (also a blank), or, grouping"),
            ('word "two words"', "looked for everywhere"),
        ]
        yield "Filter of requests", _table([*operators, *signs])
        yield "Columns", _table(list(COLUMNS_SAID.items()))
        signs = [(sign, SAID[name]) for name, (sign, _) in STATES.items()]
        signs += [(word, f"cache: {SAID[name]}") for name, (word, _) in CACHES.items()]
        signs += [("HIT, join", "cache: answered here, without Claude; joined an equal request")]
        signs += [
            ("OURS!", "cache: cgw itself caused the miss"),
            ("~$", "an estimate, or a sum with estimates in it: cut short, or of a model without a published price"),
            ("200*", "tried again"),
        ]
        yield "Signs", _table(signs)


def _keys(app: App[Any], *nodes: DOMNode) -> Iterator[tuple[str, str]]:
    """Of our own widgets: how to edit a line of text, everybody knows."""
    told = set[str]()
    ours = (one for node in nodes for one in type(node).__mro__ if one.__module__.startswith("tui."))
    for binding in (binding for one in ours for binding in one.__dict__.get("BINDINGS", ())):
        keys = binding.key.split(",")
        if not binding.description or told.intersection((binding.description, *keys)):
            continue
        if binding.action.startswith("view("):
            continue
        told.update((binding.description, *keys))
        shown = [app.get_key_display(replace(binding, key=key)) for key in keys]
        about = f"{binding.description}: {binding.tooltip}" if binding.tooltip else binding.description
        yield " ".join(shown[:1] if binding.key_display else shown), about


def _table(lines: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True, min_width=18)
    table.add_column()
    for line in lines:
        table.add_row(*(Text(part) for part in line))
    return table
