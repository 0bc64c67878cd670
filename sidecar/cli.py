"""The command line. Commands say what happens; everything heavy is imported by the one command that needs it.

Exit codes: 0 ok, 1 failed, 2 wrong usage or settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar import __version__
from sidecar.commands.accounts import accounts
from sidecar.commands.ca import ca
from sidecar.commands.cache import cache
from sidecar.commands.connect import connect
from sidecar.commands.doctor import doctor
from sidecar.commands.env import env, run
from sidecar.commands.files import files
from sidecar.commands.help import Commands
from sidecar.commands.projects import projects
from sidecar.commands.record import record
from sidecar.commands.replay import replay
from sidecar.commands.route import route
from sidecar.commands.running import already_running, find, health, is_claimed, tell_to_stop, wait_until_stopped
from sidecar.commands.show import show
from sidecar.commands.terminal import console, fail, on_a_terminal, one_sentence, say, warn
from sidecar.home import Home
from sidecar.interception import telling as interception

if TYPE_CHECKING:
    from sidecar.config import Settings
    from sidecar.config_sources import LoadedSettings

RUN = "Run"
LOOK = "Look"
OFFLINE = "Offline, without a key"

FLAG = ""
"""A switch takes no value, so none is named in the help."""

PATIENCE_SECONDS = 1.0
"""After this long, `cgw down` says what it waits for."""

app = typer.Typer(
    name="cgw",
    help="The sidecar between your editor and Claude.\n\n"
    "Start with `cgw demo` (no key, no network), then `export ANTHROPIC_API_KEY=...` and `cgw up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The console script `cgw`."""
    app()


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cgw {__version__}")
        raise typer.Exit


@app.callback()
def _cgw(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=RUN)
def up(
    host: Annotated[str | None, typer.Option(help="Address to listen on; else CGW_HOST, else 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port, 0 for a free one; else CGW_PORT, else 4343.", min=0, max=65535)
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="No dashboard: one line a request.", metavar=FLAG)
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Run in the background and return once it answers.", metavar=FLAG)
    ] = False,
    addon: Annotated[
        list[Path] | None,
        typer.Option(help="A Python file with addons of your own; may be given more than once.", metavar="FILE.py"),
    ] = None,
    router: Annotated[
        Path | None,
        typer.Option(help="A Python file with a router of your own; else ROUTER.", metavar="FILE.py"),
    ] = None,
    intercept: Annotated[
        bool,
        typer.Option("--intercept", help="Also start the interceptor, for programs without a base URL.", metavar=FLAG),
    ] = False,
    intercept_port: Annotated[
        int | None, typer.Option(help="Its port, 0 for a free one; else INTERCEPT_PORT, else 4344.", min=0, max=65535)
    ] = None,
    log_to_file: Annotated[bool, typer.Option("--log-to-file", hidden=True)] = False,
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
    inherit: Annotated[str | None, typer.Option("--inherit", hidden=True)] = None,
) -> None:
    """Start the sidecar: on a terminal with its dashboard, else in the foreground."""
    with one_sentence():
        home = Home.locate()
        router = router.absolute() if router is not None else None
        flags = {
            "host": host,
            "port": port,
            "intercept": intercept or None,
            "intercept_port": intercept_port,
            "router": router,
        }
        loaded = _load(home, **flags)
        addons = [path.absolute() for path in addon or ()]
        given = (("host", host), ("port", port), ("intercept-port", intercept_port), ("router", router))
        arguments = [f"--addon={path}" for path in addons]
        arguments += [f"--{name}={value}" for name, value in given if value is not None]
        arguments += ["--intercept"] if intercept else []
        if detach or (not headless and on_a_terminal()):
            warn(loaded.warnings)
            _up_in_background(home, loaded.settings, arguments, detach=detach)
            return
        arguments += ["--log-to-file"] if log_to_file else []
        arguments += ["--until-stdin-closes"] if until_stdin_closes else []
        _up_here(home, loaded, flags, addons, arguments, inherit)


def _up_here(
    home: Home,
    loaded: LoadedSettings,
    flags: dict[str, Any],
    addons: list[Path],
    arguments: list[str],
    inherit: str | None,
) -> None:
    from sidecar.application import StartError
    from sidecar.commands import foreground
    from sidecar.commands.handover import Inheritance
    from sidecar.user_files import UserFileError

    settings = loaded.settings
    home.open()
    if "--log-to-file" in arguments:
        foreground.log_to_file(home.log_file, settings.log_level)
    else:
        foreground.log_to_terminal(settings.log_level)
        warn(loaded.warnings)
    if "--until-stdin-closes" in arguments:
        foreground.stop_when_stdin_closes()
    try:
        code = foreground.run(
            settings,
            home,
            addon_files=addons,
            on_ready=lambda url: say(_welcome(url, home, settings, "Ctrl-C stops it.")),
            read=lambda: _load(home, **flags).settings,
            arguments=arguments,
            inheritance=Inheritance.of(inherit) if inherit else None,
        )
    except (StartError, UserFileError) as error:
        fail(str(error))
    if code:
        raise typer.Exit(code)


