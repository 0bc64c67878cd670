"""The search for an interpreter believes what runs, not what is named well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = Path(getattr(sys, "_base_executable", sys.executable))

SHIM_OF_NOTHING = "echo 'pyenv: not found' >&2\nexit 127"
TOO_OLD = "exit 1"
NO_ENSUREPIP = "echo \"ModuleNotFoundError: No module named 'ensurepip'\" >&2\nexit 1"
FIT = f'exec "{BASE}" "$@"'

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")


def interpreter(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def find(*folders: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / "scripts/find-python.sh")],
        env={"PATH": os.pathsep.join(map(str, folders)), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def found(*folders: Path, **environment: str) -> Path:
    answer = find(*folders, **environment)
    assert answer.returncode == 0, answer.stderr
    return Path(answer.stdout.strip())


@pytest.mark.parametrize("unfit", [SHIM_OF_NOTHING, TOO_OLD, NO_ENSUREPIP], ids=["shim", "old", "no-ensurepip"])
def test_an_unfit_interpreter_in_front_is_passed_over(tmp_path: Path, unfit: str) -> None:
    for name in ("python3.14", "python3.13", "python3.12", "python3", "python"):
        interpreter(tmp_path / "front" / name, unfit)
    interpreter(tmp_path / "behind" / "python3", FIT)
    assert found(tmp_path / "front", tmp_path / "behind").samefile(BASE)


def test_a_pyenv_whose_shims_are_on_path_is_looked_into(tmp_path: Path) -> None:
    interpreter(tmp_path / "pyenv/shims/python3", SHIM_OF_NOTHING)
    interpreter(tmp_path / "pyenv/versions/3.9.18/bin/python3", TOO_OLD)
    interpreter(tmp_path / "pyenv/versions/3.12.1/bin/python3", FIT)
    assert found(tmp_path / "pyenv/shims").samefile(BASE)


@pytest.mark.parametrize("variable", ["PYENV_ROOT", "HOME"])
def test_a_pyenv_off_path_is_looked_into(tmp_path: Path, variable: str) -> None:
    home = tmp_path / "a home"
    interpreter(home / ".pyenv/versions/3.13.0/bin/python3", FIT)
    place = home / ".pyenv" if variable == "PYENV_ROOT" else home
    assert found(tmp_path / "empty", **{variable: str(place)}).samefile(BASE)


def test_a_virtual_environment_leads_to_the_interpreter_it_was_made_with(tmp_path: Path) -> None:
    subprocess.run([BASE, "-m", "venv", "--without-pip", tmp_path / "active"], check=True)
    assert found(tmp_path / "active/bin").samefile(BASE)


def test_an_interpreter_that_was_named_is_taken_before_all_others(tmp_path: Path) -> None:
    named = interpreter(tmp_path / "opt/its python", FIT)
    interpreter(tmp_path / "bin/python3", FIT)
    assert found(tmp_path / "bin", PYTHON=str(named)).samefile(BASE)


def test_a_named_interpreter_that_is_unfit_is_refused_in_one_sentence(tmp_path: Path) -> None:
    answer = find(tmp_path, PYTHON=str(interpreter(tmp_path / "python3", TOO_OLD)))
    assert answer.returncode == 1
    assert not answer.stdout
    assert len(answer.stderr.splitlines()) == 1
    assert "older than CPython 3.12" in answer.stderr
