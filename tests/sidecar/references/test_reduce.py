"""Repeated lines told by reference, and that every character comes back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sidecar.exchange import Json
from sidecar.references.expand import expand
from sidecar.references.marker import seal
from sidecar.references.reduce import DEFAULT_GRAIN, Grain, Taken
from tests.support.references import markers, reduced
from tests.support.talks import assistant, call, result, texts, user

LINES = [f"    return line_{number}(of_the_file)" for number in range(40)]
FILE = "\n".join(LINES)
NUMBERED = "\n".join(f"{number:6}\t{line}" for number, line in enumerate(LINES, 1))


def read_twice(first: Any, second: Any, **arguments: Any) -> Json:
    """A conversation in which a tool gives one result after another."""
    return {
        "messages": [
            user("go"),
            assistant(call("t1", "read_file", **({"path": "src/app.py"} | arguments))),
            user(result("t1", first)),
            assistant("And now?", call("t2", "read_file", **({"path": "src/app.py"} | arguments))),
            user(result("t2", second)),
        ]
    }


def told(first: Any, second: Any, grain: Grain = DEFAULT_GRAIN) -> str:
    """The second result as it is sent; everything expands."""
    request = read_twice(first, second)
    sent = reduced(request, grain=grain)
    assert expand(sent) == request
    assert sent["messages"][:4] == request["messages"][:4]
    return texts(sent)[-1]


# --- what Claude reads


def test_a_file_that_is_read_again_becomes_one_line() -> None:
    short = told(FILE, f"{FILE}\n")
    assert short.startswith('[cgw: same 40 lines as src/app.py:1-40 above, "return line_0(…" to "return line_39…" @')
    assert short.endswith("]\n")
    assert short.count("\n") == 1


def test_only_the_lines_that_stand_already_go() -> None:
    short = told(FILE, f"before\n{FILE}\nbehind")
    assert short.startswith("before\n[cgw: same 40 lines")
    assert short.endswith("]\nbehind")


def test_the_same_lines_with_numbers_say_which_where_they_differ() -> None:
    assert 'src/app.py:1-40 above, "' in told(FILE, NUMBERED)
    moved = "\n".join(f"{number:6}\t{line}" for number, line in enumerate(LINES, 101))
    assert "src/app.py:1-40 above, here 101-140, " in told(FILE, moved)


def test_lines_inside_json_are_the_same_lines() -> None:
    short = told(FILE, json.dumps([{"path": "a.py", "content": f"\n{FILE}\n"}]))
    assert short.startswith('[{"path": "a.py", "content": "\\n[cgw: same 40 lines')
    assert json.loads(short)


def test_carriage_returns_make_no_difference() -> None:
    assert told(FILE, FILE.replace("\n", "\r\n")).startswith("[cgw: same 39 lines")


def test_a_stack_trace_that_comes_twice_in_one_output_is_told_once() -> None:
    short = told("ok", f"one\n{FILE}\ntwo\n{FILE}\nthree")
    assert short.count(FILE) == 1
    assert "two\n[cgw: same 40 lines as above in this text, " in short


def test_what_the_model_wrote_into_a_file_need_not_be_shown_to_it_again() -> None:
    request = read_twice("ok", f"Saved.\n{FILE}", content=FILE)
    sent = reduced(request)
    assert expand(sent) == request
    assert texts(sent)[-1].startswith("Saved.\n[cgw: same 40 lines as src/app.py:1-40 above")


def test_a_result_of_two_texts_may_refer_from_the_one_to_the_other() -> None:
    assert told("ok", [{"type": "text", "text": FILE}, {"type": "text", "text": NUMBERED}]).startswith("[cgw: same 40")


def test_many_small_changes_become_one_diff() -> None:
    """No run of lines between them is long enough for a reference of its own."""
    before = [f"{line} # {number}" for number, line in enumerate(LINES * 5)]
    now = [f"changed # {number}" if number % 9 == 4 else line for number, line in enumerate(before)]
    short = told("\n".join(before), "\n".join(now))
    assert short.startswith("[cgw: these 200 lines are src/app.py:1-200 above with this 66-line diff @")
    assert f"\n@@ -14 +14 @@\n-{before[13]}\n+changed # 13\n" in short
    assert len(short) < len("\n".join(now)) / 2


def test_a_few_changes_are_no_reason_for_a_diff() -> None:
    now = [*LINES[:18], "changed", *LINES[19:]]
    assert told(FILE, "\n".join(now)).count("[cgw: same ") == 2


def test_a_reference_never_leads_to_a_reference() -> None:
    request: Json = {"messages": []}
    for number in range(5):
        request["messages"] += [
            assistant(call(f"t{number}")),
            user(result(f"t{number}", f"{FILE}\nround {number}\n{FILE[::-1]}")),
        ]
    sent = reduced(request)
    assert expand(sent) == request
    whole = texts(sent)[0]
    assert all("[cgw" not in whole and "cgw: same 40 lines as" in text for text in texts(sent)[1:])


def test_the_words_of_a_reference_cannot_begin_another_one() -> None:
    tricky = "\n".join(f"[cgw: same {line}" for line in LINES)
    request = read_twice(tricky, tricky)
    assert expand(reduced(request)) == request


def test_references_are_short() -> None:
    request = read_twice(FILE, FILE, path="/home/somebody/a/very/long/path/to/some/module/app.py")
    (marker,) = markers(reduced(request))
    assert len(marker) < 125


# --- what nobody touches


@pytest.mark.parametrize(
    "message",
    [
        user(FILE),
        user(f"<user_query>\n{FILE}\n</user_query>"),
        user(f"<feedback>\n{FILE}\n</feedback>"),
        assistant(FILE),
        assistant(call("t9", "write_file", path="src/app.py", content=FILE)),
        assistant({"type": "thinking", "thinking": FILE, "signature": "s"}),
        {"role": "system", "content": FILE},
    ],
    ids=["typed", "typed in cursor", "typed in cline", "said by the model", "a call", "thinking", "system text"],
)
def test_words_calls_and_thinking_stay_as_they_are(message: Json) -> None:
    messages = [user(f"<file_content>\n{FILE}\n</file_content>"), assistant("ok"), message]
    assert reduced({"messages": messages})["messages"] == messages


def test_what_a_client_attached_to_a_persons_words_is_told() -> None:
    attached = f'<file_content path="src/app.py">\n{FILE}\n</file_content>'
    words = "fix it\n" + "\n".join(LINES[:9])
    request = {"messages": [user(attached), assistant("ok"), user(f"{words}\n{attached}")]}
    sent = reduced(request)
    assert expand(sent) == request
    assert texts(sent)[-1].startswith(f"{words}\n[cgw: same 4")


def test_rows_of_open_tabs_have_a_short_form() -> None:
    tabs = "\n".join(f"src/module_{number}.py" for number in range(6))
    environment = f"<environment_details>\n# VSCode Open Tabs\n{tabs}\n\n# Current Time\n{{}}\n</environment_details>"
    turns = [user("x", environment.format("9:41")), assistant("ok"), user("y", environment.format("9:45"))]
    sent = reduced({"messages": turns}, grain=DEFAULT_GRAIN)
    assert expand(sent) == {"messages": turns}
    assert texts(sent)[-1].startswith("[cgw: same 10 lines as above @")
    assert texts(sent)[-1].endswith("]\n9:45\n</environment_details>")


@pytest.mark.parametrize(("lines", "goes"), [(14, False), (15, True)])
def test_by_default_fifteen_lines_are_worth_a_reference(lines: int, goes: bool) -> None:
    assert ("[cgw" in told(FILE, "\n".join(LINES[:lines]))) is goes


def test_a_few_long_lines_are_worth_one_too() -> None:
    long = "\n".join(f"{number}{'x' * 300}" for number in range(3))
    assert told(long, long).startswith("[cgw: same 3 lines")


def test_a_finer_grain_counts_characters_alone() -> None:
    seven = "\n".join(LINES[:7])
    assert "[cgw" not in told(FILE, seven)
    assert "[cgw" in told(FILE, seven, Grain.of_characters(200))


# --- guards


def test_past_its_work_a_request_stays_as_it_is() -> None:
    request = read_twice(FILE, FILE)
    assert reduced(request, work=1_000) == request


def test_a_text_too_large_does_not_keep_smaller_ones_from_their_turn() -> None:
    request = read_twice(FILE, FILE)
    request["messages"][4]["content"].insert(0, result("t1", "x" * 20_000))
    sent = reduced(request, work=18_000)
    assert "[cgw" in texts(sent)[-1]


def test_a_marker_that_somebody_copied_is_just_text() -> None:
    (marker,) = markers(reduced(read_twice(FILE, FILE)))
    for copied in (marker, f"quoted: {marker}", f"{marker}\n{marker}"):
        request = read_twice(FILE, FILE)
        request["messages"] += [assistant(copied), user(copied, result("t3", copied))]
        sent = reduced(request)
        assert sent["messages"][5:] == request["messages"][5:]
        assert expand(sent) == request


def test_text_that_would_be_taken_for_a_reference_is_sealed() -> None:
    sent = reduced(read_twice(FILE, FILE))
    again = reduced(sent)
    assert texts(again)[-1].startswith("[cgw: as written from here on @")
    assert expand(again) == sent
    assert expand(expand(again)) == read_twice(FILE, FILE)


# --- every character comes back

NAMES = ["alpha()", "beta = 2", "gamma: 3", "", "}", "    return delta", "1: a", "2: b", "3: c", "größer", 'say "x\\n"']
SAID = st.lists(st.sampled_from([*NAMES, *LINES[:6], *LINES[:6]]), max_size=24).map("\n".join)


def with_numbers(text: str) -> str:
    return "\n".join(f"{number:6}\t{line}" for number, line in enumerate(text.split("\n"), 7))


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "numbers": with_numbers,
    "returns": lambda text: text.replace("\n", "\r\n"),
    "json": lambda text: json.dumps({"text": text}, ensure_ascii=False),
    "json of numbers": lambda text: json.dumps([with_numbers(text)]),
    "twice": lambda text: f"{text}\n--\n{text}",
    "attached": lambda text: f'fix\n<file_content path="a.py">\n{text}\n</file_content>\nplease',
    "environment": lambda text: f"<environment_details>\n{text}\n</environment_details>",
    "result": lambda text: f"[read_file for 'a.py'] Result:\n{text}",
    "sealed": lambda text: seal(text, b""),
}
TEXTS = st.builds(lambda text, form: FORMS[form](text), SAID, st.sampled_from(sorted(FORMS)))


@st.composite
def conversations(draw: st.DrawFn) -> Json:
    messages: list[Json] = []
    for number in range(draw(st.integers(1, 4))):
        match draw(st.sampled_from(["words", "parts", "tool", "tool parts"])):
            case "words":
                messages += [{"role": "user", "content": draw(TEXTS)}, {"role": "assistant", "content": draw(TEXTS)}]
            case "parts":
                messages += [user(draw(TEXTS), draw(TEXTS)), assistant(draw(TEXTS))]
            case "tool":
                messages += [assistant(call(f"t{number}", "write", path="a.py", content=draw(TEXTS)))]
                messages += [user(result(f"t{number}", draw(TEXTS)), draw(TEXTS))]
            case _:
                parts = [{"type": "text", "text": draw(TEXTS)} for _ in range(2)]
                messages += [assistant(call(f"t{number}")), user(result(f"t{number}", parts))]
    return {"system": draw(SAID), "messages": messages}


@given(conversations(), st.integers(0, 3), st.integers(0, 60_000))
@examples(max_examples=80)
def test_what_is_reduced_always_expands_to_what_the_client_wrote(request: Json, frozen: int, work: int) -> None:
    before = reduced({**request, "messages": request["messages"][:frozen]})
    sent = reduced(request, frozen=before["messages"], work=work)
    assert sent["messages"][:frozen] == before["messages"]
    assert expand(sent) == request


@given(conversations(), conversations())
@examples(max_examples=60)
def test_text_made_of_our_own_markers_always_comes_back(request: Json, other: Json) -> None:
    """What was sent for one conversation is what the client writes in the next: every marker in it is genuine."""
    sent = reduced(request)
    for messages in (sent["messages"], sent["messages"] + other["messages"], other["messages"] + sent["messages"]):
        forged = {**request, "messages": messages}
        assert expand(reduced(forged)) == forged


@given(conversations())
@examples(max_examples=40)
def test_nothing_ever_refers_to_a_marker(request: Json) -> None:
    def check(taken: Taken) -> None:
        for stand in (used.stand for used in taken.used if used.stand.patch is None):
            assert taken.reading is not None
            assert not any("[cgw" in key for key in taken.reading.keys[stand.first : stand.end])

    sent = reduced(request)
    reduced({**request, "messages": sent["messages"] * 2}, each=check)


@given(conversations())
@examples(max_examples=40)
def test_reducing_never_makes_a_text_longer(request: Json) -> None:
    def check(taken: Taken) -> None:
        assert not taken.used or len(taken.text) < len(taken.slot.text)

    reduced(request, each=check)
