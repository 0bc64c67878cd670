"""Where tools are and keep their settings on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

EDITORS: Final = (".vscode", ".vscode-insiders", ".vscode-server", ".vscode-oss", ".cursor", ".windsurf")
"""Where VS Code and its relatives keep extensions, below the user's home."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is asked of the system, in one place, so that tests can have another."""

    home: Path = field(default_factory=Path.home)
    platform: str = sys.platform
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def config(self) -> Path:
        """`~/.config`, or what stands for it."""
        return Path(self.environ.get("XDG_CONFIG_HOME") or self.home / ".config")

    @property
    def applications(self) -> Path:
        """Where programs with a window keep what is the user's."""
        match self.platform:
            case "darwin":
                return self.home / "Library" / "Application Support"
            case "win32":
                return Path(self.environ.get("APPDATA") or self.home / "AppData" / "Roaming")
            case _:
                return self.config

    def named(self, variable: str, otherwise: Path) -> Path:
        """The folder that a variable names."""
        value = self.environ.get(variable)
        return Path(value).expanduser() if value else otherwise

    def program(self, name: str) -> Path | None:
        found = shutil.which(name, path=self.environ.get("PATH", ""))
        return Path(found) if found else None

    def extension(self, name: str) -> Path | None:
        """An editor's extension by publisher and name, in any version."""
        for editor in EDITORS:
            found = sorted((self.home / editor / "extensions").glob(f"{name}-[0-9]*"))
            if found:
                return found[-1]
        return None


@dataclass(frozen=True, slots=True)
class Signs:
    """What shows that a tool is installed."""

    programs: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    """Below `~`, `~/.config` or the place of programs with a window; a pattern may be in the name."""

    def seen(self, machine: Machine) -> Path | None:
        """The first of them that is there."""
        found = [path for name in self.programs if (path := machine.program(name))]
        found += [path for name in self.extensions if (path := machine.extension(name))]
        places = (machine.home, machine.config, machine.applications)
        found += [path for name in self.folders for place in places for path in sorted(place.glob(name))]
        return found[0] if found else None
