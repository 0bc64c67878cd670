"""Who may pass. Fails closed: an exception here is a refusal."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from sidecar.errors import GatewayError

KEY_HEADERS = ("x-api-key", "api-key")
"""Where a key may stand besides `Authorization: Bearer` (Anthropic's SDKs, Azure's clients)."""


def presented_keys(raw_headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Every key a request shows. An empty or scheme-less `Authorization` counts as none."""
    headers: Mapping[str, str] = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw_headers
    }
    keys = [headers[name].strip() for name in KEY_HEADERS if headers.get(name, "").strip()]
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        keys.append(token.strip())
    return keys


class Admission:
    """Checks the gateway key in constant time."""

    def __init__(self, gateway_key: str, *, key_file: str) -> None:
        self._key = gateway_key.encode()
        self._key_file = key_file

    def check(self, raw_headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raises GatewayError (401) unless one of the keys shown is the gateway key."""
        keys = presented_keys(raw_headers)
        right = sum(hmac.compare_digest(key.encode(), self._key) for key in keys)
        if right:
            return
        problem = "The API key is not the gateway's." if keys else "There is no API key in this request."
        raise GatewayError(
            "authentication_error",
            f"{problem} Send the key from {self._key_file} as `Authorization: Bearer KEY` or `x-api-key: KEY`.",
            code="invalid_api_key",
        )
