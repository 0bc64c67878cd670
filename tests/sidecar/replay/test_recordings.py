"""Recordings are read as their format says, and what is none is told by name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.replay.recordings import RecordingError, read, read_file

TRACES = Path(__file__).parents[4] / "shared" / "traces"

MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hi"},
    {"role": "user", "content": "more"},
    {"role": "assistant", "content": "there"},
]


def written(folder: Path, file: str = "one.json", **fields: Any) -> Path:
    path = folder / file
    content = json.dumps({"name": "one", "client": "cline", "messages": MESSAGES, **fields}).encode()
    path.write_bytes(gzip.compress(content) if file.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["one.json", "one.json.gz"])
def test_every_message_of_the_assistant_answered_all_that_stood_before_it(tmp_path: Path, name: str) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    session = read_file(written(tmp_path, name, tools=tools, timestamps=[None, 1.0, 2.5, 3, 4]))
    assert (session.name, session.client, session.dialect) == ("one", "cline", "openai_chat")
    assert [turn.body for turn in session.turns] == [
        {"messages": MESSAGES[:2], "tools": tools},
        {"messages": MESSAGES[:4], "tools": tools},
    ]
    assert [turn.answer for turn in session.turns] == [MESSAGES[2], MESSAGES[4]]
    assert [turn.at for turn in session.turns] == [1.0, 3]


def test_without_tools_and_times_none_are_made_up(tmp_path: Path) -> None:
    [first, _] = read_file(written(tmp_path)).turns
    assert "tools" not in first.body
    assert first.at is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not json", "no recording"),
        (b"[]", "no JSON object"),
        (b'{"messages": "hello"}', "`messages`"),
        (b'{"messages": [{"content": "hello"}]}', "`messages`"),
        (b'{"messages": [{"role": "user", "content": "hello"}]}', "no message of the assistant"),
        (
            b'{"messages": [{"role": "user"}, {"role": "assistant"}], "timestamps": [1]}',
            "`timestamps`",
        ),
        (b'{"format":"cgw-exchange-1"}\n', "line 1"),
        (gzip.compress(b"cut off in the middle", mtime=0)[:-6], "cannot be read"),
    ],
)
def test_what_is_no_recording_is_named_with_the_reason(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"odd\.json") as told:
        read([path])
    assert why in str(told.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"nowhere\.json cannot be read"):
        read([tmp_path / "nowhere.json"])


def test_of_a_folder_the_recordings_are_taken_and_the_rest_is_told(tmp_path: Path) -> None:
    written(tmp_path, "b.json", name="b")
    written(tmp_path, "a.json.gz", name="a")
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "README.md").write_text("about them")
    sessions, passed_over = read([tmp_path])
    assert [session.name for session in sessions] == ["a", "b"]
    assert len(passed_over) == 1
    assert "package.json" in passed_over[0]


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No recordings"):
        read([tmp_path])


@pytest.mark.skipif(not TRACES.exists(), reason=f"NOT CHECKED: no recorded sessions in {TRACES}")
def test_published_recordings_are_all_read() -> None:
    sessions, passed_over = read([TRACES])
    assert (len(sessions), sum(len(session.turns) for session in sessions), passed_over) == (26, 1031, [])
