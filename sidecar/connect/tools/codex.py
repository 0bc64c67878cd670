"""Codex: a provider in TOML, and a command that prints the key. It speaks the Responses API and nothing else."""

from __future__ import annotations

from sidecar.connect.address import Address
from sidecar.connect.edits import Edit, Put
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool, key_command

PROVIDER = ("model_providers", "cgw")


def plan(address: Address, machine: Machine) -> Plan:
    command = key_command(address.key, machine)
    key: tuple[Edit, ...]
    if address.key.variable:
        key = (Put((*PROVIDER, "env_key"), address.key.variable),)
    elif command is not None:
        key = (Put((*PROVIDER, "auth", "command"), command[0]), Put((*PROVIDER, "auth", "args"), list(command[1:])))
    else:
        key = (Put((*PROVIDER, "experimental_bearer_token"), address.key.value),)
    return Plan(
        road="/v1/responses, the only language that it has",
        file=machine.named("CODEX_HOME", machine.home / ".codex") / "config.toml",
        edits=(
            Put(("model",), "sonnet"),
            Put(("model_provider",), "cgw"),
            Put((*PROVIDER, "name"), "cgw"),
            Put((*PROVIDER, "base_url"), address.openai),
            Put((*PROVIDER, "wire_api"), "responses"),
            *key,
        ),
        has_key=command is None and not address.key.variable,
    )


TOOL = Tool("codex", "Codex", Signs(programs=("codex",), folders=(".codex",)), plan)
