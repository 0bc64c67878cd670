"""What only the anthropic SDK knows: how a key becomes headers, and which API version is spoken.

Its import takes seconds (docs/architecture.md has the figures), so it happens here, lazily and in a thread, and never
on the request path.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic


def sdk_client(api_key: str, base_url: str, *, timeout: float = 30.0) -> AsyncAnthropic:
    """The SDK's client for everything that is not the data plane: the model list, the key check, batches.

    It ignores proxy variables of the environment, as the data plane does.
    """
    from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient

    return AsyncAnthropic(
        api_key=api_key,
        base_url=base_url,
        max_retries=1,
        timeout=timeout,
        http_client=DefaultAsyncHttpxClient(trust_env=False),
    )


async def wire_headers(api_key: str, base_url: str) -> dict[str, str]:
    """The credential and `anthropic-version` headers as the SDK would send them, lower-case names."""

    def ask_the_sdk() -> dict[str, str]:
        client = sdk_client(api_key, base_url)
        version = client.default_headers["anthropic-version"]
        return {"anthropic-version": str(version), **{k.lower(): v for k, v in client.auth_headers.items()}}

    return await asyncio.to_thread(ask_the_sdk)
