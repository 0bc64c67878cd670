"""The editor session that `cgw demo` plays: a failing test is found and fixed, then a small feature is added.

Written for the demo, both sides: what the editor sends, and what the simulated Claude answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sidecar.simulator.answers import Part, Text, ToolCall

SYSTEM = """\
You are the coding assistant of a small editor. You work in the user's project, one step at a time.

How you work:
- Look before you change anything: run the tests, read the files that matter, and only those.
- Use the tools. Never ask the user to paste a file that you can read yourself.
- Make the smallest change that solves the task, in the style of the code around it.
- Change files with edit_file. Its old_text must occur exactly once; keep it as short as that allows.
- After a change run the tests again. A task is done when they pass, not before.
- When you are done, say in two or three sentences what was wrong and what you changed. No headings, no lists.

Never do this:
- Do not touch files outside the project, and do not add dependencies.
- Do not weaken, skip or delete a test to make it pass.
- Do not guess at the contents of a file.

The project:
- Language: Python 3.12, typed, formatted with a line length of 100.
- Layout: the package is in src/pace, its tests are in tests, one test file a module.
- Tests: pytest, run by the run_tests tool, which takes a path and returns the output as text.
"""


def _tool(name: str, description: str, **properties: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {key: {"type": "string", "description": text} for key, text in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TOOLS = (
    _tool("read_file", "Read one text file of the project.", path="Path relative to the project's root."),
    _tool(
        "edit_file",
        "Replace one passage of a file. Fails unless old_text occurs exactly once.",
        path="Path relative to the project's root.",
        old_text="The passage as it is now.",
        new_text="The passage as it shall be.",
    ),
    _tool("run_tests", "Run pytest and return its output.", path="File or folder to run, relative to the root."),
)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gives back to Claude; `gist` is what the editor shows of it."""

    text: str
    gist: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of the editor: the user's words, or the results of the calls in the answer before, in their order."""

    answer: tuple[Part, ...]
    says: str | None = None
    results: tuple[ToolResult, ...] = ()


SOURCE = '''\
"""Durations as people write them."""

from __future__ import annotations

import re

_UNITS = {"h": 3600, "m": 60, "s": 1}
_PART = re.compile(r"(\\d+)([hms])")


def parse_duration(text: str) -> int:
    """Seconds in a text such as `1h30m` or `45s`. Raises ValueError for anything else."""
    seconds = 0
    for amount, unit in _PART.findall(text):
        seconds += int(amount) * _UNITS[unit]
    return seconds


def format_duration(seconds: int) -> str:
    """The shortest text that `parse_duration` reads back: `5400` is `1h30m`."""
    parts = []
    for unit, size in _UNITS.items():
        amount, seconds = divmod(seconds, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"
'''

TESTS = """\
from __future__ import annotations

import pytest

from pace.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("10m", 600), ("1h30m", 5400), ("2h0m5s", 7205)],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1h banana", "h30m"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


def test_what_is_written_is_read_back() -> None:
    assert parse_duration(format_duration(5405)) == 5405
"""

FAILING = """\
....FFFF.                                                                [100%]
=================================== FAILURES ===================================
__________________________ test_anything_else_is_refused[] ____________________
    def test_anything_else_is_refused(text: str) -> None:
>       with pytest.raises(ValueError):
E       Failed: DID NOT RAISE <class 'ValueError'>

tests/test_durations.py:19: Failed
_______________________ test_anything_else_is_refused[soon] ____________________
E       Failed: DID NOT RAISE <class 'ValueError'>
____________________ test_anything_else_is_refused[1h banana] __________________
E       Failed: DID NOT RAISE <class 'ValueError'>
_______________________ test_anything_else_is_refused[h30m] ____________________
E       Failed: DID NOT RAISE <class 'ValueError'>
=========================== short test summary info ============================
FAILED tests/test_durations.py::test_anything_else_is_refused[] - Failed: DID NOT RAISE
FAILED tests/test_durations.py::test_anything_else_is_refused[soon] - Failed: DID NOT RAISE
FAILED tests/test_durations.py::test_anything_else_is_refused[1h banana] - Failed: DID NOT RAISE
FAILED tests/test_durations.py::test_anything_else_is_refused[h30m] - Failed: DID NOT RAISE
4 failed, 5 passed in 0.06s
"""


