"""`cgw ca`: the interceptor's certificate authority, and how the system learns to trust it.

Nothing needs that who starts programs with `cgw run --intercept`. The commands that change the system are shown, and
run only when that is asked for.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.commands.terminal import fail, one_sentence, say
from sidecar.home import Home

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sidecar.interception.authority import Authority
    from sidecar.interception.trust import Command

ca = typer.Typer(name="ca", help="The authority that the interceptor signs with.", no_args_is_help=True)

Run = Annotated[bool, typer.Option("--run", help="Run the commands, not only show them.", metavar="")]


@ca.command()
def path(
    bundle: Annotated[
        bool, typer.Option("--bundle", help="The public authorities with it, in one file.", metavar="")
    ] = False,
) -> None:
    """Where its certificate is; it is made when there is none."""
    with one_sentence():
        made = _made(Home.locate())
        typer.echo(str(made.bundle if bundle else made.certificate))


@ca.command()
def trust(run: Run = False) -> None:
    """How this system is told to trust it."""
    with one_sentence():
        from sidecar.interception.authority import fingerprint
        from sidecar.interception.trust import filled, trust_store

        store = trust_store()
        certificate = _made(Home.locate()).certificate
        commands = filled(store.trust, store, certificate=certificate, sha1=fingerprint(certificate))
        _show_or_run(commands, run=run, then=f"After that, programs trust it {store.who}.")


@ca.command()
def untrust(run: Run = False) -> None:
    """How it is forgotten again."""
    with one_sentence():
        from sidecar.interception.authority import authority_of, fingerprint
        from sidecar.interception.trust import filled, trust_store

        certificate = authority_of(Home.locate()).certificate
        if not certificate.exists():
            say("There is no authority, so nothing can trust it.")
            return
        store = trust_store()
        commands = filled(store.untrust, store, certificate=certificate, sha1=fingerprint(certificate))
        _show_or_run(commands, run=run, then="After that, nothing trusts it any more.")


def _made(home: Home) -> Authority:
    from sidecar.config_sources import load_settings
    from sidecar.interception.authority import ensure

    return ensure(home, load_settings(home).settings.intercept_hosts)


def _show_or_run(commands: Sequence[Command], *, run: bool, then: str) -> None:
    for command in commands:
        typer.echo(subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command))
        if not run:
            continue
        try:
            code = subprocess.run(command, check=False).returncode  # noqa: S603  # a row of our table, no shell
        except OSError as error:
            fail(f"{command[0]} cannot be run: {error.strerror or error}.")
        if code:
            fail(f"{command[0]} failed with exit code {code}: nothing more was done.")
    say(then if run else f"{then} Nothing was done yet: paste these lines, or add --run.")
