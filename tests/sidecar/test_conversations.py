"""Conversations are told apart, and stay what they are while they grow."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sidecar.conversations import FIRST_WORDS, SYSTEM_HEAD, conversation_id
from tests.support.messages import JSON_VALUES


def asked(system: Any, *turns: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {
        "system": system,
        "messages": [{"role": roles[number % 2], "content": turn} for number, turn in enumerate(turns)],
    }


def test_a_conversation_stays_the_same_as_it_grows() -> None:
    first = conversation_id("default", {}, asked("You are Cline,", "fix it"))
    later = conversation_id("default", {}, asked("You are Cline,", "fix it", "done", "thanks"))
    assert first == later
    assert len(first) == 16
    assert int(first, 16) >= 0


def test_the_client_s_spelling_of_a_text_does_not_matter() -> None:
    marked = [{"type": "text", "text": "fix it", "cache_control": {"type": "ephemeral"}}]
    system = [{"type": "text", "text": "You are Cline,"}]
    assert conversation_id("default", {}, asked(system, marked)) == conversation_id(
        "default", {}, asked("You are Cline,", "fix it")
    )


def test_what_is_appended_to_a_system_prompt_does_not_matter() -> None:
    rules = "r" * SYSTEM_HEAD
    assert conversation_id("default", {}, asked(rules, "hi")) == conversation_id(
        "default", {}, asked(rules + "rules for the open file", "hi")
    )


def test_projects_systems_and_first_words_tell_conversations_apart() -> None:
    requests = [("a", "s", "hi"), ("b", "s", "hi"), ("a", "t", "hi"), ("a", "s", "ho"), ("a", "sh", "i")]
    ids = {conversation_id(project, {}, asked(system, words)) for project, system, words in requests}
    assert len(ids) == len(requests)


def test_a_session_that_the_client_names_is_believed() -> None:
    headers = {"x-claude-code-session-id": "one"}
    one = conversation_id("default", headers, asked("s", "hi"))
    assert one == conversation_id("default", headers, asked("other", "words"))
    assert one != conversation_id("default", {"x-claude-code-session-id": "two"}, asked("s", "hi"))
    assert one == conversation_id("default", {"session-id": "one"}, asked("s", "hi"))
    assert one != conversation_id("other", headers, asked("s", "hi"))
    assert one != conversation_id("default", {}, asked("s", "hi"))


def test_a_huge_first_message_counts_by_its_head() -> None:
    words = "w" * FIRST_WORDS
    assert conversation_id("default", {}, asked("s", words)) == conversation_id("default", {}, asked("s", words + "x"))


@given(st.dictionaries(st.sampled_from(["system", "messages"]), JSON_VALUES))
def test_no_request_is_too_odd(request: dict[str, Any]) -> None:
    assert len(conversation_id("default", {}, request)) == 16
