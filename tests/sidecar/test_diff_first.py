"""Where a diff can be asked for."""

import pytest

from sidecar.diff_first import INSTRUCTION, asks_for_a_change, edit_mode, without_instruction
from sidecar.exchange import Json
from tests.support.talks import assistant, user

FILE = "```python\n" + "".join(f"line_{number} = {number}\n" for number in range(30)) + "```"
ASKS = f"Please rename line_3 to total.\n\n{FILE}"
FREE: Json = {"system": "Be kind.", "messages": [user(ASKS)]}


def with_system(text: str) -> Json:
    return {**FREE, "system": text}


@pytest.mark.parametrize(
    ("mode", "client", "request_"),
    [
        ("free", "unknown", FREE),
        ("free", "openai-sdk", FREE),
        ("free", "litellm", {**FREE, "tools": []}),
        ("tool", "unknown", {**FREE, "tools": [{"name": "write_to_file"}]}),
        ("tool", "unknown", {**FREE, "tools": [{"name": "get_weather"}]}),
        ("client-format", "aider", FREE),
        ("client-format", "cursor", FREE),
        ("client-format", "continue", FREE),
        ("client-format", "copilot", FREE),
        ("client-format", "unknown", {**FREE, "output_config": {"format": {"type": "json_schema"}}}),
        ("client-format", "unknown", with_system("Answer with a *SEARCH/REPLACE block*.")),
        ("client-format", "unknown", with_system("<<<<<<< SEARCH\nold\n=======\nnew\n>>>>>>> REPLACE")),
        ("client-format", "unknown", with_system("<diff>\n------- SEARCH\nold\n=======\nnew\n+++++++ REPLACE")),
        ("client-format", "unknown", with_system("*** Begin Patch\n*** Update File: a.py")),
        ("client-format", "unknown", with_system("You MUST return the entire content of the updated file.")),
        ("client-format", "unknown", with_system("Mark what stays with // ... existing code ...")),
        ("client-format", "unknown", with_system("TOOL_NAME: edit_existing_file")),
        ("client-format", "unknown", with_system("# Tool Use Formatting")),
        ("client-format", "unknown", {"messages": [user(f"ORIGINAL CODE:\n{FILE}\nNEW CODE:\n{FILE}")]}),
        ("client-format", "unknown", {"messages": [user("// UNCHANGED CODE stays away\n" + ASKS)]}),
        ("client-format", "unknown", {"messages": [user(ASKS), assistant("```python")]}),
        ("client-format", "unknown", {"messages": [user(ASKS, "x" * 500_000)]}),
    ],
)
def test_every_way_in_which_edits_come_back(mode: str, client: str, request_: Json) -> None:
    assert edit_mode(client, request_) == mode


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (True, ASKS),
        (True, f"{FILE}\nfix the bug in there"),
        (True, f"Can you make this faster?\n~~~js\n{'x;\n' * 12}~~~"),
        (False, f"What does this do?\n\n{FILE}"),
        (False, "Please rename line_3 to total in ```python\nline_3 = 3\n```"),
        (False, "Please refactor my service."),
        (False, f"Fix it and give me the full file.\n\n{FILE}"),
        (False, f"Fix it, and show the complete code\n\n{FILE}"),
        (False, f"Rewrite this, no diff please: print it in full.\n\n{FILE}"),
    ],
)
def test_what_counts_as_asking_for_a_change_of_a_pasted_file(asked: bool, words: str) -> None:
    assert asks_for_a_change(words) is asked


def test_a_page_of_fences_is_read_once() -> None:
    assert not asks_for_a_change("~" * 200_000)
    assert not asks_for_a_change("".join("~" * length + "\n" for length in range(900, 3, -1)))


def test_a_request_that_never_had_the_instruction_is_itself() -> None:
    assert without_instruction(FREE) is FREE
    quoted = {"messages": [user(f"what does this mean: {INSTRUCTION}")]}
    assert without_instruction(quoted) is quoted
