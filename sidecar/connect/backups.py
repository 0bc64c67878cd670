"""What cgw changed in tools' files, kept in its home folder: the file as it was, and each setting as it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.connect.edits import Change
from sidecar.home import FOLDER_MODE, Home, HomeError, explained, replace_privately


@dataclass(frozen=True, slots=True)
class Backup:
    """One tool's file before cgw wrote to it. There may be keys in it: only its owner reads it."""

    file: Path
    before: bytes | None
    """None where there was no file."""
    mode: int | None
    folders: tuple[Path, ...]
    """What was made to put it into."""
    written: str
    """The SHA-256 of what cgw wrote."""
    changes: tuple[Change, ...]

    def is_unchanged(self, raw: bytes | None) -> bool:
        """Whether the file is as cgw left it."""
        return raw is not None and digest(raw) == self.written


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


class Backups:
    """One for each tool, in the folder `connect`."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._folder = home.path / "connect"

    def place(self, tool: str) -> Path:
        """Where the file as it was can be found."""
        return self._folder / f"{tool}.before"

    def load(self, tool: str) -> Backup | None:
        """Raises HomeError."""
        try:
            told: dict[str, Any] = json.loads(self._record(tool).read_bytes())
            return Backup(
                Path(told["file"]),
                self.place(tool).read_bytes() if told["existed"] else None,
                told["mode"],
                tuple(Path(folder) for folder in told["folders"]),
                told["written"],
                tuple(Change.from_json(change) for change in told["changes"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HomeError(f"{self._record(tool)} cannot be read ({error}): remove it, and undo by hand.") from error

    def keep(self, tool: str, backup: Backup) -> None:
        """Raises HomeError."""
        self._home.open()
        with explained(self._folder):
            self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        replace_privately(self.place(tool), backup.before or b"")
        record = {
            "file": str(backup.file),
            "existed": backup.before is not None,
            "mode": backup.mode,
            "folders": [str(folder) for folder in backup.folders],
            "written": backup.written,
            "changes": [change.as_json() for change in backup.changes],
        }
        replace_privately(self._record(tool), json.dumps(record).encode())

    def forget(self, tool: str) -> None:
        """Raises HomeError."""
        for path in (self._record(tool), self.place(tool)):
            with explained(path):
                path.unlink(missing_ok=True)

    def _record(self, tool: str) -> Path:
        return self._folder / f"{tool}.json"
