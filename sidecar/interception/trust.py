"""The commands by which a system learns to trust our authority, and forgets it again: a row for each way that systems
have. Where a user can trust something for themselves alone, that is the way here.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.user_errors import UserError

Command = tuple[str, ...]

NAME: Final = "cgw-local-authority"
LOGIN_KEYCHAIN: Final = "Library/Keychains/login.keychain-db"


class NoTrustStoreError(UserError):
    """This system has none that we know; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class TrustStore:
    """`{file}` is the certificate, `{sha1}` its fingerprint, `{home}` the user's home folder."""

    platform: str
    """What `sys.platform` begins with."""
    program: str
    """It is the way where this program is installed."""
    who: str
    """For whom programs then trust it."""
    trust: tuple[Command, ...]
    untrust: tuple[Command, ...]
    needs_root: bool = False


def _copied_to(target: str, update: Command, update_after: Command | None = None) -> dict[str, tuple[Command, ...]]:
    return {
        "trust": (("install", "-m", "644", "{file}", target), update),
        "untrust": (("rm", "-f", target), update_after or update),
    }


EVERYBODY: Final = "for everybody on this machine"
YOU: Final = "for you"

SYSTEM_PROGRAMS: Final = os.pathsep.join(("/usr/sbin", "/sbin", "/usr/local/sbin"))

STORES: Final = (
    TrustStore(
        "darwin",
        "security",
        YOU,
        (
            (
                "security",
                "add-trusted-cert",
                "-r",
                "trustRoot",
                "-p",
                "ssl",
                "-k",
                f"{{home}}/{LOGIN_KEYCHAIN}",
                "{file}",
            ),
        ),
        (("security", "delete-certificate", "-t", "-Z", "{sha1}", f"{{home}}/{LOGIN_KEYCHAIN}"),),
    ),
    TrustStore(
        "win32",
        "certutil",
        YOU,
        (("certutil", "-user", "-addstore", "Root", "{file}"),),
        (("certutil", "-user", "-delstore", "Root", "{sha1}"),),
    ),
    TrustStore(
        "linux",
        "update-ca-certificates",
        EVERYBODY,
        **_copied_to(
            f"/usr/local/share/ca-certificates/{NAME}.crt",
            ("update-ca-certificates",),
            ("update-ca-certificates", "--fresh"),
        ),
        needs_root=True,
    ),
    TrustStore(
        "linux",
        "update-ca-trust",
        EVERYBODY,
        **_copied_to(f"/etc/pki/ca-trust/source/anchors/{NAME}.pem", ("update-ca-trust",)),
        needs_root=True,
    ),
    TrustStore(
        "linux",
        "trust",
        EVERYBODY,
        (("trust", "anchor", "--store", "{file}"),),
        (("trust", "anchor", "--remove", "{file}"),),
        needs_root=True,
    ),
)


def find_program(name: str) -> str | None:
    """Also where sudo looks and a user's PATH often does not."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM_PROGRAMS)


def trust_store(platform: str = sys.platform, installed: Callable[[str], str | None] = find_program) -> TrustStore:
    """The first one of this system. Raises NoTrustStoreError."""
    for store in STORES:
        if platform.startswith(store.platform) and installed(store.program):
            return store
    raise NoTrustStoreError(
        "cgw knows no way to make this system trust a certificate: add the file from `cgw ca path` to what it trusts, "
        "or start programs with `cgw run --intercept -- PROGRAM`, which needs no trust of the system."
    )


def filled(
    commands: Sequence[Command], store: TrustStore, *, certificate: Path, sha1: str, is_root: bool | None = None
) -> list[Command]:
    """The commands as they are run, with `sudo` where it takes another user than this one."""
    if is_root is None:
        is_root = os.name == "posix" and os.geteuid() == 0
    sudo = ("sudo",) if store.needs_root and not is_root else ()
    names = {"file": str(certificate), "sha1": sha1, "home": str(Path.home())}
    return [(*sudo, *(word.format(**names) for word in command)) for command in commands]
