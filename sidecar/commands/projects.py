"""`cgw projects`: set up who may use this gateway, for what and for how much.

Works on the database itself, whether a sidecar runs or not; one that runs knows of a change within seconds.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.commands.ledger_at_hand import ledger_at_hand
from sidecar.commands.terminal import console, fail, on_a_terminal, say, warn

if TYPE_CHECKING:
    from sidecar.config import Settings
    from sidecar.ledger.money import Spent
    from sidecar.projects.project import Project
    from sidecar.projects.store import ProjectStore

projects = typer.Typer(
    name="projects",
    help="Projects: each with a key, limits and a budget of its own.",
    no_args_is_help=True,
)

WRONG_USAGE = 2
NONE = "none"
HEADINGS = ("project", "key", "rpm", "tpm", "today", "this month", "models")

Name = Annotated[str, typer.Argument(help="Lower case letters, digits, - and _.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]
Rpm = Annotated[
    str | None,
    typer.Option(metavar="N|none|default", help="Requests a minute; `default` is RATE_LIMIT_RPM.", show_default=False),
]
Tpm = Annotated[
    str | None,
    typer.Option(metavar="N|none", help="Tokens a minute, without those from the prompt cache.", show_default=False),
]
DailyBudget = Annotated[str | None, typer.Option(metavar="USD|none", help="Dollars a day, in UTC.", show_default=False)]
MonthlyBudget = Annotated[
    str | None, typer.Option(metavar="USD|none", help="Dollars a month, in UTC.", show_default=False)
]
WarnAt = Annotated[
    int | None, typer.Option(metavar="PERCENT", help="Of a budget: from here on, warn.", show_default=False)
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="MODEL|all",
        help="Only these: an id, a pattern (`claude-haiku-*`) or a line (`haiku`); may be given more than once.",
        show_default=False,
    ),
]
Denied = Annotated[
    list[str] | None,
    typer.Option(
        "--deny",
        metavar="MODEL|none",
        help="Not these, written as for --model; may be given more than once.",
        show_default=False,
    ),
]
DefaultModel = Annotated[
    str | None,
    typer.Option(metavar="MODEL|none", help="For requests that name no model.", show_default=False),
]
On = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SETTING", help="Turn a layer on for this project (`enforce_diff_first`).", show_default=False
    ),
]
Off = Annotated[
    list[str] | None, typer.Option(metavar="SETTING", help="Turn a layer off for this project.", show_default=False)
]
Inherit = Annotated[
    list[str] | None, typer.Option(metavar="SETTING", help="Leave a layer to the gateway again.", show_default=False)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Options as they were written; None where one was not given."""

    rpm: str | None
    tpm: str | None
    daily_budget: str | None
    monthly_budget: str | None
    warn_at: int | None
    model: list[str] | None
    deny: list[str] | None
    default_model: str | None
    on: list[str] | None
    off: list[str] | None
    inherit: list[str] | None = None

    def applied_to(self, project: Project) -> Project:
        """Raises ValueError, one sentence."""
        from sidecar.projects.project import micros_of_usd

        values: dict[str, Any] = {}
        if self.rpm is not None:
            values["rpm"] = None if self.rpm == "default" else 0 if self.rpm == NONE else _count("--rpm", self.rpm)
        if self.tpm is not None:
            values["tpm"] = None if self.tpm == NONE else _count("--tpm", self.tpm)
        for option in ("daily_budget", "monthly_budget"):
            if (written := getattr(self, option)) is not None:
                values[option] = None if written == NONE else micros_of_usd(written)
        if self.warn_at is not None:
            values["warn_percent"] = self.warn_at
        return replace(project, **values, policy=replace(project.policy, **self._policy(project)))

    def _policy(self, project: Project) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if self.model is not None:
            values["models"] = () if self.model == ["all"] else tuple(dict.fromkeys(self.model))
        if self.deny is not None:
            values["denied"] = () if self.deny == [NONE] else tuple(dict.fromkeys(self.deny))
        if self.default_model is not None:
            values["default_model"] = None if self.default_model == NONE else self.default_model
        kept = {name: on for name, on in project.policy.switches.items() if name not in _fields(self.inherit)}
        values["switches"] = kept | dict.fromkeys(_fields(self.on), True) | dict.fromkeys(_fields(self.off), False)
        return values


