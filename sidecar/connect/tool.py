"""What cgw knows of a tool: where its settings are, what must stand there, and what only its user can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sidecar.connect.address import Address, Key
from sidecar.connect.document import Format
from sidecar.connect.edits import Edit
from sidecar.connect.jsonc import Jsonc
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.toml_text import TomlText
from sidecar.connect.yaml_text import YamlText

JSONC: Final[Format] = Jsonc()
TOML: Final[Format] = TomlText()
YAML: Final[Format] = YamlText()

FORMATS: Final = {"json": JSONC, "jsonc": JSONC, "toml": TOML, "yaml": YAML, "yml": YAML}
"""By the ending of a file's name."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one tool comes to one address."""

    road: str
    """Which of cgw's routes it uses, and why that one."""
    file: Path | None = None
    """What `edits` are for; None where the tool has no file that could be written."""
    edits: tuple[Edit, ...] = ()
    has_key: bool = False
    """Whether the key itself comes into the file, since the tool can look nowhere else."""
    steps: tuple[str, ...] = ()
    """What its user does: instead of a file, or after it was written."""
    notes: tuple[str, ...] = ()
    """What to know, one sentence each."""
    cannot: str | None = None
    """Why this tool does not work with cgw, in one sentence; then nothing is written."""

    @property
    def language(self) -> Format:
        assert self.file is not None
        return FORMATS[self.file.suffix.lstrip(".")]


@dataclass(frozen=True, slots=True)
class Tool:
    """A row of `TOOLS`."""

    name: str
    """As it is typed."""
    title: str
    signs: Signs
    plan: Callable[[Address, Machine], Plan]
    other_names: tuple[str, ...] = field(default=())


def key_command(key: Key, machine: Machine) -> list[str] | None:
    """A command that prints the key; None where no command can."""
    windows = machine.platform == "win32"
    if key.file is not None:
        return ["cmd", "/c", "type", str(key.file)] if windows else ["cat", str(key.file)]
    return ["printenv", key.variable] if key.variable and not windows else None
