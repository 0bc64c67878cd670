"""The sidecar itself: whether it runs, what it says of itself, its key, its interceptor."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sidecar import __version__
from sidecar.commands.running import is_claimed
from sidecar.commands.sockets import BindError, listening_socket
from sidecar.doctor.finding import Finding
from sidecar.doctor.scene import Scene

PACKAGE: Final = Path(__file__).parents[1]
CLOCK_SECONDS: Final = 60.0
EXPIRES_SOON_DAYS: Final = 14


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
        yield Finding(
            "key",
            "problem",
            "There is no Anthropic key, so cgw has nothing to ask Claude with.",
            "`export ANTHROPIC_API_KEY=...` before `cgw up`, or put it into cgw.toml; `cgw demo` needs none.",
        )
    elif scene.accepted is None:
        yield Finding("key", "ok", "There is an Anthropic key (not tried: `cgw doctor` asks before it does).")
    else:
        told = scene.accepted()
        if told["error"]:
            yield Finding(
                "key",
                "problem",
                f"Anthropic does not take the key: {told['error']}",
                "See console.anthropic.com, API keys.",
            )
        else:
            yield Finding("key", "ok", "Anthropic takes the key.")
        yield from _clock(told["date"])


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


def interceptor(scene: Scene) -> Iterator[Finding]:
    told = ((scene.running.health or {}) if scene.running else {}).get("interceptor") or {}
    state = told.get("state", "off")
    if state == "off":
        return
    if state == "up":
        yield Finding("interceptor", "ok", f"The interceptor is up at {told.get('url')}.")
    else:
        said = f"The interceptor is {state}" + (f": {told['error']}" if told.get("error") else ".")
        fix = "Is its port free? `cgw up --intercept --intercept-port 0` takes any."
        yield Finding("interceptor", "note" if state == "starting" else "problem", said, fix)


def authority(scene: Scene) -> Iterator[Finding]:
    """Only where interception was ever set up."""
    from sidecar.interception.authority import authority_of

    certificate = authority_of(scene.home).certificate
    if not certificate.exists():
        return
    from cryptography import x509

    ends = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    left = (ends - datetime.now(UTC)).days
    if left < 0:
        said, severity = f"The certificate authority of the interceptor expired on {ends:%Y-%m-%d}.", "problem"
    elif left < EXPIRES_SOON_DAYS:
        said, severity = f"The certificate authority of the interceptor expires in {left} days.", "warning"
    else:
        yield Finding("authority", "ok", f"The interceptor's certificate authority is good until {ends:%Y-%m-%d}.")
        return
    fix = f"`cgw ca untrust`, delete {certificate.parent}, start `cgw up --intercept`, then `cgw ca trust`."
    yield Finding("authority", "problem" if severity == "problem" else "warning", said, fix)


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
