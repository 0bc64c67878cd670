"""Diff-first: asked for where a person reads the answer, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addons.diff_first import INSTRUCTION, DiffFirst, asks_for_a_change, edit_mode
from sidecar.exchange import Json
from tests.support.talks import Talk, assistant, texts, user

FILE = "```python\n" + "".join(f"line_{number} = {number}\n" for number in range(30)) + "```"
ASKS = f"Please rename line_3 to total.\n\n{FILE}"
FREE: Json = {"system": "Be kind.", "messages": [user(ASKS)]}


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    talk = Talk(tmp_path, DiffFirst)
    yield talk
    talk.close()


def instructed(request: Json) -> bool:
    return INSTRUCTION in str(request)


def test_a_plain_chat_about_a_pasted_file_is_asked_for_diffs_in_its_system_prompt(talk: Talk) -> None:
    sent = talk.send(FREE)
    assert sent["system"][-1]["text"] == f"Be kind.\n\n{INSTRUCTION}"
    assert sent["messages"] == FREE["messages"]
    assert talk.decided == ["diff_first: a pasted file is to be changed: a diff is asked for"]


def test_without_a_system_prompt_it_stands_behind_the_users_words(talk: Talk) -> None:
    sent = talk.send({"messages": [user(ASKS)]})
    assert texts(sent)[0] == ASKS
    assert INSTRUCTION in texts(sent)[1]


def test_it_stays_word_for_word_in_later_turns(talk: Talk) -> None:
    first = talk.send(FREE)
    messages = [*FREE["messages"], assistant("@@ -3 +3 @@"), user("thanks, now show me the whole file")]
    later = talk.send({**FREE, "messages": messages})
    assert later["system"] == first["system"]
    assert later["messages"] == messages


def test_it_is_never_added_to_a_conversation_that_began_without(talk: Talk) -> None:
    messages = [user("hello")]
    talk.send({**FREE, "messages": messages})
    messages = [*messages, assistant("hi"), user(ASKS)]
    assert not instructed(talk.send({**FREE, "messages": messages}))


@pytest.mark.parametrize("changed", [{"bypass": True}, {"client": "continue"}, {"client": "opencode"}])
def test_it_is_not_said_to_clients_that_read_answers_themselves_nor_under_a_bypass(
    talk: Talk, changed: dict[str, Any]
) -> None:
    assert not instructed(talk.send(FREE, **changed))


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    talk = Talk(tmp_path, DiffFirst, enforce_diff_first=False)
    assert talk.send(FREE) == FREE
    talk.close()


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
