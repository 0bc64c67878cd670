"""Everybody installs from requirements.lock: it must cover pyproject.toml and name no place to download from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()

#: one per interpreter and system that the lock is for
TARGETS = [
    {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": platform,
        "os_name": "nt" if platform == "win32" else "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for version in ("3.12", "3.13", "3.14")
    for platform in ("linux", "darwin", "win32")
]


def declared() -> list[Requirement]:
    """Everything that pyproject.toml asks for: to build, to run, every extra, and to develop."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = pyproject["project"]
    lines = [*pyproject["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    for group in pyproject["dependency-groups"].values():
        lines += group
    return [Requirement(line) for line in lines]


def locked() -> list[tuple[Requirement, str]]:
    """Each pin with the lines that follow it."""
    entries = re.split(r"^(?=\w)", LOCK, flags=re.MULTILINE)[1:]
    return [(Requirement(entry.splitlines()[0].rstrip(" \\")), entry) for entry in entries]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target['sys_platform']}-{target['python_version']}")
def test_every_declared_dependency_is_pinned_to_a_version_that_fits(target: dict[str, str]) -> None:
    pins = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin, _ in locked()
        if pin.marker is None or pin.marker.evaluate(target)
    }
    wanted = [one for one in declared() if one.marker is None or one.marker.evaluate(target)]
    unfit = [
        f"{one} (locked: {pins.get(canonicalize_name(one.name))})"
        for one in wanted
        if (version := pins.get(canonicalize_name(one.name))) is None or version not in one.specifier
    ]
    assert not unfit, f"run `make lock`: {unfit}"


def test_every_locked_package_is_one_version_with_hashes() -> None:
    for pin, entry in locked():
        assert [each.operator for each in pin.specifier] == ["=="], entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]


def test_the_lock_names_no_index_no_address_and_no_folder_of_the_machine_that_made_it() -> None:
    options = [line for line in LOCK.splitlines() if line.startswith("-")]
    assert not options
    assert not re.findall(r"://|@ ?file|^\s*#.*[ (]/", LOCK, flags=re.MULTILINE)
