"""Two libraries that take their time each time, which serves no test among hundreds of servers, thousands of clients."""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import cache
from types import SimpleNamespace

import httpcore2
import uvicorn.server

TICK_SECONDS = 0.01


def hurry() -> None:
    """For the process of the tests alone; what they start is as it is."""
    _end_servers_at_once()
    _read_the_authorities_once()


def _end_servers_at_once() -> None:
    """uvicorn looks ten times a second whether it shall end, and then waits for another tenth."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, TICK_SECONDS))

    uvicorn.server.asyncio = SimpleNamespace(**{**vars(asyncio), "sleep": sleep})


def _read_the_authorities_once() -> None:
    """Every client of httpx reads all authorities that the system trusts, which is 20 ms of CPU, and asks over HTTP."""
    made = httpcore2.default_ssl_context
    kept = cache(made)

    def default_ssl_context(*, _trust_env: bool = True) -> ssl.SSLContext:
        of_the_user = _trust_env and {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys()
        return made(_trust_env=True) if of_the_user else kept()

    httpcore2.default_ssl_context = default_ssl_context
