"""What checks look at, gathered by whoever asks for them: a command, or the sidecar itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.exchange import Json
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.config import Settings
    from sidecar.ledger.database import Database


@dataclass(frozen=True, slots=True)
class Running:
    """A sidecar that was found."""

    url: str
    version: str
    started: float
    """Epoch seconds."""
    health: Json | None
    """None where it does not answer."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What Anthropic said to the key."""

    refused: str | None = None
    """Its sentence, where it does not take it."""
    unknown: str | None = None
    """Why it could not be asked, or gave no answer to this."""
    date: float | None = None
    """Its clock, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Scene:
    home: Home
    settings: Settings
    environ: Mapping[str, str]
    running: Running | None
    database: Callable[[], Database] | None
    """Blocks; raises LedgerUnavailableError. None where nothing was ever written."""
    warnings: tuple[str, ...] = ()
    """Of the settings."""
    accepted: Callable[[], Tried] | None = None
    """Asks Anthropic whether it takes the key, where the user allowed that."""

    @property
    def told_of_the_interceptor(self) -> Json:
        """By the running sidecar; empty where none runs or answers."""
        told: Json = ((self.running.health or {}) if self.running else {}).get("interceptor") or {}
        return told
