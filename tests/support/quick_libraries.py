"""Two libraries take their time each time, which is of no use to hundreds of servers and thousands of clients."""

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

    @cache
    def kept(trust_env: bool, *_authorities_of_the_user: str | None) -> ssl.SSLContext:
        return made(_trust_env=trust_env)

    def default_ssl_context(*, _trust_env: bool = True) -> ssl.SSLContext:
        return kept(_trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))

    httpcore2.default_ssl_context = default_ssl_context
