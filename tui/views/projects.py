"""Projects: what they used and may use, and which layers act for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.asking import asked
from tui.shapes import PROJECT, PROJECTS
from tui.sidecar_client import SidecarError
from tui.text import dollars, meter, percent
from tui.widgets.line_table import Cell
from tui.widgets.table_view import TableColumn, TableView, column

Json = Mapping[str, Any]
BAR_WIDTH = 10
TODAY = ("spent_today_picos", "daily_budget_picos", "estimated_today")
MONTH = ("spent_month_picos", "monthly_budget_picos", "estimated_month")
NAME_WIDTH = 26
NEXT = {True: False, False: None, None: True}
"""What a switch of a project's own becomes when it is toggled: on, off, as the gateway has it."""


def _budget(spent: str, budget: str, estimated: str) -> Callable[[Json], Cell]:
    def cell(line: Json) -> Cell:
        if not line[budget]:
            return dollars(line[spent], estimated=line[estimated]), ""
        share = line[spent] / line[budget]
        nearly = share >= 0.8
        used = f"{'~' if line[estimated] else ''}{percent(share, 1)}"
        return (
            f"{'! ' if nearly else ''}{meter(share, BAR_WIDTH)} {used} of {dollars(line[budget])}",
            "error" if nearly else "",
        )

    return cell


def _saved(line: Json) -> Cell:
    saved = line["saved_month_picos"]
    return dollars(saved, estimated=line["estimated_month"]), "success" if saved >= 0 else "error"


def _limits(line: Json) -> str:
    return f"{line['rpm'] or '-'} requests, {line['tpm'] or '-'} tokens"


class Projects(TableView):
    HINT = (
        "Usage, limits and budgets; days and months are UTC's. Tab goes to the switches of the chosen project, Space "
        "turns one."
    )
    NAME = "projects"
    NOTHING = "No project is known yet."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "switch", "Switch")]
    DEFAULT_CSS = """
    Projects #switches { height: auto; max-height: 45%; min-width: 10; background: $background; }
    Projects #switches { border: round $foreground 25%; }
    Projects #about { height: 1; padding: 0 1; color: $foreground 70%; }
    """
    COLUMNS = (
        column("Project", "name"),
        column("Key", "key_last4", lambda last4: f"...{last4}" if last4 else "-", wide=True),
        column("Today", "requests_today", "{:,} requests".format, right=True),
        TableColumn("Spent today", _budget(*TODAY), TODAY),
        TableColumn("This month", _budget(*MONTH), MONTH),
        TableColumn("Saved", _saved, ("saved_month_picos",), right=True),
        TableColumn("A minute", _limits, ("rpm", "tpm"), wide=True),
    )

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield Static(id="about", markup=False)
        yield OptionList(id="switches", markup=False)

    async def fetch(self) -> Sequence[Json]:
        found: Sequence[Json] = (await self.dashboard.client.get("projects", PROJECTS))["projects"]
        return found

    def key_of(self, line: Json) -> str:
        return str(line["name"])

    def _draw(self) -> None:
        super()._draw()
        if self.is_mounted:
            self._tell_switches()

    def on_lines_moved(self) -> None:
        self._tell_switches()

    def on_option_list_option_selected(self) -> None:
        self.action_switch()

    def _tell_switches(self) -> None:
        line, options = self.under_cursor, self.query_one("#switches", OptionList)
        if line is None:
            options.clear_options()
            return
        at = options.highlighted
        own = set(line["overridden"])
        options.clear_options()
        for name, on in line["switches"].items():
            said = Text(f"{'[x]' if on else '[ ]'} {name.removeprefix('enable_').replace('_', ' '):<{NAME_WIDTH}}")
            said.append("its own" if name in own else "as the gateway has it", style="dim")
            options.add_option(Option(said, id=name))
        options.highlighted = at if at is not None else 0
        self.query_one("#about", Static).update(
            f"Switches of {line['name']}: Space turns on, off, back to the gateway's"
        )

    @work(exclusive=True, group="switch")
    async def action_switch(self) -> None:
        """On, off, and back to what the gateway has; told at once, and in force for the next request."""
        line, options = self.under_cursor, self.query_one("#switches", OptionList)
        if line is None or options.highlighted is None:
            return
        name = options.get_option_at_index(options.highlighted).id or ""
        own = line["switches"][name] if name in line["overridden"] else None
        wanted = NEXT[own]
        try:
            change = {"switches": {name: wanted}}
            changed = await asked(self, self.dashboard.client.patch(f"projects/{line['name']}", PROJECT, change))
        except SidecarError as error:
            self.app.notify(str(error), severity="error")
            return
        self.replace_line(changed)
        how = "as the gateway has it" if wanted is None else "on" if wanted else "off"
        self.app.notify(f"{line['name']}: {name.replace('_', ' ')} is {how} now.", timeout=3)
