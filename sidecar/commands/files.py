"""`cgw files`: which files are sent again and again. It reads the cache itself: no sidecar has to run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sidecar.commands.terminal import console, one_sentence, say
from sidecar.home import Home

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sidecar.file_cache import SeenFile

LOOK = "Look"

files = typer.Typer()

NOTE: Final = (
    "Tokens `resent` after the first time, and how many of them references `saved`. A file that was changed is another."
)


@files.command("files", rich_help_panel=LOOK)
def most_resent(
    limit: Annotated[int, typer.Option(metavar="N", help="So many lines.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar="")] = False,
) -> None:
    """The files that are sent most often, and what references to them saved."""
    with one_sentence():
        from sidecar.file_cache import NAMESPACE, SIZE_LIMIT_BYTES, FileCache
        from sidecar.file_cache import as_json as told
        from sidecar.store.shelves import Shelves

        home = Home.locate()
        home.open()
        with closing(Shelves(home, None)) as shelves:
            cache = FileCache(shelves(NAMESPACE, SIZE_LIMIT_BYTES))
            cache.load()
            found = cache.most_resent(limit)
        if as_json:
            typer.echo(json.dumps(told(found)))
        elif not found:
            say("No file was sent twice so far. A running sidecar counts them; one that was changed is another.")
        else:
            console().print(_screen(found, datetime.now(UTC)))


def _screen(found: Sequence[SeenFile], now: datetime) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("file", overflow="fold")
    table.add_column("project", overflow="fold")
    for name in ("tokens", "times", "resent", "saved", "last"):
        table.add_column(name, justify="right", no_wrap=True)
    for file in found:
        table.add_row(
            Text(_printable(file.path or f"({file.digest[:12]})")),
            Text(_printable(file.project)),
            f"{file.tokens:,}",
            f"{file.times:,}",
            f"{file.resent_tokens:,}",
            f"{file.saved_tokens:,}" if file.saved_tokens else "-",
            _ago(now.timestamp() - file.last_seen),
        )
    return Group(table, Text(NOTE))


def _printable(text: str) -> str:
    """A path came from a client: what could steer a terminal is left out."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return "now"
