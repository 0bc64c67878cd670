"""How commands speak: plain lines to paste, one red sentence when something fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from sidecar.user_errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


def on_a_terminal() -> bool:
    streams = (sys.stdin, sys.stdout, sys.stderr)  # the dashboard draws on standard error
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM") != "dumb"


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def say(text: str) -> None:
    """Plain lines, never wrapped: they are there to be pasted. Without rich, which a sidecar would keep for good."""
    typer.echo(text)


def warn(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        console(stderr=True).print(f"cgw: {sentence}", style="yellow", markup=False, soft_wrap=True)


def fail(sentence: str, exit_code: int = 1) -> NoReturn:
    console(stderr=True).print(f"cgw: {sentence}", style="red", markup=False, soft_wrap=True)
    raise typer.Exit(exit_code)


@contextmanager
def one_sentence() -> Iterator[None]:
    """What the user can put right ends the command with its sentence."""
    try:
        yield
    except UserError as error:
        fail(str(error), error.exit_code)
