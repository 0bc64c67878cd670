"""Cline: its command line keeps providers in a file, which it writes itself after every use."""

from __future__ import annotations

from sidecar.commands.connecting import key_place
from sidecar.connect.address import Address
from sidecar.connect.document import Value
from sidecar.connect.edits import Frame, Own, Put
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool

PROVIDER = ("providers", "anthropic")
MODEL = "claude-sonnet-5-5"
"""By its full name: names decide how Cline edits."""


def plan(address: Address, machine: Machine) -> Plan:
    settings: dict[str, Value] = {
        "provider": "anthropic",
        "apiKey": address.key.value,
        "model": MODEL,
        "baseUrl": address.url,
    }
    return Plan(
        road="/v1/messages, through its Anthropic provider: nothing is translated",
        file=machine.home / ".cline" / "data" / "settings" / "providers.json",
        edits=(
            Frame(("version",), 1),
            Frame(("modes",), {}),
            Put(("lastUsedProvider",), "anthropic"),
            Own(PROVIDER),
            *(Put((*PROVIDER, "settings", name), value) for name, value in settings.items()),
            # Without these two the whole file counts as broken, and is made anew.
            Put((*PROVIDER, "updatedAt"), "2026-01-01T00:00:00.000Z", unless_there=True),
            Put((*PROVIDER, "tokenSource"), "manual", unless_there=True),
        ),
        has_key=True,
        steps=(
            (
                "Where Cline in the editor does not show it: settings (the gear), API Provider `Anthropic`, as key "
                f"{key_place(address.key.file)}, and under `Use custom base URL` {address.url}, without /v1."
            ),
        ),
        notes=(
            "The command line uses it at once. Versions of the extension keep it in VS Code's secret store instead.",
        ),
    )


TOOL = Tool(
    "cline", "Cline", Signs(programs=("cline",), extensions=("saoudrizwan.claude-dev",), folders=(".cline",)), plan
)
