"""Requests that no SDK would write, byte by byte, with the headers of the programs that send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

FILE = "def greet():\n    return 'hello'\n" * 120
NATIVE: dict[str, Any] = {"model": "claude-sonnet-5-5", "max_tokens": 900}
QUESTION = [{"role": "user", "content": "a question that no other test asks"}]


class Raw(NamedTuple):
    """One after the other, each once the one before was answered."""

    path: str
    bodies: list[bytes]
    headers: Mapping[str, str] = MappingProxyType({})


def _talk(file: Any) -> list[bytes]:
    """Three turns of one conversation, in which a file is read again and again."""
    said: list[Any] = []
    turns = []
    for number in range(3):
        said = [*said, {"role": "user", "content": file}, {"role": "user", "content": f"Question {number}, please."}]
        turns.append(json.dumps(NATIVE | {"messages": said}).encode())
        said = [*said, {"role": "assistant", "content": "This is so."}]
    return turns


def _marked() -> bytes:
    block = {"type": "text", "text": FILE, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    return json.dumps(NATIVE | {"messages": [{"role": "user", "content": [block]}]}).encode()


RAW = {
    "blanks and escapes": Raw(
        "/v1/messages",
        [
            (
                b'{ "model" : "claude-sonnet-5-5",\r\n\t"max_tokens":900,\n'
                b' "messages" :[ {"role":"user","content":"K\\u00f6ln \\/ K\xc3\xb6ln"}] }\n'
            ),
        ],
    ),
    "marks of the client's own": Raw(
        "/v1/messages?beta=true",
        [_marked()],
        {"anthropic-beta": "context-management-2025-06-27", "x-app": "cli", "user-agent": "claude-cli/2.1"},
    ),
    "fields that Claude does not know": Raw(
        "/v1/chat/completions",
        [
            json.dumps(
                {"model": "gpt-4o", "messages": QUESTION, "temperature": 0, "seed": 7, "user": "u", "n": 1}
            ).encode()
        ],
        {"openai-organization": "org-x", "x-session-id": "s-1", "user-agent": "aider/0.86"},
    ),
    "a conversation in OpenAI's language": Raw("/v1/chat/completions", _talk(FILE)),
    "a conversation in Anthropic's language": Raw("/v1/messages", _talk([{"type": "text", "text": FILE}])),
}
