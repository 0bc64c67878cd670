"""Which conversation a request belongs to, told from the request alone.

A client that names its session is believed. For all others the head of the system prompt and the first words of the
user tell: clients send both again with every turn. Only the head, since some append what changes (the rules for the
files that are open, the time) to their system prompt in mid-conversation.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from sidecar.exchange import Json

SESSION_HEADERS = ("x-claude-code-session-id", "x-session-id", "x-session-affinity", "session-id")
"""Claude Code's; opencode's, which sends both; Codex's."""

SYSTEM_HEAD = 2_000
FIRST_WORDS = 16_000
"""Characters that count."""


def conversation_id(project: str, headers: Mapping[str, str], request: Json) -> str:
    """16 hex digits. `request` is the inner form as the client meant it; header names are lower-case.

    The project is part of it: two projects never share a conversation.
    """
    told = session_of(headers)
    parts = ("session", told) if told else ("texts", *_opening(request))
    named = "\0".join((project, *parts)).encode("utf-8", "surrogatepass")
    return blake2b(named, digest_size=8).hexdigest()


def session_of(headers: Mapping[str, str]) -> str | None:
    """What the client itself calls its session; header names are lower-case."""
    if headers.keys().isdisjoint(SESSION_HEADERS):
        return None
    for name in SESSION_HEADERS:
        if told := headers.get(name):
            return told
    return None


def _opening(request: Json) -> tuple[str, str]:
    messages = request.get("messages")
    first: Any = ""
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            first = message.get("content")
            break
    return _head(request.get("system"), SYSTEM_HEAD), _head(first, FIRST_WORDS)


def _head(content: Any, length: int) -> str:
    """The first characters of the texts in a message's content; anything odd counts as none."""
    if isinstance(content, str):
        return content[:length]
    head = ""
    for block in content if isinstance(content, list) else ():
        text = block.get("text") if isinstance(block, dict) else None
        if isinstance(text, str):
            head += text[: length - len(head)]
            if len(head) >= length:
                break
    return head
