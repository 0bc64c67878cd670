"""`cgw show`: what was cut out of requests, whole. It reads what is kept itself: no sidecar has to run."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.commands.terminal import console, fail, one_sentence, say
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.cut_texts import CutTexts

LOOK = "Look"

show = typer.Typer()


@show.command("show", rich_help_panel=LOOK)
def show_cut(
    text_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="As a marker in a prompt names it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar="")] = False,
) -> None:
    """A text that was cut out of a request, whole; without an ID, a list of them."""
    with one_sentence():
        from sidecar.cut_texts import CutTexts
        from sidecar.store.shelves import Shelves

        home = Home.locate()
        home.open()
        with closing(Shelves(home, None)) as shelves:
            cut_texts = CutTexts(shelves)
            if text_id is None:
                _list(cut_texts, as_json=as_json)
            else:
                _show(cut_texts, text_id, as_json=as_json)


def _show(cut_texts: CutTexts, text_id: str, *, as_json: bool) -> None:
    text = cut_texts.read(text_id)
    if text is None:
        fail(
            f"Nothing that was cut is kept under {text_id}: `cgw show` lists what there is, for 30 days and on"
            " the machine whose sidecar cut it."
        )
    if as_json:
        head = next((asdict(head) for head in cut_texts.recent() if head.id == text_id), {"id": text_id})
        typer.echo(json.dumps(head | {"text": text}))
    else:
        typer.echo(text, nl=not text.endswith("\n"))


def _list(cut_texts: CutTexts, *, as_json: bool) -> None:
    heads = cut_texts.recent()
    if as_json:
        typer.echo(json.dumps([asdict(head) for head in heads]))
        return
    if not heads:
        say("Nothing was cut yet. Tool results longer than TOOL_RESULT_MAX_CHARS are (`cgw config` says how many).")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True, min_width=max(len(head.id) for head in heads))  # there to be copied
    for heading in ("cut (UTC)", "what", "characters", "lines", "project", "client"):
        number = heading in {"characters", "lines"}
        table.add_column(heading, justify="right" if number else "left", no_wrap=number, overflow="fold")
    for head in heads:
        numbers = (f"{head.characters:,}", f"{head.lines:,}")
        at = f"{datetime.fromisoformat(head.cut_at):%Y-%m-%d %H:%M}"
        table.add_row(head.id, at, Text(head.what), *numbers, Text(head.project), Text(head.client))
    console().print(table)
