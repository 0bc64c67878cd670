"""`cgw simulate`: the offline Claude alone, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from sidecar.commands.sockets import bind_sentence
from sidecar.simulator.server import RunningSimulator
from sidecar.user_errors import UserError

HOST = "127.0.0.1"


def serve_until_stopped(port: int, say: Callable[[str], None]) -> None:
    """Serves until SIGINT or SIGTERM. Raises UserError when the port is taken."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        running = RunningSimulator(host=HOST, port=port)
    except OSError as error:
        raise UserError(bind_sentence(error, HOST, port)) from error
    with running:
        say(
            f"A simulated Claude listens on {running.url}. Ctrl-C stops it.\n"
            f"  export ANTHROPIC_BASE_URL={running.url}\n"
            f"  export ANTHROPIC_API_KEY={running.api_key}\n"
            f"Script its answers with POST {running.url}/_simulator/script, read its ledger at /_simulator/ledger."
        )
        while not stopped.wait(0.5):
            pass  # a wait without an end could not be interrupted on Windows
