"""The help of `cgw`: plain text, for drawing boxes would take as long as everything else together."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

LONGEST = 1_000
"""Characters of a command's line of help: all of it, wrapped and not cut."""


class Commands(TyperGroup):
    """Commands by their panel, in the order in which the panels first come."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                panel = getattr(command, "rich_help_panel", None)
                rows = panels.setdefault(panel if isinstance(panel, str) else "Commands", [])
                rows.append((name, command.get_short_help_str(LONGEST)))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)
