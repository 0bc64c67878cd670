"""Where a diff can be asked for: nowhere but where a person reads the answer.

Pure. The instruction is constant, so that it can be part of a prompt's prefix, and `without_instruction` takes it out
again.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from sidecar.conversation import texts_of
from sidecar.exchange import Json

INSTRUCTION: Final = (
    "When you change code or text that the user has pasted, answer with a unified diff of what changes (file name where"
    " it is known, three lines of context) instead of repeating what stays. Write it out in whole where the user asks"
    " for that, or where most of it changes."
)
"""Constant: it becomes part of the prompt's prefix."""

APPENDED: Final = {"type": "text", "text": f"<system>\n{INSTRUCTION}\n</system>"}
"""As `Prompt.append` says it where there is no system prompt."""

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

_FENCE = re.compile(r"^(`{3,}+|~{3,}+)([^\n]*)", re.MULTILINE)
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
    longest, end = 0, 0
    said: list[str] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(words):  # once through, however many there are
        if opening is None:
            opening = fence if "`" not in fence[2] else None
        elif fence[1].startswith(opening[1]):
            longest = max(longest, words.count("\n", opening.end() + 1, fence.start()))
            said.append(words[end : opening.start()])
            opening, end = None, fence.end(1)
    around = "".join([*said, words[end:]])
    return longest >= PASTED_LINES and bool(_CHANGE.search(around)) and not _WHOLE.search(around)


def instructed(system_text: str) -> str:
    """A system prompt with the instruction at its end."""
    return f"{system_text}\n\n{INSTRUCTION}"


def without_instruction(request: Json) -> Json:
    """A request as it was sent, without the instruction; itself where there is none."""
    system = request.get("system")
    if isinstance(system, list) and system and any(_is_instructed(block) for block in system[-1:]):
        last = system[-1]
        return {**request, "system": [*system[:-1], {**last, "text": last["text"].removesuffix(instructed(""))}]}
    for number, message in enumerate(request["messages"]):
        content = message.get("content")
        if isinstance(content, list) and APPENDED in content[1:]:
            rest = [block for block in content if block != APPENDED]
            messages = [*request["messages"][:number], {**message, "content": rest}, *request["messages"][number + 1 :]]
            return {**request, "messages": messages}
    return request


def _is_instructed(block: Json) -> bool:
    return any(text.endswith(instructed("")) for text in texts_of(block))


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [text for block in content for text in texts_of(block)] if isinstance(content, list) else []
