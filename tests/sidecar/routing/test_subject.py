"""What is looked at in a request, by client, and the trouble that its newest blocks show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.conversation import positions_of
from sidecar.exchange import Json
from sidecar.prompt import Prompt
from sidecar.routing.findings import LOOKED_AT, Trouble, trouble_in
from sidecar.routing.standing import Standing, decode, encode, find, key_of, with_branch
from sidecar.routing.subject import Subject, opening_of, subject_of
from tests.support.talks import assistant, call, result, user

FAILED = "FAILED tests/test_a.py::test_b - assert 1 == 2"


def prompt(*messages: Json, **fields: Any) -> Prompt:
    positions = positions_of({"messages": list(messages), **fields})
    assert positions is not None
    return Prompt("web", positions)


def seen(*messages: Json, client: str = "unknown", **fields: Any) -> Subject:
    return subject_of({"messages": list(messages), **fields}, prompt(*messages, **fields), client)


def trouble(*messages: Json) -> Trouble:
    return trouble_in(prompt(*messages).positions)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<task>\nFix it.\n</task>\n<environment_details>\n# Time\n12:00\n</environment_details>", "fix it."),
        ("<system-reminder>Use tools.</system-reminder>\nFix it.", "fix it."),
        ("<user_query>\nFix it.\n</user_query>", "fix it."),
        ("# Context from my IDE setup:\n## Open tabs\n- a.py\n## My request for Codex:\nFix it.", "fix it."),
        ("Fix it.\n\n# *SEARCH/REPLACE block* Rules:\n\nEvery block must use this format", "fix it."),
        ("I have *added these files to the chat* so you can go ahead and edit them.\n\na.py\n```\nx\n```", ""),
        ("[read_file for 'a.py'] Result:\nx = 1", ""),
    ],
)
def test_the_users_own_words_are_told_from_what_editors_add(text: str, words: str) -> None:
    assert seen(user(text)).words == words


def test_in_a_tool_loop_the_task_is_what_the_user_said_before_it() -> None:
    subject = seen(user("Fix the deadlock."), assistant(call("1")), user(result("1", "ok")))
    assert (subject.words, subject.task, subject.only_results) == ("", "fix the deadlock.", True)
    said = seen(user("Fix it."), assistant(call("1")), user(result("1", "ok"), "And the docs."))
    assert (said.words, said.only_results) == ("and the docs.", False)


def test_code_that_the_user_pastes_is_no_task() -> None:
    assert "mutex" not in seen(user("Rename it.\n```go\nvar mu sync.Mutex\n```")).task


def test_signed_thinking_counts_inside_the_run_of_calls_that_goes_on() -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    loop = [user("Fix it."), assistant(thinking, call("1")), user(result("1", "ok"))]
    assert seen(*loop).thinks
    assert not seen(
        *loop, assistant("Done."), user("Now the docs."), assistant(call("2")), user(result("2", "x"))
    ).thinks


def test_the_same_test_must_fail_again_and_fewer_failures_are_progress() -> None:
    once = [user("Fix it."), assistant(call("1")), user(result("1", FAILED))]
    assert trouble(*once).same_test == 0
    again = [*once, assistant(call("2")), user(result("2", FAILED))]
    assert (trouble(*again).same_test, trouble(*again).what) == (1, "tests/test_a.py::test_b")
    two = user(result("1", f"{FAILED}\nFAILED tests/test_a.py::test_c - KeyError"))
    assert trouble(*once[:2], two, assistant(call("2")), user(result("2", FAILED))).same_test == 0


@pytest.mark.parametrize(
    "output",
    [
        "--- FAIL: TestParse (0.00s)",
        "test parser::reads ... FAILED",
        "  ● cart › adds a voucher",
        "FAIL: test_read (tests.test_io.ReadTest)",
        " FAIL  src/cart.test.ts",
        "app/resume.py:52: AssertionError",
    ],
)
def test_failing_tests_are_known_from_every_runner(output: str) -> None:
    again = [
        user("x"),
        assistant(call("1")),
        user(result("1", output)),
        assistant(call("2")),
        user(result("2", output)),
    ]
    assert trouble(*again).same_test == 1


def test_only_a_user_who_has_heard_an_answer_can_say_that_it_is_wrong() -> None:
    assert trouble(user("The parser does not work, fix it.")).complaints == 0
    assert trouble(user("Fix it."), assistant("Done."), user("It still fails.")).complaints == 1


def test_trouble_is_over_once_it_is_far_back() -> None:
    begun = [user("Fix it."), assistant("Done."), user("That is wrong.")]
    assert trouble(*begun).complaints == 1
    later = [message for index in range(LOOKED_AT) for message in (assistant(f"a{index}"), user(f"u{index}"))]
    assert trouble(*begun, *later) == Trouble()


@settings(max_examples=50)
@given(st.lists(st.sampled_from([FAILED, "ok", "That is wrong.", "I apologize.", "patch does not apply"]), max_size=20))
def test_trouble_is_the_same_whatever_was_looked_at_before(texts: list[str]) -> None:
    messages = [user("x"), *(m for text in texts for m in (assistant(text), user(text)))]
    whole = trouble(*messages)
    for end in range(0, len(messages), 3):
        trouble(*messages[: end + 1])
    assert trouble(*messages) == whole


def test_a_conversation_is_known_by_system_text_and_first_words_past_a_worked_example() -> None:
    example = [
        user("Change get_factorial() to use math.factorial"),
        assistant("```diff```"),
        user("I switched to a new code base. Please don't consider the above files or try to edit them any longer."),
        assistant("Ok."),
    ]
    first = opening_of(prompt(*example, user("Add a flag.\n\n# *SEARCH/REPLACE block* Rules:"), system="s"))
    later = opening_of(prompt(*example, user("Add a flag."), assistant("Done."), user("More."), system="s"))
    assert first == later == ("s", "Add a flag.")


def standing(until: int, link: bytes = b"\1", model: str = "m") -> Standing:
    return Standing(model, "ordinary", "ordinary", "auto", until, link.hex())


def test_the_longest_known_prefix_counts_and_else_the_newest() -> None:
    branches = [standing(1, b"\1", "a"), standing(2, b"\2", "b"), standing(4, b"\4", "c")]
    chain = [b"\1", b"\2", b"\3"]
    assert find(branches, chain, first=False) == branches[1]
    assert find(branches, [b"\7", b"\7"], first=False) == branches[2]
    assert find(branches, [b"\7"], first=True) is None


def test_what_is_kept_is_bounded_keeps_the_beginning_and_comes_back_as_it_was() -> None:
    branches: list[Standing] = []
    for number in range(1, 40):
        branches = with_branch(branches, standing(number, bytes([number])))
    assert len(branches) == 16
    assert (branches[0].until, branches[-1].until) == (1, 39)
    assert decode(encode(branches)) == branches


@pytest.mark.parametrize("kept", [None, b"", b"{", b"[1]", b'[["m","x","ordinary","auto",1,"",true,false]]'])
def test_what_makes_no_sense_is_nothing(kept: bytes | None) -> None:
    assert decode(kept) == []


def test_no_key_is_shared_by_projects_or_sessions() -> None:
    opening = ("system", "words")
    keys = {
        key_of("a", None, opening),
        key_of("b", None, opening),
        key_of("a", "s", opening),
        key_of("a", None, ("", "")),
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("1. Do it." + "\n" * 150_000 + "2. Test it.", 2),
        ("<rules>" * 28_000 + "\n1. Do it.", 1),
        ("<rules " * 28_000 + "\n1. Do it.", 1),
        ("<files><rules></files>" * 9_000 + "\n1. Do it.", 1),
        ("```\n1. Do it.\n" * 14_000, 14_000),
    ],
    ids=["lines", "tags", "open tags", "tags in one another", "fences"],
)
def test_a_text_made_to_be_slow_is_read_in_one_pass(text: str, steps: int) -> None:
    assert seen(user(text)).steps == steps
    assert trouble(user(result("1", "\n" * 5_000 + "  ● adds numbers" + "\n" * 2_000))) == Trouble()
