"""Where tools are to go, and the key that they show there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sidecar.commands.running import find
from sidecar.commands.sockets import url_at
from sidecar.user_errors import UserError

if TYPE_CHECKING:
    from sidecar.config_sources import LoadedSettings
    from sidecar.home import Home


class NoAddressError(UserError):
    """Nothing says where cgw will listen."""


@dataclass(frozen=True, slots=True)
class Key:
    """The gateway key, and where a tool can be told to look for it."""

    value: str = field(repr=False)
    file: Path | None = None
    """Where cgw keeps a key of its own making."""
    variable: str | None = None
    """Where the user set it."""


@dataclass(frozen=True, slots=True)
class Address:
    """A sidecar as its clients know it."""

    url: str
    """Without `/v1`."""
    key: Key
    is_running: bool = True
    is_lasting: bool = True
    """Whether it will be the same after the next start."""

    @property
    def openai(self) -> str:
        """The base URL of clients that add `/chat/completions` themselves."""
        return f"{self.url}/v1"


def address_of(home: Home, loaded: LoadedSettings) -> Address:
    """The sidecar that runs, else the one that would. Raises HomeError, NoAddressError."""
    settings = loaded.settings
    running = find(home)
    if running is None and not settings.port:
        raise NoAddressError(
            "No cgw is running, and it is to take a free port, which is not known before: start it with `cgw up`."
        )
    url = running.url if running else url_at(settings.host, settings.port)
    key = _key(home, loaded.origins, settings.gateway_api_key)
    return Address(url, key, running is not None, is_lasting=urlsplit(url).port == settings.port)


def _key(home: Home, origins: Mapping[str, str], chosen: object) -> Key:
    from pydantic import SecretStr

    if not isinstance(chosen, SecretStr):
        return Key(home.gateway_key(), file=home.gateway_key_file)
    return Key(
        chosen.get_secret_value(), variable="GATEWAY_API_KEY" if origins.get("gateway_api_key") == "env" else None
    )
