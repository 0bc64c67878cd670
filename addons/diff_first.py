"""Asks for diffs, where nothing but a person reads the answer."""

from __future__ import annotations

import re
from typing import Final, Literal

from sidecar.conversation import texts_of
from sidecar.exchange import Exchange, Json
from sidecar.prompt import Prompt
from sidecar.services import Services

LAYER: Final = "diff_first"

INSTRUCTION: Final = (
    "When you change code or text that the user has pasted, answer with a unified diff of what changes (file name where"
    " it is known, three lines of context) instead of repeating what stays. Write it out in whole where the user asks"
    " for that, or where most of it changes."
)
"""Constant: it becomes part of the prompt's prefix."""

PLAIN_CLIENTS: Final = frozenset({"unknown", "openai-sdk", "anthropic-sdk", "ai-sdk", "litellm", "curl"})
"""Every other client reads the answer itself: it has an edit format, or applies code blocks."""

CLIENT_FORMATS: Final = re.compile(
    r"SEARCH/REPLACE|<{5,9} SEARCH|-{5,9} SEARCH|\*\*\* Begin Patch|return the entire content of the updated file"
    r"|existing code \.\.\.|UNCHANGED CODE|ORIGINAL CODE:|NEW CODE:|TOOL_NAME:|# Tool Use Formatting|response_format"
    r"|unified diff|^```diff",
    re.MULTILINE,
)
"""Words of somebody who expects an edit format, whatever it is. Source: the clients' own prompts."""

PASTED_LINES: Final = 10
"""Lines from which a fenced block is taken for a pasted file."""
MOST_READ: Final = 400_000
"""Characters of a conversation that are looked through; one that begins longer is no plain question."""

_FENCE = re.compile(r"^(`{3,}|~{3,})[^\n`]*\n(.*?)^\1", re.MULTILINE | re.DOTALL)
_CHANGE = re.compile(
    r"\b(add|adapt|adjust|change|convert|correct|delete|edit|extend|extract|fix|handle|implement|improve|inline|insert"
    r"|make|migrate|modify|move|optimi[sz]e|port|refactor|remove|rename|replace|rewrite|simplify|split|support|translate"
    r"|update|upgrade)\b",
    re.IGNORECASE,
)
_WHOLE = re.compile(
    r"\b(whole|full|entire|complete|updated|new|all of the)"
    r" (file|code|script|class|function|module|program|version|text)\b"
    r"|\bin full\b|\bcomplete(ly)? (rewritten|updated)\b|\bno diffs?\b",
    re.IGNORECASE,
)

Mode = Literal["tool", "client-format", "free"]


class DiffFirst:
    """Decided by a conversation's first words and kept: the same words decide in the same way in every turn."""

    def __init__(self, services: Services) -> None:
        self._enabled = services.settings.enforce_diff_first

    def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        if prompt is None or prompt.frozen or not exchange.reduces:
            return
        if not exchange.policy.switch("enforce_diff_first", self._enabled):
            return
        if not asks_for_a_change(_first_words(prompt)) or edit_mode(exchange.client, exchange.request) != "free":
            return
        _instruct(prompt)
        exchange.decide(LAYER, "a pasted file is to be changed: a diff is asked for")


def edit_mode(client: str, request: Json) -> Mode:
    """How edits come back: by a tool, in a format of the client's, or as a person reads them."""
    if request.get("tools"):
        return "tool"
    output = request.get("output_config")
    if client not in PLAIN_CLIENTS or (isinstance(output, dict) and output.get("format")):
        return "client-format"
    messages = request["messages"]
    if messages[-1].get("role") != "user":
        return "client-format"  # a prefill says how the answer begins
    texts = [*_texts(request.get("system")), *(text for message in messages for text in _texts(message.get("content")))]
    if sum(map(len, texts)) > MOST_READ or any(CLIENT_FORMATS.search(text) for text in texts):
        return "client-format"
    return "free"


def asks_for_a_change(words: str) -> bool:
    """Whether a person pasted a file and wants it changed, but did not ask for all of it."""
    pasted = any(found[2].count("\n") >= PASTED_LINES for found in _FENCE.finditer(words))
    said = _FENCE.sub("", words)
    return pasted and bool(_CHANGE.search(said)) and not _WHOLE.search(said)


def _instruct(prompt: Prompt) -> None:
    system = [index for index, at in enumerate(prompt.positions) if at.zone == "system" and at.kind == "text"]
    if not system:
        prompt.append(INSTRUCTION, LAYER)
        return
    block = prompt.block(system[-1]) or {}
    prompt.replace(system[-1], {**block, "text": f"{block['text']}\n\n{INSTRUCTION}"}, LAYER)


def _first_words(prompt: Prompt) -> str:
    first = next((at.message for at in prompt.positions if at.role == "user"), -1)
    of_first = (at for at in prompt.positions if at.message == first and at.zone == "messages")
    return "\n".join(text for at in of_first if at.kind == "text" for text in texts_of(at.block))[:MOST_READ]


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [text for block in content for text in texts_of(block)] if isinstance(content, list) else []
