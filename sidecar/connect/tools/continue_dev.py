"""Continue: models in a list, in YAML or in the older JSON. Which of the two counts is Continue's own rule."""

from __future__ import annotations

from sidecar.connect.address import Address
from sidecar.connect.document import Item, Value
from sidecar.connect.edits import Edit, Frame, Put
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool

MODELS = {"sonnet": "Claude Sonnet (cgw)", "opus": "Claude Opus (cgw)", "haiku": "Claude Haiku (cgw)"}
CONTEXT_TOKENS = 200_000
ANSWER_TOKENS = 32_000
NEW_FILE = {"name": "Local Config", "version": "1.0.0", "schema": "v1"}
"""What Continue wants in a file of its own. A file that is there has it or needs it not."""


def plan(address: Address, machine: Machine) -> Plan:
    folder = machine.named("CONTINUE_GLOBAL_DIR", machine.home / ".continue")
    newer, older = folder / "config.yaml", folder / "config.json"
    is_older = older.exists() and not newer.exists()
    head = () if is_older or newer.exists() else tuple(Frame((name,), value) for name, value in NEW_FILE.items())
    rows = [_in_json(address, model) if is_older else _in_yaml(address, model) for model in MODELS]
    return Plan(
        road="/v1/messages, through its Anthropic provider: nothing is translated",
        file=older if is_older else newer,
        edits=(*head, *(edit for row in rows for edit in row)),
        has_key=True,
        notes=("Choose one of the models that end in (cgw) in its model list.",),
    )


def _in_yaml(address: Address, model: str) -> list[Edit]:
    entry: dict[str, Value] = {
        "provider": "anthropic",
        "model": model,
        "apiBase": f"{address.openai}/",
        "apiKey": address.key.value,
        "capabilities": ["tool_use", "image_input"],  # it knows them of its own only for names that begin with claude-
        "defaultCompletionOptions": {"contextLength": CONTEXT_TOKENS, "maxTokens": ANSWER_TOKENS},
    }
    return [Put(("models", Item("name", MODELS[model]), name), value) for name, value in entry.items()]


def _in_json(address: Address, model: str) -> list[Edit]:
    entry: dict[str, Value] = {
        "provider": "anthropic",
        "model": model,
        "apiBase": f"{address.openai}/",
        "apiKey": address.key.value,
        "capabilities": {"tools": True, "uploadImage": True},
        "contextLength": CONTEXT_TOKENS,
        "completionOptions": {"maxTokens": ANSWER_TOKENS},
    }
    return [Put(("models", Item("title", MODELS[model]), name), value) for name, value in entry.items()]


TOOL = Tool(
    "continue",
    "Continue",
    Signs(programs=("cn",), extensions=("continue.continue",), folders=(".continue",)),
    plan,
    ("cn",),
)
