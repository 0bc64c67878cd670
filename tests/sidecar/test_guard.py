"""The output guard: no marker of ours gets out inside a tool call, and whatever is clean passes as it came."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.boilerplate.repeats import AS_WRITTEN_INTRO, INTRO
from sidecar.conversation import positions_of
from sidecar.cuts import cut, stub
from sidecar.exchange import Json
from sidecar.guard import LONGEST, MARKERS, Guard, QuotedMarkerError, guard_of
from sidecar.ledger.rows import LAYERS
from sidecar.prompt import Prompt
from sidecar.references.marker import PREFIX
from sidecar.sse import EventSplitter, ServerSentEvent
from tests.support.events import arguments_delta, block_start, block_stop, sse, text_delta
from tests.support.exchanges import an_exchange
from tests.support.thorough import examples

REFERENCE = '[cgw: same 45 lines as src/app.py:12-56 above, "def main():" to "return 0" @k3f9.12.x81qa]'
WRITTEN = {
    "file_references": (REFERENCE,),
    "boilerplate": (
        "[cgw repeat 1f0c39a2b7, 1147 characters as above: <reminderInstructions>]",
        "[cgw as written 1f0c39a2b7]",
        "[cgw cut: 812 characters of the editor's state then]",
    ),
    "size_limits": (
        "[cgw cut: 12,001 characters in 300 lines left out here. To read all of it: cgw show 0a1b2c3d4e5f]",
    ),
    "context_pruning": (stub("a read_file result", "old\n" * 99),),
    "prefix_repair": ("[Amendment 482913 to the system prompt, replacing any earlier one]",),
}
"""What each layer writes, one for each of its rows."""

ALL = tuple(MARKERS)
NEARLY = st.sampled_from(
    [
        "[",
        "[[",
        "[cgw",
        "[cgw ",
        "[cgw:",
        "[cgw:  ",
        "[cgw cut ",
        "[Amendment 12",
        "\\",
        "\\\\",
        "\\u",
        "\\u005",
        "\\u005b",
    ]
)
CLEAN = st.lists(NEARLY | st.text(max_size=6), max_size=8).map("".join)


def outcome(guard: Guard, events: list[ServerSentEvent]) -> tuple[list[ServerSentEvent], bool]:
    """What got out, fed one by one, and whether a marker was found."""
    passed: list[ServerSentEvent] = []
    for event in events:
        try:
            passed += guard.feed([event])
        except QuotedMarkerError:
            return passed, True
    return passed, False


def in_pieces(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def a_call(pieces: list[str]) -> list[ServerSentEvent]:
    return [block_start("tool_use"), *map(arguments_delta, pieces), block_stop()]


def holds_a_marker(text: str) -> bool:
    try:
        Guard(ALL).check({"content": [{"type": "tool_use", "input": text}]})
    except QuotedMarkerError:
        return True
    return False


def test_every_layer_that_cuts_stands_in_the_table_with_all_its_markers() -> None:
    assert set(ALL) <= set(LAYERS)
    assert set(WRITTEN) == set(ALL)
    assert MARKERS["file_references"] == (PREFIX,)
    assert {INTRO, AS_WRITTEN_INTRO} <= set(MARKERS["boilerplate"])
    real_cut = cut("a line of a file\n" * 500, 1000)
    assert real_cut is not None
    assert MARKERS["size_limits"][0] in real_cut.text
    for layer, markers in MARKERS.items():
        assert all(marker.isascii() and marker.startswith("[") for marker in markers)
        assert len(WRITTEN[layer]) == len(markers)


@pytest.mark.parametrize(("layer", "marker"), [(layer, marker) for layer in WRITTEN for marker in WRITTEN[layer]])
def test_a_marker_of_each_layer_is_found_streamed_and_whole(layer: str, marker: str) -> None:
    with pytest.raises(QuotedMarkerError) as found:
        Guard([layer]).feed(a_call([f'{{"content":"{marker[:7]}', f'{marker[7:]}"}}']))
    assert found.value.layer == layer
    with pytest.raises(QuotedMarkerError):
        Guard([layer]).check({"content": [{"type": "tool_use", "input": {"edits": [{"new": f"x {marker}"}]}}]})


@settings(max_examples=examples(80), deadline=None)
@given(CLEAN, st.lists(st.integers(0, 200), max_size=12))
def test_clean_arguments_pass_event_for_event_wherever_they_are_cut(text: str, cuts: list[int]) -> None:
    events = a_call(in_pieces(text, cuts))
    if not holds_a_marker(text):
        assert outcome(Guard(ALL), events) == (events, False)


@settings(max_examples=examples(80), deadline=None)
@given(
    CLEAN,
    st.sampled_from([marker for markers in WRITTEN.values() for marker in markers]),
    CLEAN,
    st.lists(st.integers(0, 300), max_size=12),
    st.lists(st.booleans(), max_size=30),
)
def test_nothing_of_a_marker_ever_gets_out(
    before: str, marker: str, behind: str, cuts: list[int], escaped: list[bool]
) -> None:
    spelled = [
        f"\\u{ord(char):04x}" if escape else char
        for char, escape in zip(marker, [*escaped, *[False] * len(marker)], strict=False)
    ]
    passed, found = outcome(Guard(ALL), a_call(in_pieces(before + "".join(spelled) + behind, cuts)))
    got_out = "".join(arguments(passed))
    assert found
    assert before.startswith(got_out)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(NEARLY | st.text(max_size=3), max_size=20))
def test_no_more_waits_than_a_marker_is_long(pieces: list[str]) -> None:
    guard = Guard(ALL)
    taken: list[str] = []
    passed: list[ServerSentEvent] = []
    for piece in pieces:
        taken.append(piece)
        try:
            passed += guard.feed([arguments_delta(piece)])
        except QuotedMarkerError:
            return
        waits = taken[len(passed) :]
        assert len("".join(waits[1:])) <= LONGEST  # of the first one, only the end may belong to it


def test_a_stream_is_the_same_wherever_the_network_cuts_it() -> None:
    events = [
        block_start("text"),
        text_delta("See [cgw: same 3 lines"),
        block_stop(),
        *a_call(['{"content":"a[', "cg", "w] \\", 'n[0]"}']),
        sse("message_stop"),
    ]
    stream = b": hello\n\n".join(event.raw for event in events)
    for edge in range(len(stream)):
        splitter, guard = EventSplitter(), Guard(ALL)
        passed = [event for part in (stream[:edge], stream[edge:]) for event in guard.feed(splitter.feed(part))]
        assert b"".join(event.raw for event in passed) == stream


def test_what_comes_behind_an_event_that_waits_waits_with_it() -> None:
    guard = Guard(ALL)
    waits, ping, goes_on = arguments_delta("x [cgw"), sse("ping"), arguments_delta("nothing")
    assert guard.feed([waits, ping]) == []
    assert guard.feed([goes_on]) == [waits, ping, goes_on]


def test_every_call_is_a_text_of_its_own() -> None:
    halves = [arguments_delta("[cgw"), block_stop(), block_start("tool_use", 1), arguments_delta(": same", 1)]
    assert Guard(ALL).feed(halves) == halves


def test_the_end_of_a_message_lets_everything_go() -> None:
    events = [arguments_delta("[cgw"), sse("message_delta"), sse("message_stop")]
    assert Guard(ALL).feed(events) == events


def test_text_is_for_people_unless_the_client_takes_its_edits_from_it() -> None:
    words = [block_start("text"), text_delta(f"as {REFERENCE} says"), block_stop()]
    message = {"content": [{"type": "text", "text": REFERENCE}]}
    assert Guard(ALL).feed(words) == words
    Guard(ALL).check(message)
    with pytest.raises(QuotedMarkerError):
        Guard(ALL, words=True).feed(words)
    with pytest.raises(QuotedMarkerError):
        Guard(ALL, words=True).check(message)


def test_only_markers_that_the_prompt_carries_are_looked_for() -> None:
    events = a_call([REFERENCE])
    assert Guard(["size_limits"]).feed(events) == events


@pytest.mark.parametrize("data", [b"{broken", b"[]", b'{"delta":{"type":"input_json_delta","partial_json":7}}'])
def test_an_event_that_makes_no_sense_is_left_to_others(data: bytes) -> None:
    odd = ServerSentEvent(b"content_block_delta", data + b'"input_json_delta"', b"")
    assert Guard(ALL).feed([odd]) == [odd]


def test_input_that_begins_with_its_block_is_looked_at_too() -> None:
    begun = sse("content_block_start", index=0, content_block={"type": "tool_use", "input": {"content": REFERENCE}})
    with pytest.raises(QuotedMarkerError):
        Guard(ALL).feed([begun])


def test_a_prompt_without_markers_needs_no_guard() -> None:
    exchange = an_exchange()
    assert guard_of(exchange) is None
    exchange.prompt = a_prompt()
    assert guard_of(exchange) is None
    exchange.prompt.append("Answer with diffs.", "diff_first")
    assert guard_of(exchange) is None
    exchange.prompt.replace(1, {"type": "text", "text": REFERENCE}, "file_references")
    assert guard_of(exchange) is not None


def test_taking_back_sends_what_the_client_wrote_and_keeps_what_stands_before() -> None:
    prompt = a_prompt()
    prompt.replace(1, {"type": "text", "text": REFERENCE}, "file_references")
    prompt.append("By the way.", "prefix_repair")
    prompt.frozen = 3
    prompt.take_back()
    request: Json = {"messages": [{"role": "user", "content": [at.block for at in prompt.positions]}]}
    assert prompt.assemble(request, takes_mid_system=True) is request
    assert (prompt.taken_back, prompt.frozen, [*prompt.savings()]) == (1, 1, [])


def a_prompt() -> Prompt:
    texts = [{"type": "text", "text": text} for text in ("one", "two", "three")]
    positions = positions_of({"messages": [{"role": "user", "content": texts}]})
    assert positions is not None
    return Prompt("default", positions)


def arguments(events: list[ServerSentEvent]) -> list[str]:
    return [
        orjson.loads(event.data)["delta"]["partial_json"] for event in events if event.name == b"content_block_delta"
    ]
