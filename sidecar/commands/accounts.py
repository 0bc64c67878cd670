"""`cgw usage`, `cgw export`, `cgw prices`: what it cost. They read the database itself: no sidecar has to run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.accounts.moments import span
from sidecar.commands.ledger_at_hand import ledger_at_hand
from sidecar.commands.terminal import console, fail, one_sentence, say
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.ledger.queries import ProjectScope

COSTS = "What it costs"

WRONG_USAGE = 2
STDOUT = Path("-")

accounts = typer.Typer()


class Grouping(StrEnum):
    DAY = "day"
    MODEL = "model"
    PROJECT = "project"
    CLIENT = "client"
    LAYER = "layer"


class FileFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="From here on: 7d, 24h, 2026-11-01, 2026-11-01T12:30Z.", show_default=False),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Up to here, itself not included.", show_default=False)]
InProject = Annotated[str | None, typer.Option("--project", help="Only this one.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.", metavar="")]


@accounts.command(rich_help_panel=COSTS)
def usage(
    since: Annotated[str, typer.Option(metavar="TIME", help="From here on: 7d, 24h, 2026-11-01.")] = "7d",
    until: Until = None,
    by: Annotated[Grouping, typer.Option(help="One line for each.")] = Grouping.DAY,
    project: InProject = None,
    holdout: Annotated[
        bool,
        typer.Option("--holdout", help="Instead: what the layers saved, measured against HOLDOUT_PERCENT.", metavar=""),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What was used, what it cost and what was saved."""
    start, end = _span(since, until)
    if holdout:
        _measure(project, start, end, as_json=as_json)
        return
    with ledger_at_hand() as (database, _):
        from sidecar.accounts.usage_report import usage_table
        from sidecar.commands.usage_screen import usage_screen

        found = usage_table(database, by=by.value, project=_scope(project), since=start, until=end)
        if as_json:
            typer.echo(found.as_json())
        elif not found.usage.total.requests:
            of = f" of project {project}" if project else ""
            say(f"No requests{of} in this time. `--since 30d` looks further back.")
        else:
            console().print(usage_screen(found))


def _measure(project: str | None, start: datetime | None, end: datetime | None, *, as_json: bool) -> None:
    with ledger_at_hand() as (database, settings):
        from sidecar.accounts.holdout_report import measured
        from sidecar.commands.holdout_screen import holdout_screen
        from sidecar.ledger.arms import arms

        report = measured(arms(database, project=_scope(project), since=start, until=end))
        if as_json:
            typer.echo(report.as_json())
        elif report.arms.since is None:
            advice = "" if settings.holdout_percent else " HOLDOUT_PERCENT=5 keeps the layers from a twentieth of them."
            say(f"No conversation was held out in this time.{advice}")
        else:
            console().print(holdout_screen(report))


@accounts.command(rich_help_panel=COSTS)
def export(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Where to; - is the standard output.")],
    since: Since = None,
    until: Until = None,
    project: InProject = None,
    file_format: Annotated[
        FileFormat | None, typer.Option("--format", help="Else by the file's name, else csv.", show_default=False)
    ] = None,
) -> None:
    """Write every request into a file, oldest first."""
    chosen = file_format or _format_named_by(out)
    start, end = _span(since, until)
    with ledger_at_hand() as (database, _):
        from sidecar.commands.usage_screen import progress
        from sidecar.commands.written_file import written_whole
        from sidecar.ledger import parquet
        from sidecar.ledger.export import export as write_export

        try:
            with written_whole(None if out == STDOUT else out) as file, progress() as tell:
                rows = write_export(
                    database,
                    file,
                    project=_scope(project),
                    file_format=chosen.value,
                    since=start,
                    until=end,
                    progress=tell,
                )
        except parquet.ParquetMissingError as error:
            fail(f"{error}.")
        except BrokenPipeError:
            raise  # who reads our output has seen enough: click ends quietly
        except OSError as error:
            fail(f"{out} cannot be written: {error.strerror or error}.")
        if out != STDOUT:
            say(f"{rows:,} requests in {out}.")


@accounts.command(rich_help_panel=COSTS)
def prices(as_json: AsJson = False) -> None:
    """The price table in use, and how new it is."""
    with one_sentence():
        from sidecar.accounts.prices import Prices
        from sidecar.commands.prices_screen import prices_json, prices_screen
        from sidecar.models import listing as model_list
        from sidecar.models.catalogue import Catalogue

        catalogue = Catalogue()
        if (known := model_list.load(Home.locate().models_file)) is not None:
            catalogue.update(known)
        table, now = Prices(catalogue.same_line), datetime.now(UTC)
        models = [card.id for card in catalogue.listed() if catalogue.card(card.id).id == card.id]
        if as_json:
            typer.echo(json.dumps(prices_json(table, models, now)))
        else:
            console().print(prices_screen(table, models, now))


def _span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    try:
        return span(since, until, datetime.now(UTC))
    except ValueError as error:
        fail(str(error), WRONG_USAGE)


def _scope(project: str | None) -> ProjectScope:
    from sidecar.ledger.queries import EVERY_PROJECT

    return project or EVERY_PROJECT


def _format_named_by(out: Path) -> FileFormat:
    suffix = out.suffix.removeprefix(".").lower()
    return FileFormat(suffix) if suffix in set(FileFormat) else FileFormat.CSV
