"""The wheel is whole: installed into an environment of its own, far from the checkout, `cgw` runs."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import sidecar

ROOT = Path(__file__).parents[2]
PACKAGES = ("sidecar", "addons", "tui")


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a folder that has nothing to do with the checkout."""

    scripts: Path
    elsewhere: Path

    def run(self, program: str, *arguments: str) -> str:
        """What the program prints; it must succeed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CGW_"))}
        environment |= {"HOME": str(self.elsewhere), "CGW_HOME": str(self.elsewhere / "cgw"), "COLUMNS": "100"}
        done = subprocess.run(
            [self.scripts / program, *arguments],
            cwd=self.elsewhere,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """This environment lends its dependencies but not its cgw: .pth files in a folder that one names are not read."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "env")
    lent = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    site_packages = Path(sysconfig.get_path("purelib", "venv", vars=lent))
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    scripts = Path(sysconfig.get_path("scripts", "venv", vars=lent))
    pip = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "--disable-pip-version-check"]
    # Over the lent environment's own cgw, which pip sees and must leave alone.
    install = ["install", "--quiet", "--no-deps", "--no-index", "--ignore-installed", str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return Installed(scripts, elsewhere)


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    on_disk = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == on_disk
    assert {"sidecar/py.typed", "sidecar/models/models.toml", "tui/cgw.tcss"} <= packed


def test_the_packages_are_imported_from_the_wheel(installed: Installed) -> None:
    names = ", ".join(PACKAGES)
    origins = installed.run("python", "-c", f"import {names}; print(*(each.__file__ for each in ({names})), sep='\\n')")
    for origin in origins.splitlines():
        assert installed.scripts.parent in Path(origin).parents


def test_the_command_tells_its_version_and_its_help(installed: Installed) -> None:
    assert sidecar.__version__ in installed.run("cgw", "--version")
    assert "demo" in installed.run("cgw", "--help")


def test_a_whole_session_runs_from_the_wheel(installed: Installed) -> None:
    assert "The session" in installed.run("cgw", "demo", "--headless")
