"""What a project may use and which layers run for it. A pure value that every exchange carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

SWITCHES: Final = (
    "enable_response_cache",
    "enable_anthropic_cache_control",
    "enable_file_hash_cache",
    "strip_ide_boilerplate",
    "enforce_diff_first",
    "enable_thinking_memory",
    "enable_smart_routing",
    "route_named_models",
    "route_effort",
)
"""Settings that a project may turn on or off for itself: those that decide what happens to its own requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    models: tuple[str, ...] = ()
    """Models it may use: ids, patterns of ids (`claude-haiku-*`) and lines (`haiku`). Empty: all."""
    denied: tuple[str, ...] = ()
    """Models it may not use, whatever `models` says; written in the same way."""
    default_model: str | None = None
    """For requests that name no model."""
    switches: Mapping[str, bool] = field(default_factory=dict, hash=False)
    """Settings of `SWITCHES` that the project decides itself."""

    def allows(self, model_id: str, line: str | None) -> bool:
        """Whether the project may use this Claude model. An addon that chooses a model must choose an allowed one."""
        return (not self.models or matches(self.models, model_id, line)) and not matches(self.denied, model_id, line)

    def switch(self, setting: str, otherwise: bool) -> bool:
        """The project's own choice, else the gateway's."""
        return self.switches.get(setting, otherwise)


def matches(patterns: Iterable[str], model_id: str, line: str | None) -> bool:
    """Whether a model is among those that are written as ids, patterns of ids or lines."""
    return any(line == pattern or fnmatchcase(model_id, pattern) for pattern in patterns)


FREE: Final = Policy()
"""Every model, and the gateway's own settings."""
