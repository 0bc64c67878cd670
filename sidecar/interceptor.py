"""The interceptor: a process of its own that hosts mitmproxy with `addons/intercept.py`.

`sidecar.interception` starts it as `python -m sidecar.interceptor`, hands it its orders on standard input and listens
to its reports. Nothing else imports mitmproxy: it costs a second and 60 MB, and takes over the event loop it runs in.
It ends when told to, or when its standard input closes: however its parent went, nothing stays behind.
"""

# mypy: untyped-calls-exclude=mitmproxy
from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from mitmproxy.addons.core import Core
from mitmproxy.addons.next_layer import NextLayer
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.connection import Client
from mitmproxy.master import Master
from mitmproxy.options import Options

from addons.intercept import Intercept
from sidecar.interception.peers import Unknowable, owner_of
from sidecar.interception.wire import LISTEN_HOST, Orders, Report

log = logging.getLogger(__name__)

STDIN, STDOUT = 0, 1
ROOT = 0
POLL_SECONDS = 0.05

DRAIN_SECONDS = 605
"""A little more than the sidecar gives the answers in flight, even those that it had begun before a restart. It says
itself when it waits no longer."""

LAST_BYTES_SECONDS = 0.2
"""mitmproxy tells of an answer's end just before it sends it."""

CLOSING_SECONDS = 2.0

SILENCE_SECONDS = 3600
"""An answer that is not streamed says nothing until it is there."""


class Started:
    """An addon that knows when mitmproxy listens, or has failed to."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def running(self) -> None:
        self.event.set()


class OwnUser:
    """An addon that lets no other user of this machine in: what comes here is paid for with this one's key."""

    def __init__(self) -> None:
        self._told: set[int | None] = set()

    def client_connected(self, client: Client) -> None:
        try:
            owner = owner_of(client.peername[:2], client.sockname[:2])
        except Unknowable:
            return
        if owner in (ROOT, os.getuid()):
            return
        client.error = "cgw's interceptor serves the user who started it, and nobody else"
        if owner not in self._told:
            self._told.add(owner)
            log.warning("Another user of this machine (uid %s) asked the interceptor, and was refused.", owner)


class ReportingHandler(logging.Handler):
    """Warnings and errors go to the parent, which has the log."""

    def emit(self, record: logging.LogRecord) -> None:
        _tell(Report(warning=record.getMessage()))


class Stopping:
    """The first wish to end drains, the second one ends at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    def ask(self) -> None:
        (self.hurried if self.asked.is_set() else self.asked).set()


def main() -> int:
    """The exit code: 0 when it was told to end, 2 when it could not listen."""
    os.umask(0o077)  # mitmproxy writes into our home folder
    logging.basicConfig(handlers=[ReportingHandler()], level=logging.WARNING)
    logging.getLogger("mitmproxy").setLevel(logging.ERROR)  # its warnings are of other people's connections
    line = sys.stdin.buffer.readline()
    return asyncio.run(serve(Orders.of_line(line))) if line else 0


async def serve(orders: Orders) -> int:
    """Until told to end. Raises whatever mitmproxy does when it cannot start."""
    proxy, started, stopping = Proxyserver(), Started(), Stopping()
    intercept = Intercept(orders.key)
    master = Master(Options())
    master.addons.add(Core(), proxy, NextLayer(), TlsConfig(), OwnUser(), intercept, started)
    master.options.update(
        mode=[f"regular@{LISTEN_HOST}:{orders.port}"],
        confdir=orders.authority,
        ssl_verify_upstream_trusted_ca=orders.trusted,
        tcp_timeout=SILENCE_SECONDS,
        cgw_sidecar=orders.sidecar_url,
        cgw_hosts=list(orders.hosts),
        cgw_subscriptions=orders.subscriptions,
        cgw_only=True,
    )
    _listen_to_wishes(stopping)
    running = asyncio.create_task(master.run(), name="mitmproxy")
    await _first(running, started.event)
    failures = [str(server.last_exception) for server in proxy.servers if server.last_exception is not None]
    if failures:
        _tell(Report(failure=failures[0]))
    else:
        gc.collect()
        gc.freeze()  # eight hundred modules that no collection needs to look through again
        _tell(Report(ready=True))
        await _first(running, stopping.asked)
        await _drain(proxy, intercept, stopping)
    master.shutdown()
    await running
    return 2 if failures else 0


def _listen_to_wishes(stopping: Stopping) -> None:
    loop = asyncio.get_running_loop()

    def watch() -> None:
        while os.read(STDIN, 1024):
            pass
        with suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(stopping.ask)

    threading.Thread(target=watch, name="watch stdin", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.ask))


async def _first(running: asyncio.Task[None], event: asyncio.Event) -> None:
    """Until the event, or until mitmproxy has ended; what it ended with is raised."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        running.result()


async def _drain(proxy: Proxyserver, intercept: Intercept, stopping: Stopping) -> None:
    """Nothing new comes in, answers in flight go out, then every connection is closed: mitmproxy itself does neither.

    Tunnels to other hosts are not waited for: nobody knows here whether anything is on its way in them.
    """
    intercept.closing = True
    await proxy.servers.update([])
    await _until(lambda: not intercept.live or stopping.hurried.is_set(), DRAIN_SECONDS)
    await asyncio.sleep(LAST_BYTES_SECONDS)
    await _until(lambda: _all_closed(proxy), CLOSING_SECONDS)


def _all_closed(proxy: Proxyserver) -> bool:
    for connection in list(proxy.connections.values()):
        for transport in list(connection.transports.values()):
            if transport.handler is not None:
                transport.handler.cancel("the interceptor ends")
    return not proxy.connections


async def _until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:  # noqa: ASYNC110  # mitmproxy has no event for either
        await asyncio.sleep(POLL_SECONDS)


def _tell(report: Report) -> None:
    with suppress(OSError):  # the parent is gone, and so are we in a moment
        os.write(STDOUT, report.line())


if __name__ == "__main__":
    sys.exit(main())
