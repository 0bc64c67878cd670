"""What a client changed is told to a reader."""

from typing import Any

import pytest

from sidecar.repair.changes import changed


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_a_reader_is_told_where_what_changed() -> None:
    rules = "x" * 1_179 + "\n"
    change = changed(text(f"{rules}Today is a fine Monday."), text(f"{rules}Today is a fine Tuesday."))
    assert change is not None
    assert change.said("the system prompt") == (
        "the system prompt changed at character 1,197: `Today is a fine Tuesday.`"
    )


def test_a_reader_is_told_how_many_lines_changed() -> None:
    change = changed(text("a\nb\nc\nd"), text("a\nB\nC\nd"))
    assert change is not None
    assert change.said("message 3") == "message 3 changed at character 3: `B` (2 lines)"


def test_a_text_that_was_cut_off_is_shown_as_it_was() -> None:
    change = changed(text("keep\nand this"), text("keep\n"))
    assert change is not None
    assert "`and this`" in change.said("message 3")


def test_a_change_in_the_second_text_of_a_result_is_counted_over_both() -> None:
    def result(words: str) -> dict[str, Any]:
        return {"type": "tool_result", "tool_use_id": "t1", "content": [text("12345"), text(words)]}

    change = changed(result("abc"), result("abX"))
    assert change is not None
    assert (change.offset, change.lines) == (7, 1)


def test_a_block_that_is_as_it_was_has_changed_nowhere() -> None:
    change = changed(text("same"), text("same"))
    assert change is not None
    assert (change.lines, change.characters) == (0, 0)
    assert change.said("message 3") == "message 3 is again as it was first sent"


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}


@pytest.mark.parametrize(
    ("frozen", "now"),
    [
        (IMAGE, IMAGE),
        (text("a"), IMAGE),
        (text("a"), {**text("b"), "citations": []}),
        (
            {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "a"}},
            {"type": "tool_use", "id": "t1", "name": "read", "input": {"path": "b"}},
        ),
        (
            {"type": "tool_result", "tool_use_id": "t1", "content": "a"},
            {"type": "tool_result", "tool_use_id": "t2", "content": "b"},
        ),
        (
            {"type": "tool_result", "tool_use_id": "t1", "content": "a"},
            {"type": "tool_result", "tool_use_id": "t1", "content": [text("b")]},
        ),
        (
            {"type": "tool_result", "tool_use_id": "t1", "content": [text("a")]},
            {"type": "tool_result", "tool_use_id": "t1", "content": [text("b"), IMAGE]},
        ),
        ({"type": "tool_result", "tool_use_id": "t1"}, {"type": "tool_result", "tool_use_id": "t1", "content": "b"}),
    ],
)
def test_only_texts_can_be_compared(frozen: dict[str, Any], now: dict[str, Any]) -> None:
    assert changed(frozen, now) is None
