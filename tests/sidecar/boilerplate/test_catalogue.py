"""The catalogue: every row finds what its client really sends, and rows of one's own are checked."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.boilerplate.catalogue import Row, RowError, built_in, checked_rows
from sidecar.boilerplate.segments import segments_in

SAMPLES = tomllib.loads(Path(__file__).with_name("samples.toml").read_text(encoding="utf-8"))["sample"]
ENVIRONMENT = next(sample["part"] for sample in SAMPLES if sample["row"] == "cline-legacy.env")
ROWS = {row.id: row for row in built_in().rows}


def found_by(row: Row, text: str) -> list[str]:
    """As `segments_in` finds them, for rows of every class."""
    as_touched = replace(row, kind="A")
    role = min(row.roles)
    return [text[found.start : found.end] for found in segments_in(text, [as_touched], role, in_result=row.results)]


def test_every_row_has_a_sample() -> None:
    assert {sample["row"] for sample in SAMPLES} == ROWS.keys()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: str(sample["row"]))
def test_a_row_finds_what_its_client_sends(sample: dict[str, str]) -> None:
    text = sample.get("before", "") + sample["part"] + sample.get("behind", "")
    assert found_by(ROWS[sample["row"]], text) == [sample["part"]]


@pytest.mark.parametrize(
    ("row_id", "text"),
    [
        ("cline-legacy.env", f"see this:\n{ENVIRONMENT}"),
        ("cline-legacy.env", "<environment_details>\nthat never ends"),
        ("copilot.reminder", "the tag <reminderInstructions> is closed by </reminderInstructions>"),
        ("cursor.open", "    x = '<open_and_recently_viewed_files></open_and_recently_viewed_files>'"),
        ("codex.ide", "# Context from my IDE setup:\nno request"),
    ],
)
def test_what_only_mentions_it_is_not_found(row_id: str, text: str) -> None:
    assert found_by(ROWS[row_id], text) == []


def test_nothing_inside_of_what_must_not_be_touched_is_found() -> None:
    rows = built_in().for_client("cursor")
    reminder = "<system_reminder>\nBe brief.\n</system_reminder>"
    text = f"<rules>\n{reminder}\n</rules>\n{reminder}"
    assert [found.start for found in segments_in(text, rows, "user", in_result=False)] == [text.rindex(reminder)]


def test_claude_code_is_left_alone_by_default() -> None:
    assert {row.kind for row in built_in().for_client("claude-code")} == {"C"}


def test_nothing_in_a_system_prompt_may_be_touched() -> None:
    assert all(row.kind == "C" for row in built_in().rows if row.zone == "system")


OWN: dict[str, Any] = {"id": "mine.banner", "begin": "=== banner", "end": "=== end", "class": "A"}


def test_a_row_of_ones_own_comes_on_top() -> None:
    catalogue = built_in().with_own([OWN, {**OWN, "id": "mine.clock", "class": "B", "clients": ["mine"]}])
    assert [row.id for row in catalogue.rows[-2:]] == ["mine.banner", "mine.clock"]
    assert "mine.banner" in [row.id for row in catalogue.for_client("anything")]
    assert "mine.clock" not in [row.id for row in catalogue.for_client("anything")]


def test_a_built_in_row_can_be_switched_on_and_off() -> None:
    catalogue = built_in().with_own(
        [{"id": "claude.todo", "enabled": True}, {"id": "copilot.reminder", "enabled": False}]
    )
    assert "claude.todo" in [row.id for row in catalogue.for_client("claude-code")]
    assert "copilot.reminder" not in [row.id for row in catalogue.for_client("copilot")]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"begin": "=== banner", "class": "A"}, "[[boilerplate]] 1 has no `id`"),
        ({"id": "x", "class": "A"}, "[[boilerplate]] 1 (`x`) has no `begin`"),
        ({**OWN, "class": "D"}, '(`mine.banner`): `class` is \'D\', and must be "A", "B" or "C"'),
        ({**OWN, "strip": True}, "has a field `strip`, which none has: there are id, clients, begin"),
        ({**OWN, "begin": "<x>"}, "`begin` must have at least 8 characters"),
        ({**OWN, "begin": ["=== banner", 7]}, "`begin` is ['=== banner', 7], and must be a text or a list of texts"),
        ({**OWN, "before": "=== next"}, "has both `end` and `before`"),
        ({**OWN, "end": ["a", "b"]}, "`end` must be one text, or one for each text of `begin`"),
        ({**OWN, "zone": "system"}, "nothing in the system prompt is touched"),
        ({**OWN, "zone": "tools"}, '`zone` is \'tools\', and must be "messages" or "system"'),
        ({**OWN, "roles": ["assistant"]}, '`roles` is [\'assistant\'], and must be a list of "user" and "system"'),
        ({**OWN, "whole": "yes"}, "`whole` is 'yes', and must be true or false"),
        ({**OWN, "drop": "# Time"}, "`drop` is for class B"),
        ({**OWN, "class": "B", "numbers": True}, "`numbers` is for class A"),
        ({"id": "mine.clock", "begin": "=== clock", "class": "B"}, "has no end"),
        ({**OWN, "class": "C", "enabled": False}, "class C is always on"),
        ({**OWN, "id": "roo.env"}, "has the name of a built-in row, of which only `enabled` can be set"),
        ({"id": "claude.malware", "enabled": False}, "is of class C, which is never touched"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_what_is_wrong(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RowError) as raised:
        checked_rows([table])
    assert sentence in str(raised.value)
    assert str(raised.value).startswith("[[boilerplate]] 1")


def test_a_row_twice_is_refused() -> None:
    with pytest.raises(RowError, match="is there twice"):
        checked_rows([OWN, OWN])
