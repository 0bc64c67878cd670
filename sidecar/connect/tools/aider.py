"""aider: a flat YAML file, and an edit format that does not write whole files anew."""

from __future__ import annotations

from sidecar.connect.address import Address
from sidecar.connect.edits import Put
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool


def plan(address: Address, machine: Machine) -> Plan:
    settings = {
        "openai-api-base": address.openai,
        "openai-api-key": address.key.value,
        "model": "openai/sonnet",
        "weak-model": "openai/haiku",
        "edit-format": "diff",
    }
    return Plan(
        road="/v1/chat/completions: for /v1/messages LiteLLM, through which aider calls models, would end answers of "
        "names that it does not know after 4,096 tokens",
        file=machine.home / ".aider.conf.yml",
        edits=tuple(Put((name,), value) for name, value in settings.items()),
        has_key=True,
        notes=(
            (
                "`edit-format: diff` is what saves most: for names that it does not know aider has every changed file "
                "written whole."
            ),
            "All of aider's openai/ models go to cgw now. A .aider.conf.yml in a repository comes before this one.",
        ),
    )


TOOL = Tool("aider", "aider", Signs(programs=("aider",), folders=(".aider.conf.yml", ".aider")), plan)
