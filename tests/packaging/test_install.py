"""Setting up the environment: once, over again when the lock changed, and from anew when it is broken.

The interpreter is a stand-in that notes what it is asked to do; `make test` itself is the proof with a real one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

STANDIN = """#!/bin/sh
case "$*" in
    "-I -c "*) printf %s "$0" ;;
    "-m venv --clear .venv") rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip "*) echo "$*" >>pip.log; [ ! -f pip-fails ] ;;
    "-c ") ;;
    *) echo "unexpected: $*" >&2; exit 3 ;;
esac
"""

LOCKED_PIP = "pip==26 \\\n    --hash=sha256:0\n    # via cgw\n"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")


class Checkout:
    def __init__(self, folder: Path, interpreter: Path) -> None:
        self.folder = folder
        self.interpreter = interpreter

    def try_to_install(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "scripts/install.sh"],
            cwd=self.folder,
            env={**os.environ, "PYTHON": str(self.interpreter)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def install(self) -> None:
        done = self.try_to_install()
        assert done.returncode == 0, done.stderr
        assert not (self.folder / ".venv-lock").exists()

    def pip_runs(self) -> list[str]:
        """What pip was asked since the last look."""
        log = self.folder / "pip.log"
        runs = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return runs

    def leave_a_file(self) -> Path:
        """Something that an environment made anew no longer has."""
        left = self.folder / ".venv/left"
        left.touch()
        return left


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A whole one, in a folder whose name has a space."""
    folder = tmp_path / "a checkout"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "pyproject.toml").touch()
    (folder / "requirements.lock").write_text(f"one==1 \\\n    --hash=sha256:1\n{LOCKED_PIP}two==2\n")
    interpreter = tmp_path / "its python"
    interpreter.write_text(STANDIN)
    interpreter.chmod(0o755)
    checkout = Checkout(folder, interpreter)
    checkout.install()
    return checkout


def test_packages_are_taken_by_their_hashes_and_the_project_without_any_download(checkout: Checkout) -> None:
    pip_itself, packages, project = checkout.pip_runs()
    for run in pip_itself, packages:
        assert {"--require-hashes", "--no-deps"} <= set(run.split())
    assert (checkout.folder / ".venv/pip.txt").read_text() == LOCKED_PIP
    assert packages.endswith("--requirement requirements.lock")
    assert {"--no-deps", "--no-build-isolation"} <= set(project.split())
    assert project.endswith("--editable .")


def test_a_second_time_has_nothing_to_do(checkout: Checkout) -> None:
    checkout.pip_runs()
    assert checkout.try_to_install().stdout == ""
    assert checkout.pip_runs() == []


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_changed_source_is_installed_over_what_is_there(checkout: Checkout, changed: str) -> None:
    left = checkout.leave_a_file()
    checkout.pip_runs()
    (checkout.folder / changed).write_text("# changed\n")
    checkout.install()
    assert len(checkout.pip_runs()) == 3
    assert left.exists()


def test_an_installation_that_failed_half_way_is_made_anew(checkout: Checkout) -> None:
    left = checkout.leave_a_file()
    (checkout.folder / "requirements.lock").write_text("# changed\n")
    (checkout.folder / "pip-fails").touch()
    assert checkout.try_to_install().returncode == 1
    assert left.exists()
    (checkout.folder / "pip-fails").unlink()
    checkout.install()
    assert not left.exists()


def test_an_environment_whose_interpreter_is_gone_is_made_anew(checkout: Checkout) -> None:
    left = checkout.leave_a_file()
    (checkout.folder / ".venv/bin/python").unlink()
    checkout.install()
    assert not left.exists()


def test_an_environment_that_was_made_in_another_folder_is_made_anew(checkout: Checkout, tmp_path: Path) -> None:
    moved = Checkout(checkout.folder.rename(tmp_path / "moved"), checkout.interpreter)
    left = moved.leave_a_file()
    moved.install()
    assert not left.exists()


def test_the_claim_of_an_installer_that_was_killed_does_not_hold_up_the_next(checkout: Checkout) -> None:
    ended = subprocess.Popen(["/bin/sh", "-c", "exit 0"])
    ended.wait()
    (checkout.folder / ".venv-lock").mkdir()
    (checkout.folder / ".venv-lock/pid").write_text(f"{ended.pid}\n")
    (checkout.folder / ".venv/installed-from").unlink()
    checkout.install()


def test_a_second_installer_waits_for_the_first(checkout: Checkout) -> None:
    (checkout.folder / ".venv/installed-from").unlink()
    first = subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE)
    (checkout.folder / ".venv-lock").mkdir()
    (checkout.folder / ".venv-lock/pid").write_text(f"{first.pid}\n")
    second = subprocess.Popen(
        ["/bin/sh", "scripts/install.sh"],
        cwd=checkout.folder,
        env={**os.environ, "PYTHON": str(checkout.interpreter)},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert second.stderr is not None
    with second.stderr:
        assert str(first.pid) in second.stderr.readline()
        assert second.poll() is None
        first.communicate(b"\n")
        shutil.rmtree(checkout.folder / ".venv-lock", ignore_errors=True)
        assert second.wait(30) == 0