def _passing(count: int) -> ToolResult:
    dots = "." * count
    return ToolResult(f"{dots:<72} [100%]\n{count} passed in 0.02s\n", f"{count} passed")


def _edited(path: str) -> ToolResult:
    return ToolResult(f"Edited {path}: 1 passage replaced.", f"edited {path}")


def _read(path: str, text: str) -> ToolResult:
    return ToolResult(text, f"{path}, {len(text.splitlines())} lines")


SESSION = (
    Turn(
        says="tests/test_durations.py fails since this morning. Find out why, and fix it.",
        answer=(
            Text("I'll run that test file first to see what exactly fails."),
            ToolCall("run_tests", {"path": "tests/test_durations.py"}),
        ),
    ),
    Turn(
        results=(ToolResult(FAILING, "4 failed, 5 passed"),),
        answer=(
            Text("Valid durations are read, but nothing is ever refused. I'll read the module and its tests."),
            ToolCall("read_file", {"path": "src/pace/durations.py"}),
            ToolCall("read_file", {"path": "tests/test_durations.py"}),
        ),
    ),
    Turn(
        results=(_read("src/pace/durations.py", SOURCE), _read("tests/test_durations.py", TESTS)),
        answer=(
            Text(
                "`findall` skips whatever is not a number with a unit, so `soon` becomes 0 seconds. "
                "The text has to match as a whole before its parts are added up."
            ),
            ToolCall(
                "edit_file",
                {
                    "path": "src/pace/durations.py",
                    "old_text": "    seconds = 0\n    for amount",
                    "new_text": '    if not re.fullmatch(rf"(?:{_PART.pattern})+", text):\n'
                    '        raise ValueError(f"not a duration: {text!r}")\n'
                    "    seconds = 0\n    for amount",
                },
            ),
        ),
    ),
    Turn(
        results=(_edited("src/pace/durations.py"),),
        answer=(ToolCall("run_tests", {"path": "tests"}),),
    ),
    Turn(
        results=(_passing(9),),
        answer=(
            Text(
                "All nine tests pass. `parse_duration` added up the parts it recognised and ignored the rest of the "
                "text; it now raises `ValueError` unless the whole text is made of such parts."
            ),
        ),
    ),
    Turn(
        says="Good. Now let it take days as well: `2d4h`. With a test, please.",
        answer=(
            Text("Days go into the table of units and into the pattern; the test gets one more row."),
            ToolCall(
                "edit_file",
                {
                    "path": "src/pace/durations.py",
                    "old_text": '_UNITS = {"h": 3600, "m": 60, "s": 1}\n_PART = re.compile(r"(\\d+)([hms])")',
                    "new_text": '_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}\n'
                    '_PART = re.compile(r"(\\d+)([dhms])")',
                },
            ),
            ToolCall(
                "edit_file",
                {
                    "path": "tests/test_durations.py",
                    "old_text": '("2h0m5s", 7205)]',
                    "new_text": '("2h0m5s", 7205), ("2d4h", 187200)]',
                },
            ),
        ),
    ),
    Turn(
        results=(_edited("src/pace/durations.py"), _edited("tests/test_durations.py")),
        answer=(ToolCall("run_tests", {"path": "tests"}),),
    ),
    Turn(
        results=(_passing(10),),
        answer=(
            Text(
                "Done: `2d4h` is 187,200 seconds, and all ten tests pass. `format_duration` walks the same table of "
                "units, so it now writes days too."
            ),
        ),
    ),
)
