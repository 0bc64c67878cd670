"""Claude Code: variables in the `env` of its settings, and a command that prints the key."""

from __future__ import annotations

import shlex
import subprocess

from sidecar.connect.address import Address
from sidecar.connect.edits import Drop, Edit, Put
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool, key_command


def plan(address: Address, machine: Machine) -> Plan:
    command = key_command(address.key, machine)
    key: tuple[Edit, ...]
    if command is None:
        key = (Put(("env", "ANTHROPIC_AUTH_TOKEN"), address.key.value),)
    else:
        line = subprocess.list2cmdline(command) if machine.platform == "win32" else shlex.join(command)
        # A token or a key of the user's would win over the command.
        key = (Put(("apiKeyHelper",), line), Drop(("env", "ANTHROPIC_AUTH_TOKEN")), Drop(("env", "ANTHROPIC_API_KEY")))
    return Plan(
        road="/v1/messages, its own language: nothing is translated",
        file=machine.named("CLAUDE_CONFIG_DIR", machine.home / ".claude") / "settings.json",
        edits=(Put(("env", "ANTHROPIC_BASE_URL"), address.url), *key),
        has_key=command is None,
        notes=(
            "Your Anthropic API key pays for what goes through cgw, not a Claude subscription.",
            "A project's own .claude/settings.json and ANTHROPIC_ variables of your shell come before this file.",
        ),
    )


TOOL = Tool("claude-code", "Claude Code", Signs(programs=("claude",), folders=(".claude",)), plan, ("claude",))
