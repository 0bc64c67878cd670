"""The desks that the demo's dashboard watches: three tools at work in three projects, each in conversations of its own.

The files that they read are cgw's own source, as it lies here. What Claude answers is scripted, and follows from the
request alone: so a desk may begin anew, ask twice, or be answered from a cache, and everything still fits together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sidecar.commands.demo_session import SESSION, SYSTEM, TOOLS, ToolResult, Turn
from sidecar.exchange import Json
from sidecar.simulator.answers import Answer, Failure, Step, Text, ToolCall

FIRST_BYTE_SECONDS: Final = 0.4
DELTA_SECONDS: Final = 0.02
"""The pace at which a person can watch."""

SOURCE: Final = Path(__file__).parents[1]

NEW_TOOL: Final[Json] = {
    "type": "function",
    "function": {
        "name": "search_docs",
        "description": "Search the documentation of the project's dependencies.",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}
"""A server of tools that is connected in mid-conversation: everything behind the tools is written anew."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A tool at work in a project."""

    project: str
    monthly_budget_usd: str
    model: str
    system: str
    rounds: Sequence[Sequence[Turn]]
    """Conversations, one after the other; from the first one again behind the last."""
    pause_seconds: float
    new_tool_at: int | None = None
    """The turn from which on it offers one more tool."""

    def tools(self, turn: int, time: int) -> Sequence[Json]:
        """Of this turn, when its conversation is held for so many times before."""
        if self.new_tool_at is None or turn < self.new_tool_at:
            return TOOLS
        function = NEW_TOOL["function"]
        told = f"{function['description']} This is connection {time + 1}."
        return *TOOLS, {**NEW_TOOL, "function": {**function, "description": told}}


def _reads(name: str) -> ToolCall:
    return ToolCall("read_file", {"path": f"sidecar/{name}"})


def _read(name: str, text: str | None = None) -> ToolResult:
    text = (SOURCE / name).read_text(encoding="utf-8") if text is None else text
    return ToolResult(text, f"{name}, {len(text.splitlines())} lines")


def _review(name: str, beside: str) -> tuple[Turn, ...]:
    """Somebody has a file explained, changed, and looked at again."""
    text = (SOURCE / name).read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    old = next(line for line in lines if line.startswith(("from ", "import ")))
    changed = text.replace(old, f"import logging\n{old}", 1)
    return (
        Turn(
            says=f"What does sidecar/{name} do when its input is broken? Read it before you answer.",
            answer=(Text("I'll read it, and the module that it leans on."), _reads(name), _reads(beside)),
        ),
        Turn(
            results=(_read(name), _read(beside)),
            answer=(
                Text("It refuses early and says what to do. I want to be sure about the first lines, so once more."),
                _reads(name),
            ),
        ),
        Turn(
            results=(_read(name),),
            answer=(Text("Yes: every way in is checked once, at the edge. Nothing behind it has to doubt its input."),),
        ),
        Turn(
            says="Let it log what it refuses.",
            answer=(
                ToolCall(
                    "edit_file",
                    {"path": f"sidecar/{name}", "old_text": old, "new_text": f"import logging\n{old}"},
                ),
            ),
        ),
        Turn(
            results=(ToolResult(f"Edited sidecar/{name}: 1 passage replaced.", f"edited {name}"),),
            answer=(Text("I'll look at the whole file as it is now."), _reads(name)),
        ),
        Turn(
            results=(_read(name, changed),),
            answer=(Text("The import stands where the others do. The refusals are logged from now on."),),
        ),
    )


DESKS: Final = (
    Desk(
        project="shop",
        monthly_budget_usd="5.00",
        model="opus",
        system=f"Act as an expert software developer.\n{SYSTEM}",
        rounds=(
            _review("gateway.py", "pipeline.py"),
            _review("listener.py", "answers.py"),
            _review("memory.py", "conversation.py"),
            _review("upstream.py", "breaker.py"),
        ),
        pause_seconds=1.6,
    ),
    Desk(
        project="pace",
        monthly_budget_usd="2.00",
        model="sonnet",
        system=f"You are Cline, a coding assistant.\n{SYSTEM}",
        rounds=(SESSION, SESSION, _review("exact_json.py", "sse.py")),
        pause_seconds=1.1,
    ),
    Desk(
        project="docs",
        monthly_budget_usd="0.05",
        model="haiku",
        system=f"You are Roo, a coding assistant.\n{SYSTEM}",
        rounds=(_review("home.py", "headers.py"), _review("fold.py", "sse.py")),
        pause_seconds=2.3,
        new_tool_at=4,
    ),
)


def begun_anew(turn: Turn, times: int) -> Turn:
    """The first turn of a conversation, in words that make it another one than before."""
    return replace(turn, says=f"{turn.says} (Look with fresh eyes, for time {times + 1}.)") if times else turn


OVERLOADED_EVERY: Final = 17
"""Claude is overloaded now and then; the sidecar asks again."""


class Claude:
    """What is answered to a request of any desk's. Called on the simulator's thread alone."""

    def __init__(self, desks: Sequence[Desk] = DESKS) -> None:
        self._turns: dict[str, Sequence[Turn]] = {str(turns[0].says): turns for desk in desks for turns in desk.rounds}
        self._asked = 0

    def __call__(self, request: dict[str, Any]) -> Step:
        self._asked += 1
        if self._asked % OVERLOADED_EVERY == 0:
            return Failure(529, retry_after=0.3)
        messages = request["messages"]
        opening = _text(messages[0]["content"])
        turns = next((turns for words, turns in self._turns.items() if words in opening), SESSION)
        answered = sum(message["role"] == "assistant" for message in messages)
        turn = turns[min(answered, len(turns) - 1)]
        return Answer(turn.answer, first_byte_after=FIRST_BYTE_SECONDS, delta_every=DELTA_SECONDS)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content)
