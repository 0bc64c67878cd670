"""The one folder where everything of a user's cgw is kept: keys, caches, ledger, logs, the running sidecar's state."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sidecar.user_errors import UserError

FOLDER_MODE = 0o700
KEY_PREFIX = "cgw-"


class HomeError(UserError):
    """The folder cannot be used; the message is one sentence with what to do."""


class Home:
    """Names what is in the folder; creates nothing before it is asked to.

    `open()` must have run before anything is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "cgw.toml"
        self.gateway_key_file = path / "gateway_key"
        self.state_file = path / "running.json"
        self.lock_file = path / "running.lock"
        self.log_file = path / "logs" / "cgw.log"
        self.start_file = path / "logs" / "start.txt"
        self.cache_dir = path / "cache"
        self.theme_file = path / "theme"
        self.models_file = path / "models.json"
        self.sdk_headers_file = self.cache_dir / "sdk-headers.json"
        self.ledger_file = path / "ledger.sqlite3"

    @classmethod
    def locate(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """`CGW_HOME`, or the user's data folder on this system."""
        if configured := environ.get("CGW_HOME"):
            return cls(Path(configured).expanduser().absolute())
        from platformdirs import user_data_path

        return cls(user_data_path("cgw", appauthor=False))

    def open(self) -> None:
        """Make the folder, closed to everybody else. Raises HomeError."""
        with explained(self.path):
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            _close_to_others(self.path, FOLDER_MODE)
            self.log_file.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
            self.cache_dir.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def gateway_key(self) -> str:
        """The key that clients show to this gateway; made and stored on first use. Raises HomeError."""
        if not self.gateway_key_file.exists():
            self.open()
            self._offer_key(KEY_PREFIX + secrets.token_urlsafe(32))
        with explained(self.gateway_key_file):
            _close_to_others(self.gateway_key_file, 0o600)
            key = self.gateway_key_file.read_text(encoding="ascii", errors="replace").strip()
        if not key.isascii() or not key.isprintable() or not key:
            raise HomeError(
                f"The key file {self.gateway_key_file} holds no usable key: delete it and cgw makes a new one."
            )
        return key

    def _offer_key(self, key: str) -> None:
        """Store `key` unless another process was first: a hard link appears whole or not at all, and never replaces."""
        with (
            explained(self.gateway_key_file),
            _private_file(self.path, key.encode()) as written,
            contextlib.suppress(FileExistsError),
        ):
            os.link(written, self.gateway_key_file)


def replace_privately(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all. Raises HomeError."""
    with explained(path), _private_file(path.parent, content) as written:
        written.replace(path)


@contextmanager
def _private_file(folder: Path, content: bytes) -> Iterator[Path]:
    """A complete temporary file (mode 0600) beside its destination, gone at the end unless moved away."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".new-")
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)


def _close_to_others(path: Path, mode: int) -> None:
    if os.name != "posix":
        return  # Windows keeps a user's data folder private by its access lists
    status = path.stat()
    if status.st_uid != os.getuid():
        raise HomeError(f"{path} belongs to another user: set CGW_HOME to a folder of your own.")
    if stat.S_IMODE(status.st_mode) & ~mode:
        path.chmod(mode)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """A system's refusal to touch something in the folder becomes a HomeError."""
    try:
        yield
    except OSError as error:
        raise HomeError(
            f"cgw cannot use {error.filename or path} ({error.strerror or error}): "
            "make it writable, or set CGW_HOME to another folder."
        ) from error
