"""What only the anthropic SDK knows: how a key becomes headers, and which API version is spoken.

Its import takes seconds (docs/architecture.md has the figures), so it happens here, lazily and in a thread, and never
on the request path.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from sidecar.home import HomeError, replace_privately

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic


KEY_STANDS_HERE = "KEY-STANDS-HERE"
PATIENCE = 60.0
"""Seconds that the SDK may take to say what it knows."""


def sdk_client(api_key: str, base_url: str, *, proxy: str | None = None, timeout: float = 30.0) -> AsyncAnthropic:
    """The SDK's client for everything that is not the data plane: the model list, the key check, batches.

    It ignores proxy variables of the environment, as the data plane does; `proxy` is `UPSTREAM_PROXY`.
    """
    from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

    return AsyncAnthropic(
        api_key=api_key,
        base_url=base_url,
        max_retries=1,
        timeout=timeout,
        http_client=DefaultAsyncHttpxClient(trust_env=False, proxy=proxy),
    )


async def wire_headers(api_key: str, base_url: str, *, remembered: Path | None = None) -> dict[str, str]:
    """The credential and `anthropic-version` headers as the SDK would send them, lower-case names.

    What the SDK said is kept in the file `remembered`, under the SDK's version and without the key, so that only the
    first start after an upgrade has to import it.
    """
    headers = _recall(remembered) if remembered else None
    if headers is None:
        headers = await asyncio.to_thread(_asked_beside, base_url)
        if remembered:
            _remember(remembered, headers)
    return {name: value.replace(KEY_STANDS_HERE, api_key) for name, value in headers.items()}


def _asked_beside(base_url: str) -> dict[str, str]:
    """In a process of its own, unless the SDK is here already: its import takes 40 MB for good, and as long as it goes
    on the time of the first requests."""
    if "anthropic" not in sys.modules:
        command = [sys.executable, "-m", "sidecar.credentials", base_url]
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            done = subprocess.run(  # noqa: S603  # our own interpreter and module, no shell
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=True
            )
            if isinstance(told := orjson.loads(done.stdout), dict):
                return told
    return _ask_the_sdk(base_url)


def _ask_the_sdk(base_url: str) -> dict[str, str]:
    client = sdk_client(KEY_STANDS_HERE, base_url)
    spoken = str(client.default_headers["anthropic-version"])
    return {"anthropic-version": spoken, **{name.lower(): value for name, value in client.auth_headers.items()}}


def _recall(path: Path) -> dict[str, str] | None:
    try:
        known = orjson.loads(path.read_bytes())
        headers = known["headers"] if known["sdk"] == version("anthropic") else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = isinstance(headers, dict) and "anthropic-version" in headers and KEY_STANDS_HERE in str(headers)
    return headers if whole else None


def _remember(path: Path, headers: dict[str, str]) -> None:
    with contextlib.suppress(HomeError):  # only the next start would have been faster
        replace_privately(path, orjson.dumps({"sdk": version("anthropic"), "headers": headers}))


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(_ask_the_sdk(sys.argv[1])))
