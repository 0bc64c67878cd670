"""A tool's settings file, read and replaced without losing what the user has there."""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sidecar.user_errors import UserError

PRIVATE = 0o600


class SettingsFileError(UserError):
    """The file cannot be read or written; one sentence with what to do."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file; `raw` is None where there is none."""

    raw: bytes | None
    mode: int | None = None
    """Its permissions."""

    @property
    def text(self) -> str:
        """Without the mark of UTF-8 that some editors write first. Raises UnicodeDecodeError."""
        return (self.raw or b"").removeprefix(codecs.BOM_UTF8).decode("utf-8")

    def with_text(self, text: str) -> bytes:
        mark = codecs.BOM_UTF8 if (self.raw or b"").startswith(codecs.BOM_UTF8) else b""
        return mark + text.encode("utf-8")


def read(path: Path) -> Content:
    """What is there. Raises SettingsFileError."""
    try:
        raw = path.read_bytes()
        content = Content(raw, stat.S_IMODE(path.stat().st_mode))
        content.text  # noqa: B018  # fails here and nowhere else
    except FileNotFoundError:
        return Content(None)
    except UnicodeDecodeError:
        raise SettingsFileError(f"{path} is not text in UTF-8: nothing was changed.") from None
    except OSError as error:
        raise SettingsFileError(f"{path} cannot be read ({error.strerror or error}): nothing was changed.") from error
    return content


def replace(path: Path, raw: bytes, mode: int | None) -> list[Path]:
    """Write it whole or not at all, behind a symbolic link where it is one; returns the folders that were made.

    `mode` None means private to its owner. Raises SettingsFileError.
    """
    target = path.resolve()
    if target.exists() and not target.stat().st_mode & stat.S_IWUSR:  # a rename would pass over it
        raise SettingsFileError(
            f"{target} is read-only: nothing was changed. Make it writable (`chmod u+w`), or edit what it is made from."
        )
    made = [folder for folder in reversed((target.parent, *target.parent.parents)) if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        written = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            written.chmod(PRIVATE if mode is None else mode)
            written.replace(target)
        finally:
            written.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsFileError(
            f"{target} cannot be written ({error.strerror or error}): nothing was changed."
        ) from error
    return made


def remove(path: Path, folders: list[Path]) -> None:
    """And the folders that were made for it, where nothing else has come into them. Raises SettingsFileError."""
    try:
        path.resolve().unlink(missing_ok=True)
    except OSError as error:
        raise SettingsFileError(f"{path} cannot be removed ({error.strerror or error}).") from error
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            folder.rmdir()