def _up_in_background(home: Home, settings: Settings, arguments: list[str], *, detach: bool) -> None:
    from sidecar.commands import dashboard
    from sidecar.commands.background import BackgroundSidecar

    if is_claimed(home):
        fail(already_running(home))
    if not detach:
        dashboard.import_meanwhile()
    child = BackgroundSidecar(home, arguments, tied=not detach)
    url = child.running.url
    if detach:
        say(_welcome(url, home, settings, f"Requests are logged in {home.log_file}; `cgw down` stops it."))
        return
    if settings.intercept:
        say(interception.welcome(settings))
    ending: dashboard.Ending = "stop"
    try:
        ending = dashboard.watch(url, home, settings, owns_sidecar=True)
    finally:
        if ending == "leave":
            child.leave()
            say(f"The sidecar goes on at {url}: `cgw tui` shows it again, `cgw down` stops it.")
        else:
            say("Stopping.")
            child.close()


@app.command(rich_help_panel=RUN)
def down() -> None:
    """Stop the running sidecar, after the answers in flight."""
    from sidecar.commands.background import STOP_SECONDS

    with one_sentence():
        home = Home.locate()
        if not is_claimed(home):
            say("No cgw is running.")
            return
        if (running := find(home)) is None:
            fail(already_running(home))
        tell_to_stop(running)
        if not wait_until_stopped(home, PATIENCE_SECONDS):
            say("Waiting for the answers in flight; a second `cgw down` cuts them off.")
            if not wait_until_stopped(home, STOP_SECONDS):
                fail(f"It is still running as process {running.pid}: see {home.log_file}.")
        say(f"Stopped the cgw at {running.url}.")


@app.command(rich_help_panel=RUN)
def reload() -> None:
    """Let the running sidecar read cgw.toml anew; streams that run go on undisturbed."""
    with one_sentence():
        told = _ask_sidecar("/admin/reload")
        say(f"In effect: {', '.join(told['applied'])}." if told["applied"] else "Nothing that can change changed.")
        if told["restart"]:
            say(f"Waiting for `cgw restart`: {', '.join(told['restart'])}.")


@app.command(rich_help_panel=RUN)
def restart() -> None:
    """Put a new process in the running one's place, at the same port; answers in flight are given by the old one."""
    with one_sentence():
        told = _ask_sidecar("/admin/restart")
        say(f"Process {told['pid']} answers now; process {told['before']} ends with its last answer.")


def _ask_sidecar(path: str) -> dict[str, Any]:
    from sidecar.commands.admin_request import ask_running

    home = Home.locate()
    if (running := find(home)) is None:
        fail(already_running(home) if is_claimed(home) else "No cgw is running: start one with `cgw up`.")
    return ask_running(running, home, _load(home).settings, "POST", path)


@app.command(rich_help_panel=LOOK)
def status(as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar=FLAG)] = False) -> None:
    """Whether a sidecar runs, and where; exit code 1 when none does."""
    with one_sentence():
        home = Home.locate()
        running = find(home)
        told = health(running.url) if running else None
        if as_json:
            state = {"pid": running.pid, "url": running.url, "started": running.started} if running else {}
            typer.echo(json.dumps({"running": is_claimed(home), "home": str(home.path), **state, "health": told}))
        elif running is None:
            say(already_running(home) if is_claimed(home) else "No cgw is running: start one with `cgw up`.")
        elif told is None:
            say(f"The cgw at {running.url} (process {running.pid}) does not answer: it is stopping, or stuck.")
        else:
            say(
                f"cgw {running.version} runs at {running.url} (process {running.pid}, since {running.started}): "
                f"{told.get('requests', 0)} requests, {told.get('in_flight', 0)} in flight."
            )
            say(_ledger_line(told.get("ledger") or {}, home))
            if line := interception.state_line(told.get("interceptor") or {}):
                say(line)
            warn(told.get("warnings") or ())
        raise typer.Exit(0 if told else 1)


