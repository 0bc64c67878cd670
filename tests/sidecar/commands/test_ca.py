"""`cgw ca` as its user meets it. What would change the system is a stand-in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sidecar.commands.ca import ca
from sidecar.home import Home
from sidecar.interception import trust as module
from sidecar.interception.authority import authority_of
from sidecar.interception.trust import TrustStore


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A system that trusts what is in one file."""
    store = tmp_path / "trusted"
    copy = "import shutil, sys; shutil.copy(*sys.argv[1:])"
    remove = "import os, sys; os.remove(sys.argv[1])"
    row = TrustStore(
        sys.platform,
        sys.executable,
        "for you",
        trust=((sys.executable, "-c", copy, "{file}", str(store)),),
        untrust=((sys.executable, "-c", remove, str(store)),),
    )
    monkeypatch.setattr(module, "STORES", (row,))
    return store


def cgw_ca(home: Home, *arguments: str) -> Result:
    ran = CliRunner().invoke(ca, arguments, env={"CGW_HOME": str(home.path), "NO_COLOR": "1", "INTERCEPT_HOSTS": ""})
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


def test_its_path_is_all_that_is_printed(home: Home) -> None:
    certificate = Path(cgw_ca(home, "path").stdout.rstrip("\n"))
    assert certificate == authority_of(home).certificate
    assert certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    bundle = Path(cgw_ca(home, "path", "--bundle").stdout.rstrip("\n"))
    assert certificate.read_bytes() in bundle.read_bytes()


def test_trusting_is_shown_and_not_done(home: Home, system: Path) -> None:
    said = cgw_ca(home, "trust").stdout
    assert str(authority_of(home).certificate) in said
    assert "Nothing was done yet" in said
    assert not system.exists()


def test_trusting_and_forgetting_is_done_when_asked_for(home: Home, system: Path) -> None:
    assert "programs trust it for you" in cgw_ca(home, "trust", "--run").stdout
    assert system.read_bytes() == authority_of(home).certificate.read_bytes()
    assert "nothing trusts it any more" in cgw_ca(home, "untrust", "--run").stdout
    assert not system.exists()


def test_a_command_that_fails_is_told_of(home: Home, system: Path) -> None:
    cgw_ca(home, "path")
    ran = cgw_ca(home, "untrust", "--run")
    assert ran.exit_code == 1
    assert "failed with exit code 1" in ran.stderr


def test_there_may_be_nothing_to_forget(home: Home, system: Path) -> None:
    assert "There is no authority" in cgw_ca(home, "untrust").stdout
    assert not authority_of(home).folder.exists()


def test_a_system_without_a_store_is_told_what_to_do(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STORES", ())
    ran = cgw_ca(home, "trust")
    assert ran.exit_code == 1
    assert "cgw ca path" in ran.stderr
