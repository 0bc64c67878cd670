"""The variables that lead a program through the interceptor, as measured with real clients.

| client | what it needs |
|---|---|
| Python (httpx, the OpenAI and Anthropic SDKs) | `HTTPS_PROXY` and `SSL_CERT_FILE`, which replaces its own list |
| Python (requests) | `REQUESTS_CA_BUNDLE` instead, which replaces its own list too |
| curl | `CURL_CA_BUNDLE`, the same |
| Node 24 and later | `NODE_USE_ENV_PROXY`, or it ignores `HTTPS_PROXY`; `NODE_EXTRA_CA_CERTS`, beside its own list |
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

PROXY_NAMES: Final = ("HTTPS_PROXY", "https_proxy")
"""Both spellings: many programs read one of them only, and most prefer the small letters. Not `HTTP_PROXY`: nothing
that is not encrypted needs to come by here."""

EXCEPTION_NAMES: Final = ("NO_PROXY", "no_proxy")
BUNDLE_NAMES: Final = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def proxy_environment(proxy_url: str, ca_bundle: Path) -> dict[str, str]:
    """What to set for a program whose requests are to come through the interceptor at `proxy_url`.

    `ca_bundle` must hold the public authorities beside ours: three of the variables replace a program's own list.
    """
    rows: Iterable[tuple[tuple[str, ...], str]] = (
        (PROXY_NAMES, proxy_url),
        (EXCEPTION_NAMES, ",".join(LOOPBACK)),
        (BUNDLE_NAMES, str(ca_bundle)),
        (("NODE_USE_ENV_PROXY",), "1"),
    )
    return {name: value for names, value in rows for name in names}
