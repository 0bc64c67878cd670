"""What only the anthropic SDK knows: how a key becomes headers, and which API version is spoken.

Its import takes seconds (docs/architecture.md has the figures). So what the version that cgw is locked to says stands
in a file beside this one, and another version is asked once, in a process of its own. `python -m sidecar.credentials`
writes the file anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from sidecar.home import HomeError, replace_privately

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic


KEY_STANDS_HERE = "KEY-STANDS-HERE"
ANY_ADDRESS: Final = "https://api.anthropic.com"
"""A client needs one; how it signs does not depend on it."""
SHIPPED: Final = Path(__file__).with_name("sdk_headers.json")
"""What the SDK of requirements.lock says."""
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


async def wire_headers(api_key: str, *, remembered: Path | None = None) -> dict[str, str]:
    """The credential and `anthropic-version` headers as the SDK would send them, lower-case names.

    What another SDK than the one shipped with said is kept in the file `remembered`, under its version and without the
    key, so that only the first start after an upgrade has to import it.
    """
    headers = _recall(SHIPPED) or (_recall(remembered) if remembered else None)
    if headers is None:
        headers = await _asked_beside()
        if remembered:
            _remember(remembered, headers)
    return {name: value.replace(KEY_STANDS_HERE, api_key) for name, value in headers.items()}


async def _asked_beside() -> dict[str, str]:
    """In a process of its own, unless the SDK is here already: its import takes 40 MB for good, and as long as it goes
    on the time of the first requests."""
    if "anthropic" not in sys.modules:
        with contextlib.suppress(OSError, TimeoutError, ValueError):
            told = orjson.loads(await _said_by([sys.executable, "-m", "sidecar.credentials"]))
            if isinstance(headers := told["headers"], dict):
                return headers
    return await asyncio.to_thread(_ask_the_sdk)


async def _said_by(command: Sequence[str]) -> bytes:
    """What it wrote. It ends with us: whoever stops cgw does not wait for an import."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PATIENCE):
            said, _ = await process.communicate()
            return said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _ask_the_sdk() -> dict[str, str]:
    client = sdk_client(KEY_STANDS_HERE, ANY_ADDRESS)
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
        replace_privately(path, _written(headers))


def _written(headers: dict[str, str]) -> bytes:
    told = {"sdk": version("anthropic"), "headers": headers}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    sys.stdout.buffer.write(_written(_ask_the_sdk()))
