"""The editors and agents of this machine: do they come here?"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.commands.sockets import url_at
from sidecar.connect.actions import State, state_of
from sidecar.connect.address import Address, Key
from sidecar.connect.machine import Machine
from sidecar.connect.tools import TOOLS
from sidecar.doctor.finding import Finding
from sidecar.doctor.scene import Scene


def editors(scene: Scene) -> Iterator[Finding]:
    url = scene.running.url if scene.running else url_at(scene.settings.host, scene.settings.port)
    if scene.running is None and not scene.settings.port:
        return  # nobody knows yet where it will listen
    address, machine = Address(url, Key("")), Machine(environ=scene.environ)
    for tool in TOOLS:
        if not tool.signs.seen(machine):
            continue
        plan = tool.plan(address, machine)
        state, command = state_of(plan, address.url), f"cgw connect {tool.name}"
        if plan.cannot:
            yield Finding("editors", "note", f"{tool.title}: {plan.cannot}")
        elif state is State.HERE:
            yield Finding("editors", "ok", f"{tool.title} comes here by {plan.road}.")
        elif state is State.BY_HAND:
            yield Finding(
                "editors", "note", f"{tool.title} is set by hand: cgw cannot see where it goes.", f"`{command}`."
            )
        elif state is State.UNREADABLE:
            yield Finding(
                "editors", "warning", f"{tool.title}: {plan.file} cannot be read.", f"`{command}` shows what it needs."
            )
        else:
            yield Finding("editors", "note", f"{tool.title} does not come here.", f"`{command} --write` leads it here.")
