"""A recorded session: the requests that a client sent, in their order, and what Claude answered to each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.exchange import Dialect, Json

NOT_TYPED = re.compile(
    r"\[\w+(?: for [^\n]*)?\] Result:"  # Cline and its kin: the results of tools come as words of the user
    r"|\[ERROR\] "
    r"|EXECUTION RESULT of \["  # OpenHands, where the model has no tools of its own
    r"|.*\nbash-\$\s*\Z",  # SWE-agent ends what it observed with a prompt
    re.DOTALL,
)
"""User messages that no person wrote."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a session. Bodies share their messages, so none may be edited in place."""

    body: Json
    """As the client sent it, but for the model."""
    answer: Json | None
    """What Claude answered: a message in the form of `body`'s dialect, or None where it was not recorded."""
    at: float | None = None
    """When, in seconds since the epoch."""
    model: str | None = None
    """The Claude id that answered, where it was recorded."""


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation of one client."""

    name: str
    client: str
    turns: Sequence[Turn]
    dialect: Dialect = "openai_chat"
    headers: Mapping[str, str] = field(default_factory=dict)
    """The client's own, lower-case names, without credentials."""


def is_typed(turn: Turn) -> bool:
    """Whether a person wrote the newest words: results of tools are none, in whatever form they come."""
    newest: Any = turn.body["messages"][-1]
    if newest.get("role") != "user":
        return False
    blocks = newest.get("content")
    if isinstance(blocks, str):
        return NOT_TYPED.match(blocks) is None
    texts = [block.get("text") or "" for block in blocks or () if block.get("type") == "text"]
    results = any(block.get("type") == "tool_result" for block in blocks or ())
    return bool(texts) and not results and NOT_TYPED.match(texts[0]) is None
