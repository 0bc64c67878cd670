import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sse import Events, EventSplitter, ServerSentEvent, around_deltas, raw_of

LINE_ENDS = [b"\n", b"\r\n", b"\r"]

STREAM = (
    'event: message_start\ndata: {"type":"message_start"}\n\n'
    ": ping\n\n"
    'event: content_block_delta\ndata: {"text":"Grüße, 世界 🎈"}\n\n'
    "data: two\ndata:lines\n\n"
    "id: 7\nretry: 10\nevent: message_stop\ndata: {}\n\n"
).encode()

TAKEN = [part + b"\n\n" for part in STREAM.split(b"\n\n")[:-1]]

TOLD = [
    (b"message_start", b'{"type":"message_start"}'),
    (b"content_block_delta", '{"text":"Grüße, 世界 🎈"}'.encode()),
    (b"", b"two\nlines"),
    (b"message_stop", b"{}"),
]


def told(events: list[ServerSentEvent]) -> list[tuple[bytes, bytes]]:
    """What a reader gets: an event without data is none (HTML standard, section 9.2.6)."""
    return [(event.name, event.data) for event in events if event.data]


def fed(*chunks: bytes) -> list[ServerSentEvent]:
    splitter = EventSplitter()
    return [event for chunk in chunks for event in splitter.feed(chunk)]


@pytest.mark.parametrize("end", LINE_ENDS, ids=["LF", "CRLF", "CR"])
def test_a_stream_cut_anywhere_tells_the_same_events_and_keeps_every_byte(end: bytes) -> None:
    stream = STREAM.replace(b"\n", end)
    for cut in range(len(stream) + 1):
        splitter = EventSplitter()
        events = splitter.feed(stream[:cut]) + splitter.feed(stream[cut:])
        assert told(events) == TOLD
        assert b"".join(event.raw for event in events) + splitter.rest == stream


@pytest.mark.parametrize("end", LINE_ENDS, ids=["LF", "CRLF", "CR"])
def test_a_stream_that_comes_byte_by_byte_tells_the_same_events(end: bytes) -> None:
    stream = STREAM.replace(b"\n", end)
    assert told(fed(*(bytes([byte]) for byte in stream))) == TOLD


@pytest.mark.parametrize("end", LINE_ENDS, ids=["LF", "CRLF", "CR"])
def test_the_last_event_comes_without_waiting_for_more_bytes(end: bytes) -> None:
    assert told(fed(b"data: last" + end + end)) == [(b"", b"last")]


def test_comments_pass_as_events_without_data() -> None:
    assert fed(b": ping\n\n") == [ServerSentEvent(b"", b"", b": ping\n\n")]


def test_one_space_after_the_colon_belongs_to_the_format_and_the_next_to_the_data() -> None:
    assert told(fed(b"data:  x\n\ndata:y\n\ndata\n\n")) == [(b"", b" x"), (b"", b"y")]


def test_what_never_ended_stays_as_the_rest() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: 1\n\ndata: 2\n") == [ServerSentEvent(b"", b"1", b"data: 1\n\n")]
    assert splitter.rest == b"data: 2\n"


@pytest.mark.parametrize("end", [b"", b"\r"])
def test_an_event_without_end_is_refused_at_the_limit(end: bytes) -> None:
    splitter = EventSplitter(limit=100)
    splitter.feed(b"data: " + b"x" * 90)
    with pytest.raises(ValueError, match="longer than 100 bytes"):
        splitter.feed(b"x" * 10 + end)


def test_long_events_that_end_are_no_matter_of_the_limit_on_the_rest() -> None:
    splitter = EventSplitter(limit=10)
    assert len(splitter.feed(b"data: " + b"x" * 50 + b"\n\n")) == 1


class Copied(bytes):
    """Counts the bytes of what it is put behind."""

    total = 0

    def __radd__(self, before: bytes) -> bytes:
        Copied.total += len(before)
        return bytes(before) + bytes(self)


def test_an_event_of_many_chunks_is_put_together_once() -> None:
    splitter = EventSplitter()
    stream = b"event: x\ndata: " + b"x" * 100_000 + b"\n\n"
    events = [event for at in range(0, len(stream), 1_000) for event in splitter.feed(Copied(stream[at : at + 1_000]))]
    assert [event.raw for event in events] == [stream]
    assert Copied.total < 1_000


def read_by_the_standard(stream: bytes) -> list[tuple[bytes, bytes]]:
    """The parser of the HTML standard, line by line, on the whole stream."""
    events, name, data = [], b"", list[bytes]()
    *lines, _ = re.split(rb"\r\n|\n|\r", stream)
    for line in lines:
        if not line:
            if b"\n".join(data):
                events.append((name, b"\n".join(data)))
            name, data = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value
        elif field == b"data":
            data.append(value)
    return events


PIECES = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"data:", b"data: ", b"event: ", b"x", "ü".encode(), b":", b"data", b"\n\n"]
)


@given(st.lists(PIECES, max_size=30).map(b"".join), st.lists(st.integers(0, 80), max_size=6))
def test_any_bytes_cut_anyhow_read_as_the_standard_says(stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    splitter = EventSplitter()
    events = [event for start, stop in pairwise(edges) for event in splitter.feed(stream[start:stop])]
    assert told(events) == read_by_the_standard(stream)
    assert b"".join(event.raw for event in events) + splitter.rest == stream


@given(st.lists(st.sampled_from([*TAKEN, b"\n", b"\n\n\n", b"\r\n\r\n", b"data"]), max_size=8), st.data())
def test_what_is_taken_together_are_the_same_events(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=3)))
    chunks = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    one_by_one, together = EventSplitter(), EventSplitter()
    for chunk in chunks:
        events = one_by_one.feed(chunk)
        taken = together.take(chunk)
        assert bool(taken) == bool(events)
        assert [*(taken or ())] == events
        assert raw_of(taken or ()) == raw_of(events)
    assert together.rest == one_by_one.rest


@given(st.lists(st.sampled_from([*TAKEN, b'event: content_block_delta\ndata: {"text":"x"}\n\n', b"data: y\r\n\r\n"])))
def test_events_cut_around_their_deltas_are_the_same_events(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    before, deltas, behind = around_deltas(raw)
    assert before + deltas + behind == raw
    assert b"content_block_delta" not in behind
    if b"\r" not in raw:
        assert b"content_block_delta" not in before
        assert fed(before) + fed(deltas) + fed(behind) == fed(raw)
        around = Events(raw).around
        assert [*around.before, *fed(around.deltas), *around.behind] == fed(raw)
