"""Which part of a text in the user's role a person typed, and which a client attached or a tool returned.

A person's words are never replaced. Three tables tell: what makes a whole text the client's, what is the client's
inside somebody's text, and what is a person's whatever stands around it. A text that none of them knows was typed.
Sources: the tools' own sources and recorded traffic.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


class Span(NamedTuple):
    """Characters `start` to `end` (not included)."""

    start: int
    end: int


TYPED_TAGS: Final = (
    "answer",  # Cline, Roo: to a question of the model's
    "feedback",  # Cline, Roo: on a result
    "task",  # Cline, Roo: the first message
    "user_feedback",
    "user_input",  # Cline's SDK
    "user_message",  # Cline, Roo: said along with something else
    "user_query",  # Cursor
    "userRequest",  # Copilot
)
"""A person's words, whatever stands around them."""

WRAPPERS: Final = frozenset({"task", "user_input", "user_query", "userRequest"})
"""A client that writes one of these puts all of a person's words into it."""

INSIDE_RESULTS: Final = frozenset({"answer", "feedback", "user_feedback", "user_message"})
"""Those that tools' results carry. The others would be found in files that happen to hold them."""

RESULT_HEADER: Final = re.compile(r"\[[a-z_]+(?: for '[^\n]*?')?\] Result:\s*\Z", re.DOTALL)
"""Cline, Roo: a text of its own; what the tool returned is in the texts behind it."""

CLIENT_TEXTS: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"\A\[[a-z_]+(?: for '[^\n]*?')?\] Result:",  # Cline, Roo
        r"\AThe tool execution failed with the following error:",  # Cline
        r"\A\[TASK RESUMPTION\]",  # Cline
        r"\A\[The user has switched to ACT MODE",  # Cline
        r"\AEXECUTION RESULT of \[",  # OpenHands without native tools
        r"\AOBSERVATION:\n",  # SWE-agent
        r"\n\(Open file: [^\n]*\)\n\(Current directory: [^\n]*\)\nbash-\$\s*\Z",  # SWE-agent
        r"\A<returncode>-?\d+</returncode>",  # mini-swe-agent
        r"\AI have \*added these files to the chat\*",  # aider
        r"\AHere are (?:some READ ONLY files|summaries of some files)",  # aider
        r"\A<(task-notification|local-command-stdout|bash-stdout|command-message)>.*</\1>",  # Claude Code
        r"\A# Context from my IDE setup:\n(?!.*\n## My request for Codex:)",  # Codex
    )
)
"""A text with one of these is the client's, but for a person's tags in it."""

CLIENT_TAGS: Final = (
    "additional_data",
    "attached_files",
    "attachments",
    "bash-stderr",
    "bash-stdout",
    "code_selection",
    "context",
    "editorContext",
    "environment_context",
    "environment_details",
    "environment_info",
    "file_content",
    "folder_content",
    "git_status",
    "local-command-stdout",
    "open_and_recently_viewed_files",
    "problems",
    "reminderInstructions",
    "system-reminder",
    "system_reminder",
    "task-notification",
    "terminal_selection",
    "url_content",
    "workspace_info",
)
"""The client's, inside a person's text."""

_CLIENT_OPENING: Final = re.compile(rf"(?m)^<({'|'.join(CLIENT_TAGS)})(?: [^\n>]*)?>")
_TYPED_OPENING: Final = re.compile(rf"<({'|'.join(TYPED_TAGS)})(?: [^\n>]*)?>")
_ENVIRONMENT_OPENING: Final = re.compile(r"(?m)^<(environment_details)>$")
_FENCE_OPENING: Final = re.compile(
    r"(?m)^(`{3,})(?:path=|(?:[\w+-]+ )?(?=[\w./\\~-]*[/\\]))[^\s`]+(?: \(\d+-\d+\)|, lines=[\d-]+)?$"
)
"""A fence that names a file: Zed, Continue, Cursor until 2024. People who paste code write no path there."""
_CODEX_HEAD: Final = re.compile(r"\A# Context from my IDE setup:\n.*?(?=\n## My request for Codex:)", re.DOTALL)


def environments(text: str) -> list[Span]:
    """The blocks of `environment_details` in a text, of Cline and Roo."""
    return [span for _, span in _enclosed(text, _ENVIRONMENT_OPENING)] if "<environment_details>" in text else []


def client_spans(text: str, *, behind_header: bool) -> list[Span]:
    """The parts of a user's text that no person typed. `behind_header`: a result's header stands before it in the same
    message."""
    clients = behind_header or any(pattern.search(text) for pattern in CLIENT_TEXTS)
    typed = [*_enclosed(text, _TYPED_OPENING)]
    if clients:
        return [*_without(Span(0, len(text)), [span for tag, span in typed if tag in INSIDE_RESULTS])]
    holes = [span for _, span in typed]
    if any(tag in WRAPPERS for tag, _ in typed):
        return [*_without(Span(0, len(text)), holes)]
    spans = [span for _, span in (*_enclosed(text, _CLIENT_OPENING), *_enclosed(text, _FENCE_OPENING))]
    spans += [Span(*found.span()) for found in _CODEX_HEAD.finditer(text)]
    return [part for span in _disjoint(sorted(spans)) for part in _without(span, holes)]


def result_spans(text: str) -> list[Span]:
    """The parts of a tool's result that no person typed."""
    return [
        *_without(Span(0, len(text)), [span for tag, span in _enclosed(text, _TYPED_OPENING) if tag in INSIDE_RESULTS])
    ]


def _enclosed(text: str, opening: re.Pattern[str]) -> Iterator[tuple[str, Span]]:
    """What stands between an opening and the next closing of the same name, with both; a fence is its own name."""
    done = 0
    unclosed: set[str] = set()
    for found in opening.finditer(text):
        name = found[1]
        if found.start() < done or name in unclosed:
            continue
        closing = f"\n{name}" if name.startswith("`") else f"</{name}>"
        end = text.find(closing, found.end())
        if end < 0:
            unclosed.add(name)
            continue
        done = end + len(closing)
        yield name, Span(found.start(), done)


def _disjoint(spans: list[Span]) -> Iterator[Span]:
    end = 0
    for span in spans:
        if span.start >= end:
            yield span
            end = span.end


def _without(span: Span, holes: list[Span]) -> Iterator[Span]:
    """What is left of a span."""
    start = span.start
    for hole in holes:
        if hole.start >= span.end or hole.end <= start:
            continue
        if hole.start > start:
            yield Span(start, hole.start)
        start = hole.end
    if start < span.end:
        yield Span(start, span.end)
