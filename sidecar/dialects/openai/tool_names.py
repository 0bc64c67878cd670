"""Names and ids that Claude accepts for those that clients made up, the same ones on every turn of a conversation."""

from __future__ import annotations

import hashlib
import re

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_OUTSIDE = re.compile(r"[^a-zA-Z0-9_-]+")


class ToolNames:
    """Tool names as sent upstream.

    A name depends only on itself and, for the rare clash, on the names claimed before it: so a conversation that only
    grows keeps the names it had. Declared tools claim theirs first.
    """

    def __init__(self) -> None:
        self._upstream: dict[str, str] = {}
        self._client: dict[str, str] = {}

    def copy(self) -> ToolNames:
        copied = ToolNames()
        copied._upstream, copied._client = self._upstream.copy(), self._client.copy()
        return copied

    def reserve(self, name: str) -> None:
        """`name` is taken upstream, by a tool that is none of the client's."""
        self._client[name] = name

    def upstream(self, name: str) -> str:
        """The name that Claude sees for the client's `name`."""
        known = self._upstream.get(name)
        if known is None:
            valid = _NAME.fullmatch(name) is not None
            known = self._upstream[name] = self._claim(name if valid else _derived(name, name, 119), name)
        return known

    def another(self, name: str, definition: str) -> str:
        """A name for a second, different tool that the client calls `name` too."""
        return self._claim(_derived(name, definition, 119), name)

    def __contains__(self, name: str) -> bool:
        return name in self._upstream

    def sent(self) -> list[str]:
        """Every name in use upstream, in order of first appearance."""
        return list(self._client)

    def renamed(self) -> dict[str, str]:
        """Name sent upstream -> client's name, where they differ."""
        return {sent: name for sent, name in self._client.items() if sent != name}

    def _claim(self, candidate: str, name: str) -> str:
        while candidate in self._client:
            candidate = _derived(name, candidate, 119)
        self._client[candidate] = name
        return candidate


class CallIds:
    """Tool-call ids as sent upstream: unique over the history, made of the characters that Claude takes."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._times: dict[str, int] = {}

    def copy(self) -> CallIds:
        copied = CallIds()
        copied._used, copied._times = self._used.copy(), self._times.copy()
        return copied

    def upstream(self, client_id: str) -> str:
        """The id for the next call that the client calls `client_id`; a pure function of the calls before it."""
        times = self._times[client_id] = self._times.get(client_id, 0) + 1
        sent = client_id
        if sent in self._used or _ID.fullmatch(sent) is None:
            sent = _derived(client_id, f"{client_id}\0{times}", 48)
            while sent in self._used:
                sent = _derived(client_id, sent, 48)
        self._used.add(sent)
        return sent


def _derived(name: str, seed: str, length: int) -> str:
    """`name` in allowed characters, at most `length` of them, and eight hex digits of a hash of `seed`."""
    readable = _OUTSIDE.sub("_", name)[:length] or "tool"
    return f"{readable}_{hashlib.sha256(seed.encode(errors='surrogatepass')).hexdigest()[:8]}"
