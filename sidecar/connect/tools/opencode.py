"""opencode, and Kilo, which is made from it: both read the key from a file."""

from __future__ import annotations

from pathlib import Path

from sidecar.connect.address import Address, Key
from sidecar.connect.edits import Put
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool

OPTIONS = ("provider", "anthropic", "options")

ROAD = "/v1/messages, through its Anthropic provider: it knows these models, and nothing is translated"
NOTES = (
    "Choose one of the Anthropic models in it: all of them go through cgw now.",
    "A file of this kind in a project comes before this one.",
)


def plan(address: Address, machine: Machine) -> Plan:
    names = ("opencode.jsonc", "opencode.json", "config.json")
    return _plan(address, machine.config / "opencode", names, "opencode.json", "https://opencode.ai/config.json")


def kilo_plan(address: Address, machine: Machine) -> Plan:
    names = ("kilo.jsonc", "kilo.json", "config.json", "opencode.jsonc", "opencode.json")
    return _plan(address, machine.config / "kilo", names, "kilo.json", "https://app.kilo.ai/config.json")


def _plan(address: Address, folder: Path, names: tuple[str, ...], new: str, schema: str) -> Plan:
    """The file that is there and counts most; else a new one."""
    file = next((folder / name for name in names if (folder / name).exists()), folder / new)
    key = reference(address.key)
    return Plan(
        road=ROAD,
        file=file,
        edits=(
            Put(("$schema",), schema, unless_there=True),  # it rewrites a file that has none
            Put((*OPTIONS, "baseURL"), address.openai),
            Put((*OPTIONS, "apiKey"), key or address.key.value),
        ),
        has_key=key is None,
        notes=NOTES,
    )


def reference(key: Key) -> str | None:
    """Where it looks for the key."""
    if key.file is not None:
        return f"{{file:{key.file}}}"
    return f"{{env:{key.variable}}}" if key.variable else None


TOOL = Tool("opencode", "opencode", Signs(programs=("opencode",), folders=("opencode",)), plan)

KILO = Tool(
    "kilo",
    "Kilo Code",
    Signs(programs=("kilo", "kilocode"), extensions=("kilocode.kilo-code",), folders=("kilo",)),
    kilo_plan,
    ("kilocode",),
)
