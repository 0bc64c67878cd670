"""`cgw env` and `cgw run`: the variables that lead programs here, printed for a shell or given to one program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer

from sidecar.commands.terminal import fail, one_sentence, warn
from sidecar.connect.shells import Shell, Word, assignment, detected
from sidecar.home import Home
from sidecar.user_errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sidecar.config_sources import LoadedSettings

NOT_FOUND = 127
NOT_RUNNABLE = 126
"""Exit codes of shells."""

PATIENCE_SECONDS = 15.0
POLL_SECONDS = 0.1

NOT_RUNNING = "No cgw is running: start one with `cgw up`, or nothing answers at {url}."

PAST_IT = "{name} is {url}: programs that read it go there, past the interceptor. Unset it."

Intercept = Annotated[
    bool,
    typer.Option("--intercept", help="Lead it through the interceptor instead, without a base URL.", metavar=""),
]


class NoInterceptorError(UserError):
    """A sidecar runs, and no interceptor beside it."""


def env(
    shell: Annotated[Shell | None, typer.Option(help="For this shell; else for the one that SHELL names.")] = None,
    intercept: Intercept = False,
) -> None:
    """The variables that lead programs to cgw, as lines for a shell."""
    with one_sentence():
        home = Home.locate()
        words, _, warnings = _environment(home, intercept=intercept)
        warn(warnings)
        shell = shell or detected()
        typer.echo("\n".join(assignment(shell, name, word) for name, word in words.items()))


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments.", metavar="COMMAND...")],
    intercept: Intercept = False,
) -> None:
    """Run a program with the variables that lead it to cgw."""
    from sidecar.connect.variables import LEFT_OUT

    with one_sentence():
        _, values, warnings = _environment(Home.locate(), intercept=intercept)
        warn(warnings)
        program = PurePath(command[0]).stem.lower()
        left_out = frozenset() if intercept else LEFT_OUT.get(program, frozenset())
        environ = {name: value for name, value in (os.environ | values).items() if name not in left_out}
        _become(command, environ)


def _environment(home: Home, *, intercept: bool) -> tuple[dict[str, Word], dict[str, str], list[str]]:
    """The variables as a shell may write them, as a program gets them, and what the user should know."""
    from sidecar.config_sources import load_settings

    loaded = load_settings(home)
    if intercept:
        values, warnings = _through_the_interceptor(home, loaded)
        return dict(values), values, warnings
    from sidecar.connect.address import address_of
    from sidecar.connect.variables import base_url_environment, read_words

    address = address_of(home, loaded)
    words = base_url_environment(address, os.environ)
    warnings = [] if address.is_running else [NOT_RUNNING.format(url=address.url)]
    return words, read_words(words, address.key), warnings


def _through_the_interceptor(home: Home, loaded: LoadedSettings) -> tuple[dict[str, str], list[str]]:
    from sidecar.commands.running import find
    from sidecar.connect.variables import BASE_URL_NAMES
    from sidecar.interception.authority import ensure
    from sidecar.interception.environment import proxy_environment
    from sidecar.interception.wire import LISTEN_HOST

    settings = loaded.settings
    running = find(home)
    told = _told_by(running.url) if running else {}
    url = told.get("url")
    if running and not url:
        raise NoInterceptorError(
            "The cgw that runs has no interceptor: stop it with `cgw down` and start it with `cgw up --intercept`."
        )
    if not url:
        if not settings.intercept_port:
            raise NoInterceptorError("No cgw is running: start one with `cgw up --intercept`.")
        url = f"http://{LISTEN_HOST}:{settings.intercept_port}"
    bundle = ensure(home, settings.intercept_hosts).bundle
    warnings = [] if running else [NOT_RUNNING.format(url=url).replace("cgw up", "cgw up --intercept")]
    hosts = {host.partition("/")[0] for host in settings.intercept_hosts}
    warnings += [
        PAST_IT.format(name=name, url=os.environ[name])
        for name in BASE_URL_NAMES
        if os.environ.get(name) and urlsplit(os.environ[name]).hostname not in hosts
    ]
    return proxy_environment(url, bundle), warnings


def _told_by(sidecar_url: str) -> dict[str, Any]:
    """What a sidecar says of its interceptor, which comes up a second or two after it."""
    from sidecar.commands.running import health

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        told: dict[str, Any] = (health(sidecar_url) or {}).get("interceptor") or {}
        if told.get("state") != "starting" or time.monotonic() > deadline:
            return told
        time.sleep(POLL_SECONDS)


def _become(command: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """On Unix this process becomes the program: its signals, its exit code, its terminal are the program's own."""
    program = shutil.which(command[0], path=environ.get("PATH"))
    if program is None and os.path.dirname(command[0]) and os.path.exists(command[0]):  # noqa: PTH110, PTH120
        program = command[0]  # the system says why it cannot be run
    if program is None:
        fail(f"{command[0]} is not found: give its path, or see PATH.", NOT_FOUND)
    sys.stdout.flush()
    try:
        if os.name == "posix":
            os.execve(program, list(command), dict(environ))  # noqa: S606  # that is what was asked for
        raise typer.Exit(_exit_code(program, command, environ))
    except OSError as error:
        fail(f"{command[0]} cannot be run: {error.strerror or error}.", NOT_RUNNABLE)


def _exit_code(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Windows has no `exec` that keeps the terminal: Ctrl-C goes to both, and the program decides."""
    with subprocess.Popen([program, *command[1:]], env=environ) as child:  # noqa: S603  # that is what was asked for
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue
