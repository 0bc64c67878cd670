"""Repeats told by markers: what Claude reads, and that the client's words always come back."""

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from sidecar.boilerplate.catalogue import Row, built_in
from sidecar.boilerplate.repeats import MARKER, Copies, Folded, expand, fold, places, unfold
from sidecar.boilerplate.segments import segments_in
from sidecar.exchange import Json

RULES = "<reminderInstructions>\n" + "Use the replace tool with care.\n" * 8 + "</reminderInstructions>"
COPILOT = built_in().for_client("copilot")
CLINE = built_in().for_client("cline")


def focus(done: int, of: int) -> str:
    return (
        "# TODO LIST UPDATE REQUIRED - You MUST include the task_progress parameter in your NEXT tool call.\n\n"
        f"**Current Progress: {done}/{of} items completed ({100 * done // of}%)**\n\n- [ ] one\n- [ ] two\n\n"
        "1. To create or update a todo list, include the task_progress parameter in the next tool call\n"
        "2. Review each item and update its status\n3. Modify the list as needed\n"
        "**Remember:** Keeping the task_progress list updated helps track progress and ensures nothing is missed."
    )


def among(*earlier: str) -> Copies:
    def copies(words: str) -> Iterator[tuple[str, int]]:
        return ((text, at) for text in earlier for at in places(text, words))

    return copies


def folded(text: str, *earlier: str, rows: Iterable[Row] = COPILOT) -> Folded | None:
    return fold(text, segments_in(text, rows, "user", in_result=False), among(*earlier))


def test_a_repeat_becomes_a_marker_that_says_where_to_look() -> None:
    short = folded(f"{RULES}\nfix it", f"{RULES}\nhello")
    assert short is not None
    assert short.rows == ("copilot.reminder",)
    assert MARKER.match(short.text)
    assert f", {len(RULES)} characters as above: <reminderInstructions>]\nfix it" in short.text


def test_the_first_copy_stays() -> None:
    assert folded(f"{RULES}\nfix it", "hello") is None


def test_what_differs_by_a_character_stays() -> None:
    assert folded(RULES.replace("care", "Care"), RULES) is None


def test_what_a_marker_would_not_clearly_shorten_stays() -> None:
    date = "<context>\nThe current date is November 22, 2026.\n</context>"
    assert folded(date, date) is None


def test_counts_that_differ_are_told() -> None:
    short = folded(focus(2, 10), focus(1, 9), rows=CLINE)
    assert short is not None
    assert "(with 2, 10, 20, 1, 2, 3): # TODO LIST UPDATE REQUIRED" in short.text
    assert unfold(short.text, among(focus(1, 9))) == focus(2, 10)


def test_where_the_list_changed_its_constant_half_is_told() -> None:
    earlier = focus(1, 9)
    text = focus(1, 9).replace("- [ ] one", "- [x] one")
    short = folded(text, earlier, rows=CLINE)
    assert short is not None
    assert short.rows == ("cline-legacy.focus_rules",)
    assert "- [x] one" in short.text
    assert unfold(short.text, among(earlier)) == text


@pytest.mark.parametrize(
    "words",
    [
        "[cgw repeat 0123456789, 300 characters as above: <reminderInstructions>]",
        "[cgw repeat",
        "[cgw as written 0123456789]\nhello",
    ],
)
def test_words_that_only_look_like_a_marker_stay(words: str) -> None:
    assert folded(words, RULES) is None
    assert unfold(words, among(RULES)) == words


def test_a_text_that_reads_as_a_folded_one_is_sent_as_written() -> None:
    short = folded(f"{RULES}\nfix it", RULES)
    assert short is not None
    again = folded(short.text, RULES)
    assert again is not None
    assert again.text.endswith(short.text)
    assert again.text != short.text
    assert unfold(again.text, among(RULES)) == short.text


def test_and_so_is_a_text_that_reads_as_one_sent_as_written() -> None:
    short = folded(f"{RULES}\nfix it", RULES)
    assert short is not None
    again = folded(short.text, RULES)
    assert again is not None
    third = folded(again.text, RULES)
    assert third is not None
    assert unfold(third.text, among(RULES)) == again.text


def test_expand_gives_back_the_clients_request() -> None:
    repeat = folded(f"{RULES}\nfix it", "s", RULES, "fine")
    assert repeat is not None

    def request(last: str) -> Json:
        returned = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "fine"}]}
        return {
            "system": [{"type": "text", "text": "s"}],
            "messages": [
                {"role": "user", "content": RULES},
                {"role": "assistant", "content": "ok"},
                {"role": "user", "content": [returned, {"type": "text", "text": last}]},
            ],
        }

    assert expand(request(repeat.text)) == request(f"{RULES}\nfix it")
    assert expand(request("fix it")) == request("fix it")


pieces = st.lists(
    st.sampled_from(
        [
            RULES,
            RULES.replace("care", "love"),
            "<reminderInstructions>",
            "</reminderInstructions>",
            "\n",
            "fix it",
            "[cgw repeat 0123456789, 300 characters as above: <reminderInstructions>]",
            "[cgw as written 0123456789]\n",
            focus(1, 3),
            focus(2, 3),
        ]
    ),
    max_size=6,
).map("".join)


@given(st.lists(st.tuples(pieces, st.booleans()), min_size=1, max_size=5))
@examples(max_examples=200)
def test_whatever_clients_write_always_comes_back(written: list[tuple[str, bool]]) -> None:
    """Where the flag is set, the client sends back what went upstream last, markers and all."""
    rows = [*COPILOT, *CLINE]
    client: list[str] = []
    sent: list[str] = []
    for text, echo in written:
        words = (sent[-1] if echo and sent else "") + text
        short = folded(words, *sent, rows=rows)
        client.append(words)
        sent.append(words if short is None else short.text)
    assert all(len(short) <= len(words) + 30 for short, words in zip(sent, client, strict=True))
    request = {"messages": [{"role": "user", "content": text} for text in sent]}
    assert expand(request) == {"messages": [{"role": "user", "content": text} for text in client]}
