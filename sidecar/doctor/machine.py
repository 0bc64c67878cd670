"""The machine: Python, packages, room, permissions, and variables that lead requests astray."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sidecar.config import is_loopback
from sidecar.doctor.finding import Finding
from sidecar.doctor.scene import Scene

ROOM_BYTES: Final = 1_000_000_000
LITTLE_ROOM_BYTES: Final = 100_000_000
PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def python(_: Scene) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    wanted = metadata.metadata("cgw")["Requires-Python"]
    from packaging.specifiers import SpecifierSet

    if version in SpecifierSet(wanted):
        yield Finding("python", "ok", f"Python {version} at {sys.executable}.")
    else:
        yield Finding(
            "python",
            "problem",
            f"This is Python {version}; cgw needs {wanted}.",
            "Install cgw anew with a newer Python.",
        )


def packages(_: Scene) -> Iterator[Finding]:
    """What cgw asks for, against what is installed beside it."""
    from packaging.requirements import Requirement

    wrong = []
    asked = [Requirement(line) for line in metadata.requires("cgw") or ()]
    for one in asked:
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{one.name} is missing")
            continue
        if not one.specifier.contains(version, prereleases=True):
            wrong.append(f"{one.name} is {version}, not {one.specifier}")
    if wrong:
        yield Finding("packages", "problem", f"{'; '.join(wrong)}.", "Install cgw anew: `pip install --upgrade cgw`.")
    else:
        yield Finding("packages", "ok", f"All {len(asked)} packages are there, in versions that fit.")


def disk(scene: Scene) -> Iterator[Finding]:
    folder = next(path for path in (scene.home.path, *scene.home.path.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:,.1f} GB are free where cgw keeps its files ({scene.home.path})."
    fix = "Make room, or set CGW_HOME to a folder on another disk."
    if free < LITTLE_ROOM_BYTES:
        yield Finding("disk", "problem", said, fix)
    elif free < ROOM_BYTES:
        yield Finding("disk", "warning", said, fix)
    else:
        yield Finding("disk", "ok", said)


def permissions(scene: Scene) -> Iterator[Finding]:
    """Nobody else may look into the home folder: keys, prompts and answers are in it."""
    if os.name != "posix" or not scene.home.path.exists():
        return
    open_to_others = [path for path in (scene.home.path, *scene.home.path.rglob("*")) if _is_open(path)]
    if not open_to_others:
        yield Finding("permissions", "ok", f"Only you can read {scene.home.path}.")
        return
    first = open_to_others[0]
    more = f" and {len(open_to_others) - 1} more" if len(open_to_others) > 1 else ""
    yield Finding(
        "permissions",
        "warning",
        f"Others on this machine may read {first}{more}.",
        f"`chmod -R go= {scene.home.path}`, or `cgw doctor --fix`.",
        mend=partial(_close, open_to_others),
    )


def _is_open(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False  # gone meanwhile
    return not stat.S_ISLNK(status.st_mode) and bool(stat.S_IMODE(status.st_mode) & OTHERS)


def _close(paths: list[Path]) -> None:
    for path in paths:
        if path.exists():
            path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)


def variables(scene: Scene) -> Iterator[Finding]:
    """Variables of this shell that lead in a circle, or past the sidecar."""
    environ, wrong = scene.environ, False
    for name, is_loop, said, fix in _WRONG:
        value = environ.get(name, "")
        if value and is_loop(value, scene):
            wrong = True
            yield Finding("variables", "warning", said.format(name=name), fix.format(name=name))
    proxy = next((name for name in PROXIES if environ.get(name)), None)
    exempt = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if proxy and not any(name in exempt for name in ("127.0.0.1", "localhost", "*")):
        wrong = True
        yield Finding(
            "variables",
            "warning",
            f"{proxy} is set and NO_PROXY leaves out localhost: tools may send what is meant for cgw to that proxy.",
            "`export NO_PROXY=localhost,127.0.0.1,::1`.",
        )
    if not wrong:
        yield Finding("variables", "ok", "No variable of this shell leads in a circle.")


def _is_interceptor(value: str, scene: Scene) -> bool:
    from sidecar.interception.interceptor import leads_through

    running = scene.told_of_the_interceptor.get("url")
    port = urlsplit(running).port if running else scene.settings.intercept_port
    return leads_through(value, port or 0)


def _is_sidecar(value: str, scene: Scene) -> bool:
    address = urlsplit(value)
    own = urlsplit(scene.running.url).port if scene.running else scene.settings.port
    return is_loopback(address.hostname or "") and address.port == own


_WRONG: Final[tuple[tuple[str, Callable[[str, Scene], bool], str, str], ...]] = (
    *(
        (
            name,
            _is_interceptor,
            "{name} leads to cgw's own interceptor: whatever you start from this shell goes through it.",
            "`unset {name}`; start single programs with `cgw run --intercept -- PROGRAM`.",
        )
        for name in PROXIES
    ),
    (
        "ANTHROPIC_BASE_URL",
        _is_sidecar,
        "{name} leads to cgw itself: a `cgw up` from this shell would call itself and refuses to start.",
        "`env -u {name} cgw up`, or set it only for the tool: `cgw run -- PROGRAM`.",
    ),
)


def settings(scene: Scene) -> Iterator[Finding]:
    wrong = False
    for warning in scene.warnings:
        wrong = True
        yield Finding("settings", "warning", warning, "`cgw config` shows every setting and where it came from.")
    if scene.settings.upstream_proxy and _is_interceptor(scene.settings.upstream_proxy, scene):
        wrong = True
        yield Finding(
            "settings",
            "problem",
            "UPSTREAM_PROXY leads to cgw's own interceptor: requests would go round in a circle.",
            "Unset UPSTREAM_PROXY, or name the proxy by which this machine reaches Anthropic.",
        )
    if not is_loopback(scene.settings.host):
        wrong = True
        yield Finding(
            "settings",
            "warning",
            f"cgw listens on {scene.settings.host}: other machines can reach it, and the key travels unencrypted.",
            "Leave HOST out, unless you mean to share it in a network you trust.",
        )
    if not wrong:
        yield Finding("settings", "ok", "The settings make sense, and only this machine can reach cgw.")
