"""The sidecar itself: whether it runs, what it says of itself, its key."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sidecar import __version__
from sidecar.commands.running import is_claimed
from sidecar.commands.sockets import BindError, listening_socket
from sidecar.doctor.finding import Finding
from sidecar.doctor.scene import Scene

PACKAGE: Final = Path(__file__).parents[1]
CLOCK_SECONDS: Final = 60.0


def sidecar(scene: Scene) -> Iterator[Finding]:
    running = scene.running
    if running is None:
        yield from _none_runs(scene)
    elif running.health is None:
        yield Finding(
            "sidecar", "problem", f"The cgw at {running.url} does not answer.", "`cgw down`, then `cgw up --detach`."
        )
    elif running.version != __version__:
        yield Finding(
            "sidecar",
            "warning",
            f"cgw {running.version} runs at {running.url}, and {__version__} is installed.",
            "`cgw down`, then `cgw up --detach`: it goes on with what is installed.",
        )
    elif running.started and _newest_code() > running.started:
        yield Finding(
            "sidecar",
            "note",
            f"The cgw at {running.url} was started before its code last changed.",
            "`cgw down`, then `cgw up --detach`.",
        )
    else:
        yield Finding("sidecar", "ok", f"cgw {running.version} answers at {running.url}.")


def _none_runs(scene: Scene) -> Iterator[Finding]:
    if scene.home.state_file.exists() and not is_claimed(scene.home):
        yield Finding(
            "sidecar",
            "note",
            f"{scene.home.state_file} is left from a cgw that ended without a word.",
            "The next `cgw up` takes no notice of it; `cgw doctor --fix` removes it.",
            mend=lambda: scene.home.state_file.unlink(missing_ok=True),
        )
    try:
        listening_socket(scene.settings.host, scene.settings.port).close()
    except BindError as error:
        yield Finding("port", "problem", f"No cgw runs, and it could not start: {error}", "`cgw up --port 0`.")
    else:
        yield Finding("sidecar", "note", "No cgw is running.", "`cgw up`, or `cgw up --detach`.")


def _newest_code() -> float:
    return max((path.stat().st_mtime for path in PACKAGE.rglob("*.py")), default=0.0)


def key(scene: Scene) -> Iterator[Finding]:
    if scene.settings.anthropic_api_key is None:
        yield _no_key(scene)
    elif scene.accepted is None:
        yield Finding("key", "ok", "There is an Anthropic key (not tried: `cgw doctor` asks before it does).")
    else:
        told = scene.accepted()
        if told.refused:
            said = f"Anthropic does not take the key: {told.refused}."
            yield Finding("key", "problem", said, "Make another at console.anthropic.com, API keys.")
        elif told.unknown:
            said = f"Whether Anthropic takes the key is not known: {told.unknown}."
            yield Finding("key", "warning", said, "Are you online? Behind a proxy set UPSTREAM_PROXY. Then try again.")
        else:
            yield Finding("key", "ok", "Anthropic takes the key.")
        yield from _clock(told.date)


def _no_key(scene: Scene) -> Finding:
    how = "`export ANTHROPIC_API_KEY=...` before `cgw up`, or put it into cgw.toml"
    if scene.running is not None and scene.running.health is not None:  # none starts without one
        return Finding("key", "note", "The cgw that runs has an Anthropic key, and this shell has none.", f"{how}.")
    said = "There is no Anthropic key, so cgw has nothing to ask Claude with."
    return Finding("key", "problem", said, f"{how}; `cgw demo` needs none.")


def _clock(date: float | None) -> Iterator[Finding]:
    if date is None:
        return
    off = time.time() - date
    if abs(off) > CLOCK_SECONDS:
        way = "ahead of" if off > 0 else "behind"
        yield Finding(
            "clock",
            "warning",
            f"This machine's clock is {abs(off):,.0f} s {way} Anthropic's: budgets and lifetimes are off.",
            "Set the clock, or let the system do it (NTP).",
        )
    else:
        yield Finding("clock", "ok", "The clock is right.")


def ledger_state(scene: Scene) -> Iterator[Finding]:
    """What the running sidecar says of its books and caches."""
    told = scene.running.health if scene.running else None
    if told is None:
        return
    ledger = told.get("ledger") or {}
    if lost := ledger.get("dropped"):
        yield Finding(
            "ledger", "problem", f"{lost} requests are missing from the ledger.", f"See {scene.home.log_file}."
        )
    elif ledger.get("state") not in {"ok", "starting"}:
        yield Finding("ledger", "warning", f"The ledger is {ledger.get('state')}.", f"See {scene.home.log_file}.")
    else:
        yield Finding("ledger", "ok", f"The ledger takes every request ({ledger.get('written', 0):,} so far).")
    for warning in told.get("warnings") or ():
        yield Finding("gateway", "warning", warning, f"See {scene.home.log_file}.")


def recording(scene: Scene) -> Iterator[Finding]:
    from sidecar.recording import Recordings

    if Recordings(scene.home).on:
        yield Finding(
            "recording", "note", "Requests and answers are being recorded to disk.", "`cgw record off` ends that."
        )


def root(_: Scene) -> Iterator[Finding]:
    if os.name == "posix" and os.geteuid() == 0 and "SUDO_USER" in os.environ:
        yield Finding(
            "user", "warning", "cgw runs as root, by sudo: its files will belong to root.", "Run it as yourself."
        )
