"""Reading recordings: sessions in the format of published traces, and what `cgw record` writes.

A trace is one JSON object a file, gzip or plain: `messages` in OpenAI's form with `name`, `client`, `tools` and
`timestamps` (seconds since the epoch a message, or null); every message of the assistant was the answer to a request
with all the messages before it. A file of `cgw record` has one exchange a line, see `sidecar.recording`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from sidecar.conversation import THINKING
from sidecar.exchange import Json
from sidecar.recording import FORMAT, read_lines
from sidecar.replay.sessions import Session, Turn
from sidecar.user_errors import UserError

SUFFIXES: Final = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
"""Of the files that are looked at in a folder."""


class RecordingError(UserError):
    """A file that cannot be played; the message is one sentence that names it and says why."""


def read(paths: Iterable[Path]) -> tuple[list[Session], list[str]]:
    """The sessions of these files and of the files in these folders, and why files of a folder were passed over.

    Raises RecordingError for a file that is named itself and holds no session, and where there is none at all.
    """
    sessions: list[Session] = []
    passed_over: list[str] = []
    for path in paths:
        if not path.is_dir():
            sessions.append(read_file(path))
            continue
        for file in sorted(path.iterdir()):
            if not file.name.endswith(SUFFIXES):
                continue
            try:
                sessions.append(read_file(file))
            except RecordingError as error:
                passed_over.append(str(error))
    if not sessions:
        raise RecordingError(
            passed_over[0] if passed_over else f"No recordings there: a folder needs files in {', '.join(SUFFIXES)}."
        )
    return sessions, passed_over


def read_file(path: Path) -> Session:
    """Raises RecordingError."""
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    try:
        return _session(content, path)
    except (orjson.JSONDecodeError, _NoSessionError) as error:
        raise RecordingError(f"{path} is no recording: {error}.") from error


class _NoSessionError(Exception):
    """Says in a clause why."""


def _session(content: bytes, path: Path) -> Session:
    if content.startswith(b'{"format":"' + FORMAT.encode() + b'"'):
        return _recorded(content.splitlines(), path)
    trace = orjson.loads(content)
    if not isinstance(trace, dict):
        raise _NoSessionError("it holds no JSON object")
    return _traced(trace, path)


def _traced(trace: Json, path: Path) -> Session:
    messages = trace.get("messages")
    if not isinstance(messages, list) or not all(_has_role(message) for message in messages):
        raise _NoSessionError("it has no `messages` with a `role` each")
    times = _times(trace.get("timestamps"), len(messages))
    tools = trace.get("tools") or []
    # A request goes out once its newest message is there; the time of the answer has Claude's own in it.
    head = {"tools": tools} if tools else {}
    turns = [
        Turn({"messages": messages[:index], **head}, message, times[index - 1])
        for index, message in enumerate(messages)
        if message["role"] == "assistant" and index
    ]
    if not turns:
        raise _NoSessionError("no message of the assistant answers another in it")
    name = str(trace.get("name") or path.name.removesuffix(".gz").removesuffix(".json"))
    return Session(name, str(trace.get("client") or "unknown"), turns)


def _has_role(message: Any) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str)


def _times(times: Any, count: int) -> Sequence[float | None]:
    if times is None:
        return [None] * count
    right = isinstance(times, list) and all(moment is None or isinstance(moment, int | float) for moment in times)
    if not right or len(times) != count:
        raise _NoSessionError("its `timestamps` are not one number or null a message")
    return list(times)


def _recorded(lines: list[bytes], path: Path) -> Session:
    """What `cgw record` wrote, but for requests that were refused, and for signed thinking: only the Claude that signed
    it takes it back."""
    turns: list[Turn] = []
    exchange: Json = {}
    try:
        for exchange in read_lines(lines):
            body = orjson.loads(exchange["body"])
            if exchange["status"] < 400 and isinstance(body["messages"], list) and body["messages"]:
                answer = exchange["answer"] and _without_thinking(exchange["answer"])
                body["messages"] = [
                    said for said in map(_without_thinking, body["messages"]) if said.get("content") != []
                ]
                turns.append(Turn(body, answer, float(exchange["time"]), str(exchange["model"])))
        if not turns:
            raise _NoSessionError("no request in it was answered")
        name = path.name.removesuffix(".gz").removesuffix(".jsonl")
        return Session(name, exchange["client"], turns, exchange["dialect"], exchange["headers"])
    except (KeyError, TypeError, ValueError) as error:
        raise _NoSessionError(f"line {len(turns) + 1} or one near it holds no exchange") from error


def _without_thinking(message: Json) -> Json:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [block for block in content if block.get("type") not in THINKING]}
