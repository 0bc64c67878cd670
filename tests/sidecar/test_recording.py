"""Exchanges are kept exactly, only while the user wants it, within bounds, and without credentials."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import recording
from sidecar.exchange import Exchange
from sidecar.home import Home
from sidecar.recording import Recorder, Recordings, difference, read_lines, whole
from sidecar.replay.recordings import read_file
from tests.support.exchanges import an_exchange
from tests.support.waiting import until

LET_GO = "the disk does not keep up"

posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")


def spoken(*texts: str, conversation: str = "c0ffee", **more: Any) -> Exchange:
    body = {"model": "sonnet", "messages": [{"role": "user", "content": text} for text in texts]}
    answer = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "ok"}]}
    return replace(
        an_exchange(),
        client_body=json.dumps(body).encode(),
        request={**body, "max_tokens": 10},
        edited=True,
        conversation=conversation,
        client="cline",
        dialect="openai_chat",
        model="claude-sonnet-5-5",
        answer=answer,
        status=200,
        **more,
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.open()
    return home


def record(home: Home, *exchanges: Exchange) -> None:
    recorder = Recorder(home)
    for exchange in exchanges:
        recorder(exchange)
    recorder.close()


def test_nothing_is_kept_unless_the_user_turned_it_on(home: Home) -> None:
    record(home, spoken("hello"))
    assert Recordings(home).files() == []
    assert not Recordings(home).folder.exists()


def test_a_running_recorder_sees_the_switch_within_a_second(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("sidecar.recording.time.monotonic", lambda: now[0])
    recorder = Recorder(home)
    assert not recorder.on
    Recordings(home).turn_on()
    now[0] += recording.LOOK_SECONDS
    assert recorder.on
    Recordings(home).turn_off()
    now[0] += recording.LOOK_SECONDS
    assert not recorder.on


def test_what_was_kept_is_exact_and_can_be_replayed(home: Home) -> None:
    exchanges = [spoken("hello"), spoken("hello", "and \u00e9 \U0001f600 more"), spoken("something else")]
    Recordings(home).turn_on()
    record(home, *exchanges)
    [file] = Recordings(home).files()
    kept = [*read_lines(file.read_bytes().splitlines())]
    assert [line["body"].encode() for line in kept] == [exchange.client_body for exchange in exchanges]
    assert [json.loads(line["upstream"]) for line in kept] == [exchange.request for exchange in exchanges]
    assert [line["answer"] for line in kept] == [exchange.answer for exchange in exchanges]
    session = read_file(file)
    assert (session.name, session.client, session.dialect) == ("c0ffee", "cline", "openai_chat")
    assert [turn.body for turn in session.turns] == [json.loads(exchange.client_body) for exchange in exchanges]
    assert [turn.model for turn in session.turns] == ["claude-sonnet-5-5"] * 3


def test_a_recorder_that_starts_anew_goes_on_with_the_same_file(home: Home) -> None:
    Recordings(home).turn_on()
    record(home, spoken("hello"))
    record(home, spoken("hello", "again"))
    [file] = Recordings(home).files()
    assert len(read_file(file).turns) == 2


def test_signed_thinking_is_kept_but_not_replayed(home: Home) -> None:
    """Only the Claude that signed it takes it back."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    said = {"type": "text", "text": "hi"}
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [thinking, said]},
        {"role": "user", "content": "more"},
        {"role": "assistant", "content": [thinking]},
        {"role": "user", "content": "go on"},
    ]
    exchange = spoken("hello")
    exchange.client_body = json.dumps({"model": "sonnet", "messages": messages}).encode()
    exchange.answer = {"type": "message", "role": "assistant", "content": [thinking, said]}
    exchange.dialect = "anthropic_messages"
    Recordings(home).turn_on()
    record(home, exchange)
    [file] = Recordings(home).files()
    assert b"c2ln" in file.read_bytes()
    [turn] = read_file(file).turns
    assert turn.body["messages"] == [messages[0], {"role": "assistant", "content": [said]}, messages[2], messages[4]]
    assert turn.answer is not None
    assert turn.answer["content"] == [said]


def test_a_conversation_grows_with_what_was_said_and_not_with_its_square(home: Home) -> None:
    Recordings(home).turn_on()
    texts = [f"{number} " + "words " * 200 for number in range(30)]
    record(home, *(spoken(*texts[: count + 1]) for count in range(len(texts))))
    [file] = Recordings(home).files()
    assert file.stat().st_size < 4 * sum(map(len, texts))


def test_credentials_and_unknown_headers_are_not_kept(home: Home) -> None:
    Recordings(home).turn_on()
    headers = {"user-agent": "OpenAI/JS 5.0", "x-session-id": "s1", "x-their-token": "hush", "authorization": "hush"}
    record(home, spoken("hello", client_headers=headers, query="key=hush"))
    [file] = Recordings(home).files()
    assert b"hush" not in file.read_bytes()
    assert read_file(file).headers == {"user-agent": "OpenAI/JS 5.0", "x-session-id": "s1"}


def test_token_counts_are_no_exchanges(home: Home) -> None:
    Recordings(home).turn_on()
    record(home, spoken("hello", kind="count_tokens"))
    assert Recordings(home).files() == []


@posix_only
def test_only_the_owner_reads_what_is_kept(home: Home) -> None:
    Recordings(home).turn_on()
    record(home, spoken("hello"))
    [file] = Recordings(home).files()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_oldest_go_where_it_is_too_much_or_too_old(home: Home) -> None:
    recordings = Recordings(home)
    recordings.turn_on()
    for age, name in enumerate(("new", "middle", "old")):
        path = recordings.folder / f"{name}.jsonl"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age * 100, 1000 - age * 100))
    recordings.prune(now=1000, most_bytes=1000, most_seconds=150)
    assert [path.stem for path in recordings.files()] == ["middle", "new"]
    recordings.prune(now=1000, most_bytes=150, most_seconds=150)
    assert [path.stem for path in recordings.files()] == ["new"]
    assert recordings.on


def test_a_conversation_that_is_too_long_keeps_its_beginning(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "FILE_BYTES", 1)
    Recordings(home).turn_on()
    record(home, spoken("hello"), spoken("hello", "again"))
    [file] = Recordings(home).files()
    assert len(read_file(file).turns) == 1


def test_a_disk_that_refuses_troubles_no_request(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    recordings = Recordings(home)
    recordings.turn_on()
    (recordings.folder / "c0ffee.jsonl").mkdir()
    record(home, spoken("hello"), spoken("hi", conversation="beef"))
    assert "not recorded" in caplog.text
    assert [path.stem for path in recordings.files() if path.is_file()] == ["beef"]


def test_exchanges_that_nobody_could_write_yet_are_let_go(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recording, "WAITING", 1)
    monkeypatch.setattr(recording._Files, "add", lambda *_: until(lambda: LET_GO in caplog.text))
    Recordings(home).turn_on()
    record(home, *(spoken("hello") for _ in range(5)))
    assert LET_GO in caplog.text


TEXTS = st.text(alphabet="ab\u00e9", max_size=12)


@given(TEXTS, TEXTS)
def test_a_difference_gives_back_the_text_and_keeps_no_more_than_is_new(before: str, after: str) -> None:
    kept = difference(before, after)
    assert whole(before, kept) == after
    assert difference(before, before)[1] == ""
    assert len(difference(before, before + after)[1]) <= len(after)


def test_a_difference_to_a_line_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="not there"):
        whole("ab", (2, "c", 1))