def _fields(settings: list[str] | None) -> list[str]:
    """Settings may be written as in the environment."""
    return [setting.lower() for setting in settings or ()]


def _count(option: str, written: str) -> int:
    if not written.isdecimal() or int(written) == 0:
        raise ValueError(f"{option} {written}: it is a whole number above 0, or `none`.")
    return int(written)


@projects.command()
def add(
    name: Name,
    rpm: Rpm = None,
    tpm: Tpm = None,
    daily_budget: DailyBudget = None,
    monthly_budget: MonthlyBudget = None,
    warn_at: WarnAt = None,
    model: Models = None,
    deny: Denied = None,
    default_model: DefaultModel = None,
    on: On = None,
    off: Off = None,
    as_json: AsJson = False,
) -> None:
    """Set up a project and show its key, this once."""
    changes = Changes(
        rpm=rpm,
        tpm=tpm,
        daily_budget=daily_budget,
        monthly_budget=monthly_budget,
        warn_at=warn_at,
        model=model,
        deny=deny,
        default_model=default_model,
        on=on,
        off=off,
    )
    with _opened() as desk:
        from sidecar.projects.project import Project

        key = desk.store.add(changes.applied_to(Project(name=name)))
        if as_json:
            typer.echo(json.dumps(desk.as_json(desk.store.get(name)) | {"key": key}))
            return
        say(f"Project {name} is set up. Its key, which is shown only now:\n\n  {key}\n")
        desk.hint()


@projects.command("list")
def list_projects(as_json: AsJson = False) -> None:
    """All projects, what they may and what they spent."""
    with _opened() as desk:
        found = [stored.project for stored in desk.store.all()]
        if as_json:
            typer.echo(json.dumps([desk.as_json(project) for project in found]))
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in HEADINGS:
            table.add_column(heading, no_wrap=heading != "models")
        for project in found:
            table.add_row(*desk.row(project))
        console().print(table)
        desk.hint()


@projects.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """One project."""
    with _opened() as desk:
        _show(desk, desk.store.get(name), as_json)


@projects.command("set")
def set_project(
    name: Name,
    rpm: Rpm = None,
    tpm: Tpm = None,
    daily_budget: DailyBudget = None,
    monthly_budget: MonthlyBudget = None,
    warn_at: WarnAt = None,
    model: Models = None,
    deny: Denied = None,
    default_model: DefaultModel = None,
    on: On = None,
    off: Off = None,
    inherit: Inherit = None,
    as_json: AsJson = False,
) -> None:
    """Change a project; what is not given stays. `default` can be changed too, and needs no ENABLE_MULTI_PROJECT."""
    changes = Changes(
        rpm=rpm,
        tpm=tpm,
        daily_budget=daily_budget,
        monthly_budget=monthly_budget,
        warn_at=warn_at,
        model=model,
        deny=deny,
        default_model=default_model,
        on=on,
        off=off,
        inherit=inherit,
    )
    with _opened() as desk:
        _show(desk, desk.store.edit(name, changes.applied_to), as_json)


