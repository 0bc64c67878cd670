"""Tools whose settings no other program can write: they keep them in a store of their editor, or at their maker's."""

from __future__ import annotations

from sidecar.commands.connecting import key_place
from sidecar.connect.address import Address
from sidecar.connect.machine import Machine, Signs
from sidecar.connect.tool import Plan, Tool

IN_VS_CODES_STORE = "It keeps its settings in VS Code's secret store, which no other program can write."


def roo(address: Address, machine: Machine) -> Plan:
    return Plan(
        road="/v1/messages, through its Anthropic provider: nothing is translated",
        steps=(
            "Open Roo's settings (the gear), Providers, and choose `Anthropic` as API Provider.",
            f"As Anthropic API Key paste the key: {key_place(address.key.file)}.",
            f"Tick `Use custom base URL`, and write {address.url} there, without /v1.",
            "Choose a Claude model, and save.",
        ),
        notes=(
            IN_VS_CODES_STORE,
            "Under Context it can leave out the time, the cost and the open tabs, which change with every request.",
        ),
    )


def jetbrains(address: Address, machine: Machine) -> Plan:
    return Plan(
        road="/v1/chat/completions: AI Assistant has no Anthropic provider with another address",
        steps=(
            "Open Settings | Tools | AI Assistant | Providers & API keys (in older versions: Models & API Keys).",
            "As third-party provider choose `OpenAI-compatible`.",
            f"URL: {address.openai}",
            f"API key: {key_place(address.key.file)}",
            "Model: sonnet, opus, haiku or auto. Tick tool calling where it is asked for. Test the connection, apply.",
        ),
        notes=("The IDE keeps the key in its password store, which no other program can write.",),
    )


def cursor(address: Address, machine: Machine) -> Plan:
    return Plan(
        road="/v1/chat/completions, through a tunnel",
        cannot="Cursor calls models from its own servers, which cannot reach this machine: localhost can never work, "
        "and no proxy on this machine sees those calls.",
        steps=(
            "Give cgw a public name: `cloudflared tunnel --url " + address.url + "` (or ngrok) prints one.",
            "Let that name in: stop cgw, and start it with `ALLOWED_HOSTS=THE-NAME cgw up`.",
            (
                "Make a key that can only spend so much: `ENABLE_MULTI_PROJECT=1`, and "
                "`cgw projects add cursor --daily-budget 5`. Whoever has the name and the key spends your money."
            ),
            (
                "In Cursor Settings | Models | API Keys: that key as OpenAI API Key, and https://THE-NAME/v1 as "
                "Override OpenAI Base URL."
            ),
            "Add a custom model, `cgw:sonnet`. A name with claude- in it, or one of Cursor's own, goes elsewhere.",
        ),
        notes=(
            (
                "Where the override is hidden, or its bodies make trouble, use Cursor's Azure fields: Base URL "
                "https://THE-NAME, Deployment Name `sonnet`, and the same key. Then it sends plain chat bodies."
            ),
            "The override is for all OpenAI models at once; Tab and Apply never use it.",
        ),
    )


def openai_sdk(address: Address, machine: Machine) -> Plan:
    return Plan(
        road="/v1/chat/completions",
        steps=(
            "For one program: `cgw run -- PROGRAM`. For a shell: see `cgw env`.",
            f"In code: base_url {address.openai}, and as api_key the key: {key_place(address.key.file)}.",
        ),
    )


def anthropic_sdk(address: Address, machine: Machine) -> Plan:
    return Plan(
        road="/v1/messages: nothing is translated",
        steps=(
            "For one program: `cgw run -- PROGRAM`. For a shell: see `cgw env`.",
            f"In code: base_url {address.url}, without /v1, and as auth_token the key: {key_place(address.key.file)}.",
        ),
    )


ROO = Tool("roo", "Roo Code", Signs(extensions=("rooveterinaryinc.roo-cline",)), roo, ("roo-code",))
JETBRAINS = Tool("jetbrains", "JetBrains AI Assistant", Signs(folders=("JetBrains/*",)), jetbrains, ("jetbrains-ai",))
CURSOR = Tool("cursor", "Cursor", Signs(programs=("cursor",), folders=(".cursor", "Cursor")), cursor)
OPENAI_SDK = Tool("openai", "OpenAI SDKs", Signs(), openai_sdk, ("openai-sdk",))
ANTHROPIC_SDK = Tool("anthropic", "Anthropic SDKs", Signs(), anthropic_sdk, ("anthropic-sdk",))
