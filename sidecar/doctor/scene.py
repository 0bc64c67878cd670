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
class Scene:
    home: Home
    settings: Settings
    environ: Mapping[str, str]
    running: Running | None
    database: Callable[[], Database] | None
    """Blocks; raises LedgerUnavailableError. None where nothing was ever written."""
    warnings: tuple[str, ...] = ()
    """Of the settings."""
    accepted: Callable[[], Json] | None = None
    """Asks Anthropic whether it takes the key, where the user allowed that: `{"error": text or None, "date": epoch
    seconds or None}`."""
