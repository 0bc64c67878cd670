"""`cgw record`: whether exchanges are kept for `cgw replay`, and what is kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.commands.terminal import one_sentence, say
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.recording import Recordings


class Switch(StrEnum):
    ON = "on"
    OFF = "off"
    STATUS = "status"


def record(
    switch: Annotated[Switch, typer.Argument(help="Start, stop, or say what is kept.")] = Switch.STATUS,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar="")] = False,
) -> None:
    """Keep exact requests and answers in the home folder, for `cgw replay`; off unless you turn it on."""
    from sidecar.recording import Recordings

    with one_sentence():
        home = Home.locate()
        recordings = Recordings(home)
        if switch is Switch.ON:
            home.open()
            recordings.turn_on()
        elif switch is Switch.OFF:
            recordings.turn_off()
        _tell(recordings, as_json=as_json)


def _tell(recordings: Recordings, *, as_json: bool) -> None:
    from sidecar.recording import LOOK_SECONDS, MOST_BYTES, MOST_SECONDS

    files = [path.stat() for path in recordings.files()]
    size = sum(status.st_size for status in files)
    oldest = datetime.fromtimestamp(min(status.st_mtime for status in files), UTC) if files else None
    if as_json:
        state = {"on": recordings.on, "folder": str(recordings.folder), "conversations": len(files), "bytes": size}
        typer.echo(json.dumps({**state, "oldest": oldest and oldest.isoformat()}))
        return
    say(
        f"Recording is on: a running sidecar keeps every exchange from within {LOOK_SECONDS:.0f} s on, code and words "
        f"included, for {MOST_SECONDS // 86_400} days and up to {MOST_BYTES >> 20} MB. `cgw record off` stops it."
        if recordings.on
        else "Recording is off. `cgw record on` starts it."
    )
    if files:
        say(f"{len(files):,} conversations, {size / 1e6:,.1f} MB: play them with `cgw replay {recordings.folder}`.")