@projects.command()
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Remove a project and its key. What it used stays in the ledger."""
    with _opened() as desk:
        desk.store.get(name)
        if not yes:
            if not on_a_terminal():
                fail(f"Removing {name} cannot be undone: add --yes.", WRONG_USAGE)
            typer.confirm(f"Remove project {name} and its key? Its usage stays in the ledger.", abort=True)
        desk.store.remove(name)
        say(f"Project {name} is removed.")


@projects.command("rotate-key")
def rotate_key(name: Name, as_json: AsJson = False) -> None:
    """Give a project a new key, show it this once, and end the old one."""
    with _opened() as desk:
        key = desk.store.rotate_key(name)
        if as_json:
            typer.echo(json.dumps(desk.as_json(desk.store.get(name)) | {"key": key}))
            return
        say(f"The old key of {name} opens nothing any more. The new one, which is shown only now:\n\n  {key}\n")


class Desk:
    """The store, and how projects are told to a reader."""

    def __init__(self, store: ProjectStore, settings: Settings, spending: dict[str, tuple[Spent, Spent]]) -> None:
        self.store = store
        self._settings = settings
        self._spending = spending
        """Today and this month."""

    def as_json(self, project: Project) -> dict[str, Any]:
        """Dollars as exact decimals in text, None for no limit."""
        from sidecar.ledger.money import PICOS_PER_MICRO, usd_text

        def budget(micros: int | None) -> str | None:
            return None if micros is None else usd_text(micros * PICOS_PER_MICRO)

        today, month = self._spending[project.name]
        return {
            "name": project.name,
            "key_last4": project.key_last4,
            "rpm": self._rpm(project),
            "tpm": project.tpm,
            "daily_budget_usd": budget(project.daily_budget),
            "monthly_budget_usd": budget(project.monthly_budget),
            "warn_percent": project.warn_percent,
            "spent_today_usd": usd_text(today.picos),
            "spent_this_month_usd": usd_text(month.picos),
            "spending_estimated": month.estimated,
            "models": list(project.policy.models),
            "denied": list(project.policy.denied),
            "default_model": project.policy.default_model,
            "switches": dict(project.policy.switches),
            "created_at": project.created_at.isoformat() if project.created_at else None,
        }

    def row(self, project: Project) -> tuple[str, ...]:
        today, month = self._spending[project.name]
        return (
            project.name,
            f"...{project.key_last4}" if project.key_last4 else "gateway's",
            _number(self._rpm(project)),
            _number(project.tpm),
            _spent(today, project.daily_budget),
            _spent(month, project.monthly_budget),
            ", ".join([*project.policy.models, *(f"not {model}" for model in project.policy.denied)]) or "all",
        )

    def hint(self) -> None:
        if not self._settings.enable_multi_project:
            warn(["ENABLE_MULTI_PROJECT is off: start cgw with ENABLE_MULTI_PROJECT=1 to let projects in."])

    def _rpm(self, project: Project) -> int | None:
        return self._settings.rate_limit_rpm if project.rpm is None else project.rpm or None


def _show(desk: Desk, project: Project, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(desk.as_json(project)))
        return
    policy = project.policy
    lines = [
        *zip(HEADINGS, desk.row(project), strict=True),
        ("default model", policy.default_model or NONE),
        ("warning at", f"{project.warn_percent} % of a budget"),
        *((name, "on" if on else "off") for name, on in policy.switches.items()),
    ]
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for line in lines:
        table.add_row(*line)
    console().print(table)


def _number(limit: int | None) -> str:
    return NONE if limit is None else f"{limit:,}"


def _spent(spent: Spent, budget: int | None) -> str:
    from sidecar.ledger.money import PICOS_PER_MICRO, dollars

    return str(spent) + ("" if budget is None else f" of {dollars(budget * PICOS_PER_MICRO)}")


@contextmanager
def _opened() -> Iterator[Desk]:
    """What no project can be ends the command with its sentence."""
    with ledger_at_hand() as (database, settings):
        from sidecar.ledger.money import Spent
        from sidecar.ledger.queries import spent_by_day
        from sidecar.projects.store import ProjectStore

        today = datetime.now(UTC).date()
        spending: dict[str, tuple[Spent, Spent]] = defaultdict(lambda: (Spent(), Spent()))
        for (name, day), spent in spent_by_day(database, since=today.replace(day=1)).items():
            of_day, of_month = spending[name]
            spending[name] = (spent if day == today else of_day, Spent.together((of_month, spent)))
        try:
            yield Desk(ProjectStore(database), settings, spending)
        except ValueError as error:
            fail(str(error), WRONG_USAGE)
