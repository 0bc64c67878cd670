"""Diff-first: asked for where a person reads the answer, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addons.diff_first import DiffFirst
from sidecar.diff_first import INSTRUCTION, without_instruction
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


def test_a_file_may_be_pasted_between_tildes(talk: Talk) -> None:
    assert instructed(talk.send({**FREE, "messages": [user(ASKS.replace("```", "~~~"))]}))


def test_without_a_system_prompt_it_stands_behind_the_users_words(talk: Talk) -> None:
    sent = talk.send({"messages": [user(ASKS)]})
    assert texts(sent)[0] == ASKS
    assert INSTRUCTION in texts(sent)[1]


@pytest.mark.parametrize("system", [[{"type": "text", "text": "Be kind."}], None])
def test_it_can_be_taken_out_again(talk: Talk, system: Any) -> None:
    request = {"messages": [user(ASKS)]} | ({"system": system} if system else {})
    sent = talk.send(request)
    assert sent != request
    assert without_instruction(sent) == request


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