@app.command(rich_help_panel=LOOK)
def tui(
    url: Annotated[
        str | None, typer.Option(help="Another sidecar than the one of this machine; its key is ADMIN_API_KEY's.")
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show it in a browser: prints a link of its own.", metavar=FLAG)
    ] = False,
    port: Annotated[
        int, typer.Option(help="The browser's port, 0 for a free one; only with --serve.", min=0, max=65535)
    ] = 4345,
) -> None:
    """The dashboard of a running sidecar; leaving it does not stop anything."""
    from sidecar.commands import dashboard

    with one_sentence():
        home = Home.locate()
        loaded = _load(home)
        url = dashboard.address(home, loaded.settings, url)
        if serve:
            from sidecar.commands.browser import Browser

            Browser(["tui", f"--url={url}"], port, say).serve()
        else:
            dashboard.watch(url, home, loaded.settings)


class Place(StrEnum):
    """What `cgw config --path` can tell."""

    HOME = "home"
    CONFIG = "config"
    KEY = "key"
    LOG = "log"


PLACES: dict[Place, Callable[[Home], Path]] = {
    Place.HOME: lambda home: home.path,
    Place.CONFIG: lambda home: home.config_file,
    Place.KEY: lambda home: home.gateway_key_file,
    Place.LOG: lambda home: home.log_file,
}


@app.command(rich_help_panel=LOOK)
def config(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar=FLAG)] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The defaults, as the user guide has them.", metavar=FLAG)
    ] = False,
    path: Annotated[Place | None, typer.Option(help="Only where something is kept.")] = None,
) -> None:
    """Every setting, its value and where it came from; secrets are masked."""
    with one_sentence():
        home = Home.locate()
        if path is not None:
            typer.echo(str(PLACES[path](home)))
            return
        from sidecar.commands import config_table

        if markdown:
            typer.echo(config_table.as_markdown(), nl=False)
            return
        loaded = _load(home)
        warn(loaded.warnings)
        if as_json:
            typer.echo(json.dumps({"home": str(home.path), "settings": config_table.as_json(loaded)}))
            return
        console().print(config_table.as_rich_table(loaded))
        say(f"Environment first, then {home.config_file}, then defaults.")


@app.command(rich_help_panel=OFFLINE)
def demo(
    headless: Annotated[
        bool, typer.Option("--headless", help="No dashboard: the session as text, with a summary.", metavar=FLAG)
    ] = False,
) -> None:
    """Play an editor session through a sidecar in front of a simulated Claude, and watch the dashboard."""
    with one_sentence():
        if headless or not on_a_terminal():
            from sidecar.commands.demo import play

            raise typer.Exit(0 if play(console()) else 1)
        from sidecar.commands.demo_dashboard import show

        show()


@app.command(rich_help_panel=OFFLINE)
def simulate(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """Run the simulated Claude alone, for tools and tests of your own."""
    from sidecar.commands.simulate import serve_until_stopped

    with one_sentence():
        serve_until_stopped(port, say)


def _ledger_line(ledger: dict[str, Any], home: Home) -> str:
    """How the ledger is doing, from a sidecar's `/health`."""
    line = f"Ledger: {ledger.get('state', 'unknown')}, {ledger.get('written', 0)} rows written"
    if pending := ledger.get("pending"):
        line += f", {pending} waiting"
    if dropped := ledger.get("dropped"):
        line += f", {dropped} LOST"
    return f"{line}." if ledger.get("state") in ("ok", "starting") else f"{line}: {home.log_file} says why."


def _load(home: Home, **flags: object) -> LoadedSettings:
    from sidecar.config_sources import load_settings

    return load_settings(home, flags)


def _welcome(url: str, home: Home, settings: Settings, ending: str) -> str:
    from sidecar.commands.connecting import connection_lines, key_file, key_place

    file = key_file(home, settings)
    first, key = f"cgw {__version__} listens on {url}. {ending}", f"Key: {key_place(file)}"
    more = [interception.welcome(settings)] if settings.intercept else []
    return "\n".join((first, key, connection_lines(url, file), *more))


app.add_typer(projects, rich_help_panel=LOOK)
app.add_typer(cache, rich_help_panel=LOOK)
app.add_typer(route, rich_help_panel=LOOK)
app.add_typer(ca, rich_help_panel=RUN)
app.command(rich_help_panel=RUN)(connect)
app.command(rich_help_panel=RUN)(env)
app.command(rich_help_panel=RUN, context_settings={"allow_interspersed_args": False})(run)
app.add_typer(accounts)
app.add_typer(files)
app.add_typer(show)
app.command(rich_help_panel=LOOK)(doctor)
app.command(rich_help_panel=LOOK)(record)
app.command(rich_help_panel=OFFLINE)(replay)
