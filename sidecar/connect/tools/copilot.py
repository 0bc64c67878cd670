"""GitHub Copilot Chat in VS Code: models of one's own, in a list in the user's profile."""

from __future__ import annotations

from sidecar.connect.address import Address
from sidecar.connect.document import Item, Value
from sidecar.connect.edits import Put
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool

GROUP = Item("name", "cgw")
MODELS = {"sonnet": "Claude Sonnet (cgw)", "opus": "Claude Opus (cgw)", "haiku": "Claude Haiku (cgw)"}
INPUT_TOKENS = 168_000
OUTPUT_TOKENS = 32_000


def plan(address: Address, machine: Machine) -> Plan:
    models: list[Value] = [
        {
            "id": model,
            "name": name,
            "url": f"{address.openai}/messages",
            "toolCalling": True,
            "vision": True,
            "maxInputTokens": INPUT_TOKENS,
            "maxOutputTokens": OUTPUT_TOKENS,
            "editTools": ["find-replace", "multi-find-replace"],
        }
        for model, name in MODELS.items()
    ]
    group: dict[str, Value] = {
        "vendor": "customendpoint",
        "apiType": "messages",
        "apiKey": address.key.value,
        "models": models,
    }
    return Plan(
        road="/v1/messages: nothing is translated, and edits come as replacements",
        file=machine.applications / "Code" / "User" / "chatLanguageModels.json",
        edits=tuple(Put((GROUP, name), value) for name, value in group.items()),
        has_key=True,
        steps=(
            (
                "Restart VS Code, and choose one of the models that end in (cgw) in the chat's model list; "
                "`Chat: Manage Language Models` shows them."
            ),
        ),
        notes=(
            "Needs VS Code 1.122 or later. `Chat: Manage Language Models` can move the key into VS Code's own store.",
            "Completions while typing stay with GitHub.",
        ),
    )


TOOL = Tool(
    "copilot",
    "VS Code Copilot Chat",
    Signs(programs=("code",), extensions=("github.copilot-chat",), folders=("Code/User",)),
    plan,
    ("vscode", "vs-code", "vscode-copilot"),
)
