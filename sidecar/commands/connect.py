"""`cgw connect`: the settings by which a tool comes here, shown, written and taken back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sidecar.commands.env import NOT_RUNNING
from sidecar.commands.terminal import console, fail, one_sentence, say, warn
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.connect.address import Address
    from sidecar.connect.machine import Machine
    from sidecar.connect.tool import Plan, Tool

STATES = {
    "here": "yes",
    "elsewhere": "no, elsewhere",
    "not set": "no",
    "by hand": "set by hand",
    "unreadable": "its settings cannot be read",
}

NOT_LASTING = (
    "{url} is only where cgw listens now: its settings name another port. Set CGW_PORT, or run this again after the "
    "next start."
)

Name = Annotated[str | None, typer.Argument(help="The tool; without one they are all listed.", metavar="[NAME]")]


def connect(
    name: Name = None,
    write: Annotated[bool, typer.Option("--write", help="Write them into its file.", metavar="")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was written.", metavar="")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.", metavar="")] = False,
) -> None:
    """Lead an editor or agent to cgw: shows its exact settings, and writes them when asked."""
    if write and undo:
        fail("--write and --undo are opposites: give one of them.", 2)
    if name is None and (write or undo):
        fail("Which tool? `cgw connect` lists them.", 2)
    with one_sentence():
        from sidecar.config_sources import load_settings
        from sidecar.connect.address import address_of
        from sidecar.connect.machine import Machine
        from sidecar.connect.tools import tool_named

        home, machine = Home.locate(), Machine()
        if name is not None and undo:
            _undo(tool_named(name), home, as_json=as_json)
            return
        address = address_of(home, load_settings(home))
        if name is None:
            _list(address, machine, as_json=as_json)
        elif write:
            _write(tool_named(name), address, machine, home, as_json=as_json)
        else:
            _show(tool_named(name), address, machine, as_json=as_json)
        if not address.is_running and not as_json:
            warn([NOT_RUNNING.format(url=address.url)])
        elif not address.is_lasting and not as_json:
            warn([NOT_LASTING.format(url=address.url)])


def _list(address: Address, machine: Machine, *, as_json: bool) -> None:
    from rich.table import Table

    from sidecar.connect.actions import state_of
    from sidecar.connect.tools import TOOLS

    rows = []
    for tool in TOOLS:
        plan, seen = tool.plan(address, machine), tool.signs.seen(machine)
        rows.append((tool, plan, seen, state_of(plan, address.url)))
    if as_json:
        told = [
            {
                "name": tool.name,
                "title": tool.title,
                "installed": str(seen) if seen else None,
                "points_here": state.value,
                "file": str(plan.file) if plan.file else None,
                "cannot": plan.cannot,
            }
            for tool, plan, seen, state in rows
        ]
        typer.echo(json.dumps({"url": address.url, "tools": told}))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("Name", "Tool", "Installed", "Points here"):
        table.add_column(heading, no_wrap=True)
    for tool, plan, seen, state in rows:
        has_signs = bool(tool.signs.programs or tool.signs.extensions or tool.signs.folders)
        points = "needs a tunnel" if plan.cannot else STATES[state.value] if has_signs else "by `cgw run`"
        installed = "yes" if seen else "not found" if has_signs else ""
        table.add_row(tool.name, tool.title, installed, points)
    console().print(table)
    say(f"`cgw connect NAME` shows how a tool comes to {address.url}; --write does it, --undo takes it back.")


def _show(tool: Tool, address: Address, machine: Machine, *, as_json: bool) -> None:
    from sidecar.connect.actions import state_of
    from sidecar.connect.edits import example

    plan = tool.plan(_without_key(address), machine)
    settings = example(plan.language, plan.edits).rstrip("\n") if plan.file else None
    state = state_of(plan, address.url)
    if as_json:
        typer.echo(json.dumps(_told(tool, plan, address) | {"points_here": state.value, "settings": settings}))
        return
    say(f"{tool.title} {'would come' if plan.cannot else 'comes'} to {address.url} by {plan.road}.")
    _say_cannot(plan)
    if plan.file and settings:
        say(f"\nIn {plan.file}:\n\n{settings}\n")
        if not plan.cannot:
            say("It stands there." if state == "here" else f"`cgw connect {tool.name} --write` writes it there.")
    _say_rest(plan)


def _write(tool: Tool, address: Address, machine: Machine, home: Home, *, as_json: bool) -> None:
    from sidecar.connect import actions
    from sidecar.connect.backups import Backups

    plan, backups = tool.plan(address, machine), Backups(home)
    has_changed = actions.write(tool.name, plan, backups)
    if as_json:
        backup = str(backups.place(tool.name)) if has_changed else None
        typer.echo(json.dumps(_told(tool, plan, address) | {"changed": has_changed, "backup": backup}))
        return
    if has_changed:
        say(f"{tool.title} comes to {address.url} from its next start, by {plan.road}.")
        before = backups.load(tool.name)
        was = f"as it was: {backups.place(tool.name)}" if before and before.before is not None else "a new file"
        say(f"Written: {plan.file} ({was}; --undo takes it back).")
    else:
        say(f"Nothing to change: {plan.file} leads to {address.url} already.")
    if plan.has_key:
        say("The key itself is in that file, because this tool can look for it nowhere else: only you may read it now.")
    _say_rest(plan)


def _undo(tool: Tool, home: Home, *, as_json: bool) -> None:
    from sidecar.connect import actions
    from sidecar.connect.backups import Backups

    done = actions.undo(tool.name, Backups(home))
    if as_json:
        told = {"file": str(done.file), "exactly": done.exactly, "left": done.left} if done else {}
        typer.echo(json.dumps({"name": tool.name, "undone": done is not None, **told}))
    elif done is None:
        say(f"Nothing to undo: cgw has written no settings of {tool.title}.")
    elif done.exactly:
        say(f"{done.file} is what it was before." if done.existed else f"{done.file} is gone: there was none before.")
    else:
        say(f"{done.file} was changed since, so only what cgw had put there was taken out; everything else stays.")
        for setting in done.left:
            say(f"`{setting}` has another value than cgw gave it, and stays too.")


def _told(tool: Tool, plan: Plan, address: Address) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "url": address.url,
        "road": plan.road,
        "file": str(plan.file) if plan.file else None,
        "holds_key": plan.has_key,
        "steps": plan.steps,
        "notes": plan.notes,
        "cannot": plan.cannot,
    }


def _say_cannot(plan: Plan) -> None:
    if plan.cannot:
        console().print(plan.cannot, style="yellow", markup=False, soft_wrap=True)


def _say_rest(plan: Plan) -> None:
    for number, step in enumerate(plan.steps, 1):
        say(f"{number}. {step}" if len(plan.steps) > 1 else f"Then: {step}" if plan.file else step)
    for note in plan.notes:
        say(f"- {note}")


def _without_key(address: Address) -> Address:
    """What is shown on a screen has no key in it."""
    from dataclasses import replace

    from sidecar.commands.connecting import key_place

    return replace(address, key=replace(address.key, value=f"<the key: {key_place(address.key.file)}>"))
