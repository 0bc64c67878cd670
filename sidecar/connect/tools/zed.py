"""Zed: the base URL is a setting, the key is the keychain's."""

from __future__ import annotations

from sidecar.commands.connecting import key_place
from sidecar.connect.address import Address
from sidecar.connect.edits import Put
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool


def plan(address: Address, machine: Machine) -> Plan:
    folder = machine.config / "zed"
    if machine.platform == "win32":
        folder = machine.applications / "Zed"
    elif machine.platform == "darwin":
        folder = machine.home / ".config" / "zed"
    return Plan(
        road="/v1/messages, through its Anthropic provider: nothing is translated",
        file=folder / "settings.json",
        edits=(Put(("language_models", "anthropic", "api_url"), address.url),),
        steps=(
            (
                "In Zed run `agent: open settings`, open Anthropic under LLM Providers, and paste the key: "
                f"{key_place(address.key.file)}. Zed keeps it in the system's keychain, where no other program puts it."
            ),
        ),
        notes=("ANTHROPIC_API_KEY in the environment that Zed starts in comes before its keychain.",),
    )


TOOL = Tool("zed", "Zed", Signs(programs=("zed", "zeditor"), folders=("zed", "Zed")), plan)
