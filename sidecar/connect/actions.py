"""Connecting a tool, taking it back, and seeing where it points."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.connect import settings_file
from sidecar.connect.backups import Backup, Backups, digest
from sidecar.connect.document import MISSING, DocumentError, Format, Missing, Value, found
from sidecar.connect.edits import Put, applied, undone
from sidecar.connect.settings_file import Content, SettingsFileError
from sidecar.connect.tool import FORMATS, Plan


class State(StrEnum):
    """Where a tool points, as far as a file tells."""

    HERE = "here"
    ELSEWHERE = "elsewhere"
    NOT_SET = "not set"
    BY_HAND = "by hand"
    UNREADABLE = "unreadable"


class NotWritableError(SettingsFileError):
    """The tool cannot be connected by writing a file; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Undone:
    """What `undo` did."""

    file: Path
    exactly: bool
    """Whether the file is byte for byte what it was, or gone where there was none."""
    left: tuple[str, ...] = ()
    """Settings of ours that somebody has changed since, and that stay."""
    existed: bool = True


def write(tool: str, plan: Plan, backups: Backups) -> bool:
    """False where everything stands there already. Raises SettingsFileError, HomeError."""
    if plan.cannot:
        raise NotWritableError(plan.cannot)
    if plan.file is None:
        raise NotWritableError("It has no file that cgw could write: follow the steps that `cgw connect` shows.")
    file = plan.file
    content = settings_file.read(file)
    earlier = backups.load(tool)
    if earlier and earlier.file != file:
        raise NotWritableError(f"cgw has written to {earlier.file} before: take that back with --undo first.")
    with _named(file):
        if applied(plan.language, content.text, plan.edits)[0] == content.text and not _is_too_open(plan, content):
            return False
        base = _as_it_was(earlier, content) if earlier else content
        text, changes = applied(plan.language, base.text, plan.edits)
    raw = base.with_text(text)
    mode = content.mode if base.mode is None else base.mode
    if plan.has_key and mode is not None:
        mode &= settings_file.PRIVATE
    folders = tuple(earlier.folders) if earlier else ()
    backup = Backup(file, base.raw, base.mode, folders, digest(raw), tuple(changes))
    backups.keep(tool, backup)
    try:
        made = settings_file.replace(file, raw, mode)
    except SettingsFileError:
        backups.keep(tool, earlier) if earlier else backups.forget(tool)
        raise
    if made:
        backups.keep(tool, replace(backup, folders=tuple(made)))
    return True


def undo(tool: str, backups: Backups) -> Undone | None:
    """None where there is nothing to take back. Raises SettingsFileError, HomeError."""
    backup = backups.load(tool)
    if backup is None:
        return None
    content = settings_file.read(backup.file)
    existed = backup.before is not None
    if content.raw is None or content.raw == backup.before:
        outcome = Undone(backup.file, exactly=content.raw == backup.before, existed=existed)
    elif backup.is_unchanged(content.raw):
        if backup.before is None:
            settings_file.remove(backup.file, list(backup.folders))
        else:
            settings_file.replace(backup.file, backup.before, backup.mode)
        outcome = Undone(backup.file, exactly=True, existed=existed)
    else:
        with _named(backup.file):
            text, left = undone(_language(backup.file), content.text, backup.changes)
        settings_file.replace(backup.file, content.with_text(text), backup.mode or content.mode)
        outcome = Undone(backup.file, exactly=False, left=tuple(left), existed=existed)
    backups.forget(tool)
    return outcome


def state_of(plan: Plan, url: str) -> State:
    """Whether anything in the tool's file leads to the sidecar at `url`."""
    if plan.file is None:
        return State.BY_HAND
    try:
        document = plan.language.read(settings_file.read(plan.file).text)
    except (DocumentError, SettingsFileError):
        return State.UNREADABLE
    if any(_same_place(text, url) for text in _texts(document)):
        return State.HERE
    places = (
        edit.path
        for edit in plan.edits
        if isinstance(edit, Put) and any(_same_place(text, url) for text in _texts(edit.value))
    )
    return State.ELSEWHERE if any(found(document, path) is not MISSING for path in places) else State.NOT_SET


def _is_too_open(plan: Plan, content: Content) -> bool:
    """Whether others may read the key in it, or there is no file yet."""
    return content.mode is None or (plan.has_key and bool(content.mode & ~settings_file.PRIVATE))


def _as_it_was(earlier: Backup, content: Content) -> Content:
    """The file without what was written to it before: then nothing of that has to be remembered."""
    if earlier.is_unchanged(content.raw):
        return Content(earlier.before, earlier.mode)
    if content.raw is None:
        return content
    text, _ = undone(_language(earlier.file), content.text, earlier.changes)
    return Content(content.with_text(text), earlier.mode if earlier.mode is not None else content.mode)


def _language(file: Path) -> Format:
    return FORMATS[file.suffix.lstrip(".")]


@contextmanager
def _named(file: Path) -> Iterator[None]:
    try:
        yield
    except DocumentError as error:
        raise SettingsFileError(
            f"{file}: {error}. Nothing was changed: put it right, or paste what `cgw connect` shows without --write."
        ) from error


def _texts(value: Value | Missing) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from _texts(one)
        case list():
            for one in value:
                yield from _texts(one)


def _same_place(text: str, url: str) -> bool:
    """Whether a setting is a URL of the same port of the same machine, by whatever name."""
    if not text.startswith(("http://", "https://")):
        return False
    try:
        theirs, ours = urlsplit(text), urlsplit(url)
        return theirs.port == ours.port and _machine(theirs.hostname) == _machine(ours.hostname)
    except ValueError:
        return False


def _machine(host: str | None) -> str:
    if host is None or host == "localhost":
        return "localhost"
    try:
        return "localhost" if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host
