"""A system prompt with a clock at its end, over conversations."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addons.file_references import FileReferences
from addons.prefix_repair import PrefixRepair
from addons.prompt_cache import PromptCache
from addons.stable_head import StableHead
from sidecar.repair.expanding import expanded
from tests.support.talks import Talk

RULES = "".join(f"Rule {number}: be brief about matter number {number}.\n" for number in range(80))


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    talk = Talk(tmp_path, PrefixRepair, StableHead, FileReferences, PromptCache)
    yield talk
    talk.close()


def a_request(clock: str, *words: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(words)]
    return {"system": f"{RULES}It is {clock}.\n", "messages": messages}


def test_the_first_conversation_teaches_and_the_next_ones_mark_the_stable_part(talk: Talk) -> None:
    first = talk.send(a_request("10:01", "one"))
    assert "".join(block["text"] for block in first["system"]) == f"{RULES}It is 10:01.\n"
    assert len(first["system"]) == 1
    second = talk.send(a_request("10:02", "two"))
    stable, rest = second["system"]
    assert stable["text"] + rest["text"] == f"{RULES}It is 10:02.\n"
    assert stable["text"] == RULES
    assert "cache_control" in stable
    assert "cache_control" not in rest


def test_a_split_prompt_stays_split_and_is_repaired_like_any_other(talk: Talk) -> None:
    talk.send(a_request("10:01", "one"))
    second = talk.send(a_request("10:02", "two"))
    later_request = a_request("10:03", "two", "answer", "more")
    later = talk.send(later_request)
    assert [block["text"] for block in later["system"]] == [block["text"] for block in second["system"]]
    assert "10:03" in str(later["messages"][-1])
    assert expanded(later)["system"][0]["text"] == later_request["system"]


def test_a_prompt_that_does_not_change_is_not_split(talk: Talk) -> None:
    talk.send(a_request("10:01", "one"))
    assert len(talk.send(a_request("10:01", "two"))["system"]) == 1


def test_a_prompt_of_which_only_blanks_would_be_left_is_not_split(talk: Talk) -> None:
    talk.send(a_request("10:01", "one"))
    assert len(talk.send(a_request("10:01", "two") | {"system": f"{RULES}\n"})["system"]) == 1


def test_a_client_that_marks_its_system_prompt_keeps_it_as_it_is(talk: Talk) -> None:
    talk.send(a_request("10:01", "one"))
    request = a_request("10:02", "two")
    request["system"] = [{"type": "text", "text": request["system"], "cache_control": {"type": "ephemeral"}}]
    assert talk.send(request)["system"] == request["system"]
