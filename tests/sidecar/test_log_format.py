from __future__ import annotations

import io
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.log_format import CONTINUED, OneLine, shown

RECORD = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z (INFO|ERROR) ")
FORGED = "2026-11-28T20:00:00Z INFO 200 messages nobody"
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    [
        f"\n{FORGED}",
        f"\r\n{FORGED}",
        f"\x85{FORGED}",
        f"\u2028{FORGED}",
        f"\x0b{FORGED}",
        "\x1b[2J\x1b[1;1H",
        "\u202e",
        "\ud800",
    ]
)


def written(message: str, *given: object, error: Exception | None = None) -> str:
    """What a log file gets, decoded as an editor would."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    handler = logging.StreamHandler(file)
    handler.setFormatter(OneLine())
    failure = (type(error), error, error.__traceback__) if error else None
    handler.handle(logging.LogRecord("cgw", logging.INFO, __file__, 1, message, given, failure))
    file.flush()
    return file.buffer.getvalue().decode()  # type: ignore[attr-defined]


@given(ANYTHING)
def test_whatever_is_logged_is_one_line_of_characters_that_only_stand_there(text: str) -> None:
    line = written("it said %s", text)
    assert RECORD.match(line)
    assert line[:-1].isprintable()
    assert line[-1] == "\n"


@given(ANYTHING, ANYTHING)
def test_the_lines_of_a_traceback_are_never_taken_for_records(text: str, more: str) -> None:
    try:
        raise ValueError(text + "\n" + more)  # noqa: TRY301
    except ValueError as error:
        first, *others = written("failed", error=error).removesuffix("\n").split("\n")
    assert RECORD.match(first)
    assert all(line.startswith(CONTINUED) and line.isprintable() for line in others)
    assert len(others) > 2


@pytest.mark.parametrize("text", ["grüße, 世界", "C:\\new\\folder", ""])
def test_what_can_be_read_is_left_as_it_is(text: str) -> None:
    assert shown(text) == text
