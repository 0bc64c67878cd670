"""What rules may look at in a request. The work is that of its newest turn, however long its history is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sidecar.conversation import THINKING, Position, texts_of
from sidecar.exchange import Json
from sidecar.prompt import Prompt
from sidecar.routing.findings import Trouble, is_result, trouble_in
from sidecar.routing.words import (
    FILES_OF_AIDER,
    LONGEST_BLOCK,
    REMINDER_OF_AIDER,
    RESULT_AS_TEXT,
    own_words,
    without_code,
)

SYSTEM_HEAD, PURPOSE_HEAD = 4_000, 800
HEAD, TAIL = 4_000, 2_000
"""Characters of the user's own words that are looked at, from either end."""
DIFF_LINE: Final = re.compile(r"^[+-](?![+-]{2} )", re.MULTILINE)
IS_DIFF: Final = re.compile(r"^(?:diff --git |@@ -\d+)", re.MULTILINE)
STEP: Final = re.compile(r"^[^\S\n]*(?:\d{1,2}[.)]|[-*] \[ \]|(?:step|phase) \d+\b)", re.MULTILINE | re.IGNORECASE)

SWITCHED: Final = "I switched to a new code base. Please don't consider the above files"
"""Ends aider's worked example, which every one of its conversations begins with."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One request, as far as rules look at it. Texts are in lower case."""

    client: str
    system: str = ""
    words: str = ""
    """The user's own words in the newest turn: their beginning and their end."""
    chars: int = 0
    """How many those are in all."""
    asks: str = ""
    """The first line that says anything."""
    tools: int = 0
    max_tokens: int | None = None
    """The client's own."""
    first: bool = True
    """Whether nobody has answered yet in this conversation."""
    results: bool = False
    """Whether the newest turn brings what tools gave back."""
    only_results: bool = False
    """Whether it brings nothing else."""
    thinks: bool = False
    """Whether signed thinking stands in the tool loop that it goes on with."""
    prefill: bool = False
    images: bool = False
    schema: bool = False
    """Whether the answer's form is prescribed."""
    purpose: str = ""
    """How the system text begins: side requests say there what they are for."""
    task: str = ""
    """The words that the conversation is at work on, without code: the newest ones, or those that began the run of
    tools."""
    diff_lines: int = 0
    steps: int = 0
    """Numbered steps, phases and open boxes of a list."""
    trouble: Trouble = field(default_factory=Trouble)


def subject_of(request: Json, prompt: Prompt, client: str) -> Subject:
    positions = prompt.positions
    start = _newest(prompt)
    newest = positions[start:]
    texts = [text for at in newest if at.role == "user" and at.kind == "text" for text in texts_of(at.block)]
    told = [text for text in texts if not RESULT_AS_TEXT.match(text[:600])]
    spoken = "\n".join(filter(None, map(own_words, told))).strip()
    results = any(map(is_result, newest))
    loop = _loop(positions, start) if results else range(0)
    task = without_code(spoken or _words_before(positions, loop.start))
    system = _system(positions).lower()
    measured = spoken[:LONGEST_BLOCK]
    output = request.get("output_config")
    lowered = _ends(spoken).lower()
    most = request.get("max_tokens")
    return Subject(
        client=client,
        system=system,
        purpose=system[:PURPOSE_HEAD],
        words=lowered,
        task=_ends(task).lower(),
        chars=len(spoken),
        asks=next((line.strip() for line in lowered.splitlines() if line.strip()), "")[:400],
        tools=next((index for index, at in enumerate(positions) if at.zone != "tools"), len(positions)),
        max_tokens=most if isinstance(most, int) else None,
        first=all(at.role != "assistant" for at in positions[:start]),
        results=results,
        only_results=results and not spoken,
        thinks=any(_thinks(prompt, index) for index in loop),
        prefill=bool(positions) and positions[-1].role == "assistant",
        images=any(at.kind == "image" for at in newest),
        schema=isinstance(output, dict) and output.get("format") is not None,
        diff_lines=len(DIFF_LINE.findall(measured)) if IS_DIFF.search(measured) else 0,
        steps=len(STEP.findall(measured)),
        trouble=trouble_in(positions),
    )


def opening_of(prompt: Prompt) -> tuple[str, str]:
    """Head of the system text and the first words of the user: what a conversation is known by. Past the examples that
    some clients begin with."""
    first, switched = "", False
    for at in prompt.positions:
        if at.role != "user" or at.kind != "text":
            continue
        text = str(at.block.get("text") or "")
        if text.startswith(SWITCHED):
            switched, first = True, ""
        elif not first and not text.startswith(FILES_OF_AIDER):
            first = text.partition(REMINDER_OF_AIDER)[0][:HEAD]
        elif first and switched:
            break
    return _system(prompt.positions)[:2_000], first


def _newest(prompt: Prompt) -> int:
    """Where the newest user's turn begins, a prefill behind it not counted."""
    positions, end = prompt.positions, len(prompt.positions)
    if end and positions[end - 1].role == "assistant":
        while end and positions[end - 1].role == "assistant":
            end -= 1
        while end and positions[end - 1].zone == "messages" and positions[end - 1].role != "assistant":
            end -= 1
        return end
    return prompt.newest


def _system(positions: Sequence[Position]) -> str:
    head = ""
    for at in positions:
        if at.zone == "system" or at.role == "system":
            head += ("\n" if head else "") + str(at.block.get("text") or "")
        if (at.zone == "messages" and at.role == "assistant") or len(head) >= SYSTEM_HEAD:
            break
    return head[:SYSTEM_HEAD]


def _loop(positions: Sequence[Position], start: int) -> range:
    """The run of calls and results that the turn from `start` on belongs to: back to where the user spoke."""
    index = start
    while index and positions[index - 1].zone == "messages":
        at = positions[index - 1]
        if at.role != "assistant" and not _has_results(positions, index - 1):
            break
        index -= 1
    return range(index, len(positions))


def _words_before(positions: Sequence[Position], end: int) -> str:
    """What the user said in the message that ends there."""
    if not end:
        return ""
    message = positions[end - 1].message
    texts: list[str] = []
    while end and positions[end - 1].zone == "messages" and positions[end - 1].message == message:
        at = positions[end - 1]
        if at.role == "user" and at.kind == "text":
            texts.insert(0, own_words(str(at.block.get("text") or "")))
        end -= 1
    return "\n".join(filter(None, texts))


def _ends(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else f"{text[:HEAD]}\n{text[-TAIL:]}"


def _has_results(positions: Sequence[Position], index: int) -> bool:
    """Whether the block, or one before it in its message, is what a tool gave back."""
    message = positions[index].message
    while index >= 0 and positions[index].message == message:
        if is_result(positions[index]):
            return True
        index -= 1
    return False


def _thinks(prompt: Prompt, index: int) -> bool:
    if prompt.positions[index].role == "assistant" and prompt.positions[index].kind in THINKING:
        return True
    edit = prompt.edit(index)
    return edit is not None and bool(edit.ahead)
