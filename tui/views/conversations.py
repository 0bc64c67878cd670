"""Conversations: how their prompts grow, and where Claude's cache did not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui.shapes import CONVERSATIONS
from tui.text import day_and_clock, dollars, sparkline, tokens
from tui.widgets.line_table import Cell
from tui.widgets.request_columns import short_model
from tui.widgets.table_view import TableColumn, TableView, column

Json = Mapping[str, Any]
GROWTH_WIDTH = 16


def _misses(line: Json) -> Cell:
    """Those that cgw caused are said first, with a sign."""
    if line["ours"]:
        return f"! {line['ours']} ours, {line['misses']}", "error"
    return (str(line["misses"]), "warning") if line["misses"] else ("-", "dim")


def _cost(line: Json) -> str:
    return dollars(line["cost_picos"], estimated=line["estimated"])


def _saved(line: Json) -> Cell:
    saved = line["saved_picos"]
    return dollars(saved, sign=True, estimated=line["estimated"]), "success" if saved >= 0 else "error"


class Conversations(TableView):
    HINT = "Each conversation with its prompt's growth and its cache. Enter shows every turn, and why a cache missed."
    NAME = "conversations"
    NOTHING = "No conversations yet: they come with the first request of a tool."
    COLUMNS = (
        column("Last", "last", day_and_clock, "dim"),
        column("Client", "client"),
        column("Project", "project", wide=True),
        column("Model", "model", short_model, wide=True),
        column("Turns", "turns", "{:,}".format, right=True),
        column("Prompt", "prompt_tokens", tokens, right=True),
        column("Growth", "growth", lambda growth: sparkline(growth, GROWTH_WIDTH), "primary", wide=True),
        column("Reads", "reads", "{:,}".format, right=True, wide=True),
        TableColumn("Misses", _misses, ("misses", "ours"), right=True),
        TableColumn("Cost", _cost, ("cost_picos", "estimated"), right=True),
        TableColumn("Saved", _saved, ("saved_picos",), right=True),
        column("Conversation", "conversation", str, "dim", wide=True),
    )

    async def fetch(self) -> Sequence[Json]:
        found: Sequence[Json] = (await self.dashboard.client.get("conversations?limit=200", CONVERSATIONS))[
            "conversations"
        ]
        return found

    def key_of(self, line: Json) -> str:
        return str(line["conversation"])

    def chosen(self, line: Json) -> None:
        self.dashboard.open_conversation(line["conversation"])
