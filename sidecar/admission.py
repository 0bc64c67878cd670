"""Who may pass, and as which project. Fails closed: an exception here is a refusal."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from sidecar.errors import GatewayError, invalid_request
from sidecar.headers import printable
from sidecar.projects.directory import Directory
from sidecar.projects.project import DEFAULT, Project

KEY_HEADERS = (b"x-api-key", b"api-key")
"""Where a key may stand besides `Authorization: Bearer` (Anthropic's SDKs, Azure's clients)."""


def presented_keys(raw_headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Every key a request shows. An empty or scheme-less `Authorization` counts as none."""
    headers: Mapping[bytes, bytes] = {name.lower(): value for name, value in raw_headers}
    keys = [key for name in KEY_HEADERS if (key := headers.get(name, b"").decode("latin-1").strip())]
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").strip().partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        keys.append(token.strip())
    return keys


class Admission:
    """The gateway key opens every project, a project's key only its own. The gateway key is compared in constant time;
    projects' keys are found by their SHA-256, of which a timing tells nothing."""

    def __init__(self, gateway_key: str, directory: Directory, *, key_file: str) -> None:
        self._key = gateway_key.encode()
        self._directory = directory
        self._key_file = key_file

    async def admit(self, raw_headers: Iterable[tuple[bytes, bytes]], named_in_path: str | None = None) -> Project:
        """The project that the request is for.

        Raises GatewayError: 401 without a key that opens anything, 403 for a project's key with another project's name,
        404 for a project that does not exist, 400 for two names, 503 while the projects are not known.
        """
        raw_headers = list(raw_headers)
        keys = presented_keys(raw_headers)
        is_owner = bool(sum(hmac.compare_digest(key.encode(), self._key) for key in keys))
        if not keys or not (is_owner or self._directory.several):
            raise self._refusal(keys)
        await self._directory.ready()
        if not self._directory.several:  # everything is `default`; a base path of a project's can only be a mistake
            return self._directory.project(named_in_path or DEFAULT)
        named = _named(raw_headers, named_in_path)
        of_keys = {name for key in keys if (name := self._directory.named_by(key))}
        if of_keys:  # also beside the gateway key: the key that opens less counts
            return self._directory.project(_own(of_keys, named))
        if not is_owner:
            raise self._refusal(keys)
        if len(named) > 1:
            raise invalid_request(
                f"This request names several projects ({printable(', '.join(sorted(named)))}): "
                "the base path and `X-Project` must agree.",
                code="ambiguous_project",
            )
        return self._directory.project(next(iter(named), DEFAULT))

    def _refusal(self, keys: list[str]) -> GatewayError:
        problem = "The API key is not the gateway's." if keys else "There is no API key in this request."
        if not self._directory.several and any(map(self._directory.named_by, keys)):
            problem = "This is a project's key, and projects are off (ENABLE_MULTI_PROJECT=1 turns them on)."
        return GatewayError(
            "authentication_error",
            f"{problem} Send the key from {self._key_file} as `Authorization: Bearer KEY` or `x-api-key: KEY`.",
            code="invalid_api_key",
        )


def _named(raw_headers: Iterable[tuple[bytes, bytes]], named_in_path: str | None) -> set[str]:
    names = {value.decode("latin-1").strip() for name, value in raw_headers if name.lower() == b"x-project"}
    return (names | {named_in_path or ""}) - {""}


def _own(of_keys: set[str], named: set[str]) -> str:
    """The one project that these keys open, if nothing else was asked for."""
    if len(of_keys) > 1 or not named <= of_keys:
        raise GatewayError(
            "permission_error",
            "This key opens one project only, and the request names another.",
            code="wrong_project",
        )
    return of_keys.pop()
