"""The sidecar in this very process: claims the home folder, takes the port, serves until told to stop."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from sidecar import interpreter
from sidecar.application import StartError
from sidecar.commands.handover import Handover, Inheritance
from sidecar.commands.open_files import allow_enough_files
from sidecar.commands.running import announce, claimed
from sidecar.commands.sockets import leads_to, listening_socket, reachable_url
from sidecar.commands.terminal import on_a_terminal
from sidecar.config import Settings, is_loopback
from sidecar.exchange import Json
from sidecar.home import Home, explained
from sidecar.log_format import OneLine, speak_at
from sidecar.server import serve

STDIN = 0
STDIN_SECONDS = 0.25
_let_go = threading.Event()
STAY = b"stay\n"
"""What a sidecar that is tied to a dashboard hears when it shall outlive it."""

LOG_BYTES = 5_000_000
LOG_FILES = 3


def run(
    settings: Settings,
    home: Home,
    *,
    addon_files: Sequence[Path] = (),
    on_ready: Callable[[str], None] | None = None,
    read: Callable[[], Settings] | None = None,
    arguments: Sequence[str] = (),
    inheritance: Inheritance | None = None,
) -> int:
    """Serves until SIGINT or SIGTERM; `on_ready` gets the base URL once clients can connect. The exit code.

    `read` reads the settings anew, for a reload. `arguments` are those of `cgw up`, for a restart; `inheritance` is
    what a sidecar that restarts leaves.

    Raises HomeError, AlreadyRunningError, BindError, StartError or UserFileError, each with one sentence.
    """
    interpreter.begin()
    allow_enough_files()
    with (
        claimed(home, inheritance.lock if inheritance else None) as claim,
        closing(
            inheritance.listening_socket() if inheritance else listening_socket(settings.host, settings.port)
        ) as sock,
    ):
        handover = Handover(home, claim, sock, arguments)

        async def restart(intercept_port: int) -> Json:
            told = await handover.start(intercept_port)
            let_go_of_stdin()
            return told

        url = reachable_url(sock)
        if leads_to(settings.anthropic_base_url, sock):
            raise StartError(
                f"ANTHROPIC_BASE_URL is {settings.anthropic_base_url}, which is this sidecar itself: "
                "unset it where you start cgw (`env -u ANTHROPIC_BASE_URL cgw up`)."
            )

        def ready() -> None:
            announce(home, url)
            if not is_loopback(settings.host):
                logging.getLogger(__name__).warning("%s", open_to_others(settings.host))
            if on_ready is not None:
                on_ready(url)
            interpreter.tune()

        with asyncio.Runner(loop_factory=_fast_loop()) as runner:
            runner.run(
                serve(
                    settings,
                    home,
                    sock=sock,
                    addon_files=addon_files,
                    on_ready=ready,
                    read=read,
                    restart=None if sys.platform == "win32" else restart,
                    successor_ended=handover.successor_ended,
                    takes_over=inheritance.intercept_port if inheritance is not None else None,
                    reload_on_hangup=sys.platform != "win32" and not on_a_terminal(),
                )
            )
    if handover.successor is not None and not handover.in_background:
        return handover.stand_for_it()
    return 0


def open_to_others(host: str) -> str:
    """The warning for a listener that other machines can reach."""
    return (
        f"Listening on {host}: other machines can reach this sidecar, and the gateway key travels unencrypted. "
        "Do this only in a network you trust."
    )


def log_to_terminal(level: str) -> None:
    """One readable line a request on standard error."""
    _log_to(logging.StreamHandler(), level)


def log_to_file(path: Path, level: str) -> None:
    """The same lines in a file of bounded size. Raises HomeError."""
    with explained(path):
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
        )
    _log_to(handler, level)


def _log_to(handler: logging.Handler, level: str) -> None:
    handler.setFormatter(OneLine())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    speak_at(level)


def stop_when_stdin_closes() -> None:
    """End like a SIGTERM as soon as whoever holds the other end of standard input is gone, however it went, unless it
    said before that we shall stay."""

    def watch() -> None:
        while _has_something_to_read():
            told = os.read(STDIN, 1024)  # not sys.stdin: its lock must be free when the interpreter ends
            if told == STAY:
                return
            if not told:
                signal.raise_signal(signal.SIGTERM)
                return

    threading.Thread(target=watch, name="watch stdin", daemon=True).start()


def let_go_of_stdin() -> None:
    """What is said there from now on is for the process that takes over."""
    _let_go.set()


def _has_something_to_read() -> bool:
    """Blocks until there is; False once nothing there is for us."""
    if sys.platform == "win32":  # no pipe can be waited for
        return True
    while not _let_go.is_set():
        if select.select([STDIN], [], [], STDIN_SECONDS)[0]:
            return not _let_go.is_set()
    return False


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where the extra `fast` is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop
