"""`cgw replay`: recorded sessions through the pipeline and a simulated Claude, with what they cost."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sidecar.commands.terminal import console, fail, one_sentence, warn
from sidecar.user_errors import UserError

if TYPE_CHECKING:
    from sidecar.replay.pacing import Pacing
    from sidecar.replay.player import Player
    from sidecar.replay.sessions import Session

RECORDED: Final = "recorded"
LOSSLESS: Final[Mapping[str, object]] = {
    "tool_result_max_chars": 10**9,
    "system_max_chars": 10**9,
    "user_msg_max_chars": 10**9,
    "context_pruning": "off",
    "strip_when_cold": False,
}
"""Settings under which every character of a request can be told from what Claude gets."""


class WrongGapError(UserError):
    exit_code = 2


class UnknownModelError(UserError):
    exit_code = 2


def replay(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE_OR_FOLDER...",
            exists=True,
            help="Recordings, or folders of them; also what `cgw record` wrote.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Who answers; else the recording's own model, else claude-sonnet-5-5.", show_default=False),
    ] = None,
    gap: Annotated[str, typer.Option(metavar="recorded|SECONDS", help="The pauses between requests.")] = RECORDED,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="No size limits and no pruning: nothing may be lost.", metavar="")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar="")] = False,
) -> None:
    """Play recorded sessions against the simulated Claude: what they cost plain, cached, and with cgw."""
    from sidecar.home import Home
    from sidecar.replay import pacing, report
    from sidecar.replay import recordings as reading
    from sidecar.replay.player import Player
    from sidecar.replay.results import by_client

    with one_sentence():
        pace = _pacing(gap)
        if model is not None:
            _check(model)
        sessions, passed_over = reading.read(recordings)
        warn(passed_over)
        calendar = pacing.calendar(sessions, pace)
        with tempfile.TemporaryDirectory(prefix="cgw-replay-") as folder:
            player = Player(Home(Path(folder) / "home"), model=model, settings=LOSSLESS if lossless else {})
            stopped = _play(player, sessions, calendar)
        lines = by_client(sessions, player.played)
        if as_json:
            typer.echo(json.dumps({"complete": not stopped, "lines": [line.as_json() for line in lines]}))
        else:
            report.show(console(), lines)
        if stopped:
            warn([f"Stopped after {len(player.played):,} of {sum(map(len, calendar)):,} requests."])
        if failures := [played for played in player.played if played.error]:
            name = sessions[failures[0].session].name
            count = f"{len(failures):,} requests were" if len(failures) > 1 else "1 request was"
            fail(f"{count} not answered; the first, of {name}, with {failures[0].error}")


def _play(player: Player, sessions: Sequence[Session], calendar: Sequence[Sequence[float]]) -> bool:
    """Whether it was stopped by Ctrl-C."""
    import asyncio

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("Playing", total=sum(map(len, calendar)))
        try:
            asyncio.run(player.play(sessions, calendar, lambda: progress.advance(task)))
        except KeyboardInterrupt:
            return True
    return False


def _check(model: str) -> None:
    """Raises UnknownModelError."""
    from sidecar.errors import GatewayError
    from sidecar.models.catalogue import Catalogue

    try:
        Catalogue().resolve(model)
    except GatewayError as error:
        raise UnknownModelError(f"--model: {error.message}") from error


def _pacing(gap: str) -> Pacing:
    from sidecar.replay import pacing

    if gap == RECORDED:
        return pacing.as_recorded
    try:
        seconds = float(gap)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise WrongGapError(f"--gap is `{RECORDED}` or a number of seconds, and {gap!r} is neither.")
    return pacing.every(seconds)
