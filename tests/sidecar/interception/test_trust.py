"""How each system is told to trust the authority. Shown, not run: this would change the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.interception import trust
from sidecar.interception.trust import STORES, NoTrustStoreError, TrustStore, filled, trust_store

CERTIFICATE = Path("/home/me/cgw/ca/cgw-ca.pem")


def only(*programs: str) -> Callable[[str], str | None]:
    return lambda name: f"/bin/{name}" if name in programs else None


def everything(_: str) -> str:
    return "/bin/it"


def lines(store: TrustStore, which: str, *, is_root: bool = False) -> list[str]:
    commands = getattr(store, which)
    return [
        " ".join(command) for command in filled(commands, store, certificate=CERTIFICATE, sha1="AB12", is_root=is_root)
    ]


def test_debian_copies_the_file_and_updates() -> None:
    store = trust_store("linux", only("update-ca-certificates"))
    place = "/usr/local/share/ca-certificates/cgw-local-authority.crt"
    assert lines(store, "trust") == [f"sudo install -m 644 {CERTIFICATE} {place}", "sudo update-ca-certificates"]
    assert lines(store, "untrust") == [f"sudo rm -f {place}", "sudo update-ca-certificates --fresh"]


def test_a_program_that_sudo_would_find_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's is in /usr/sbin, which its users do not have in PATH."""
    program = tmp_path / "update-ca-certificates"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(trust, "SYSTEM_PROGRAMS", str(tmp_path))
    assert trust_store("linux").program == "update-ca-certificates"


def test_fedora_has_another_folder() -> None:
    store = trust_store("linux", only("update-ca-trust", "trust"))
    place = "/etc/pki/ca-trust/source/anchors/cgw-local-authority.pem"
    assert lines(store, "trust") == [f"sudo install -m 644 {CERTIFICATE} {place}", "sudo update-ca-trust"]
    assert lines(store, "untrust") == [f"sudo rm -f {place}", "sudo update-ca-trust"]


def test_arch_keeps_anchors() -> None:
    store = trust_store("linux", only("trust"))
    assert lines(store, "trust") == [f"sudo trust anchor --store {CERTIFICATE}"]


@pytest.mark.parametrize(("platform", "program"), [("darwin", "security"), ("win32", "certutil")])
def test_macos_and_windows_ask_for_no_other_user(platform: str, program: str) -> None:
    store = trust_store(platform, everything)
    [trust], [untrust] = lines(store, "trust"), lines(store, "untrust")
    assert trust.startswith(program)
    assert str(CERTIFICATE) in trust
    assert "AB12" in untrust  # they know a certificate by its fingerprint


def test_root_needs_no_sudo() -> None:
    store = trust_store("linux", everything)
    assert not any("sudo" in line for line in lines(store, "trust", is_root=True))


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.program)
def test_every_word_of_every_row_can_be_filled_in(store: TrustStore) -> None:
    assert not any("{" in line for which in ("trust", "untrust") for line in lines(store, which))


@pytest.mark.parametrize("platform", ["linux", "freebsd14"])
def test_where_nothing_is_known_another_way_is_named(platform: str) -> None:
    with pytest.raises(NoTrustStoreError, match="cgw run"):
        trust_store(platform, only())
