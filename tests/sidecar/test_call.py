"""One call, many readers: everybody gets all of it, at their own speed, and nobody holds up the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.call import Call, Reader, share
from sidecar.errors import GatewayError
from sidecar.sse import EventSplitter, ServerSentEvent, raw_of
from tests.support.exchanges import an_exchange

OVERLOADED = GatewayError("overloaded_error", "Overloaded")
ANEW = GatewayError("api_error", "began anew")


def piece(text: str) -> list[ServerSentEvent]:
    return EventSplitter().feed(b"data: %b\n\n" % text.encode())


class Source:
    """What Claude would send: pieces put on the call's tape when the test says so."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._steps: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self.cancelled = False
        self.written = 0

    async def run(self) -> None:
        try:
            while True:
                step = await self._steps.get()
                await step()
                self.written += 1
        except EOFError:
            return
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def send(self, *texts: str) -> None:
        for text in texts:
            self._steps.put_nowait(lambda text=text: self._call.write(piece(text)))  # type: ignore[misc]
        await quiet()

    async def end(self, error: BaseException | None = None) -> None:
        async def raise_it() -> None:
            raise error or EOFError

        self._steps.put_nowait(raise_it)
        await quiet()


async def quiet() -> None:
    """Everything that can happen has happened."""
    for _ in range(20):
        await asyncio.sleep(0)


async def read_all(call: Call, reader: Reader) -> str:
    texts = b""
    while (events := await call.read(reader)) is not None:
        texts += b"".join(event.data for event in events)
    call.leave(reader)
    return texts.decode()


def begun(**options: Any) -> tuple[Call, Source, Reader]:
    call = Call(an_exchange(), **options)
    source = Source(call)
    first = call.join()
    call.begin(source.run())
    return call, source, first


async def test_a_late_reader_gets_at_once_what_came_so_far_and_then_what_comes() -> None:
    call, source, first = begun()
    await source.send("a", "b")
    late = call.join()
    batch = await call.read(late)
    assert batch is not None
    assert [event.data for event in batch] == [b"a", b"b"]
    assert late.begins
    await source.send("c")
    batch = await call.read(late)
    assert batch is not None
    assert [event.data for event in batch] == [b"c"]
    assert not late.begins
    await source.end()
    assert await call.read(late) is None
    assert await read_all(call, first) == "abc"
    assert call.is_complete
    assert call.tape == b"data: a\n\ndata: b\n\ndata: c\n\n"
    assert not call.may_be_joined


async def test_a_reader_that_stands_still_holds_nobody_up() -> None:
    call, source, _still = begun()
    other = asyncio.create_task(read_all(call, call.join()))
    await source.send(*"abcdef")
    await source.end()
    assert await other == "abcdef"


async def test_whoever_leaves_only_the_last_one_cancels_the_call() -> None:
    call, source, first = begun()
    second, third = call.join(), call.join()
    for reader in (first, third):
        call.leave(reader)
        call.leave(reader)
        await quiet()
        assert not source.cancelled
    assert call.may_be_joined
    call.leave(second)
    assert not call.may_be_joined, "it is being cancelled"
    await quiet()
    assert source.cancelled
    assert not call.is_complete


async def test_a_call_that_nobody_waits_for_ends_even_before_its_first_step() -> None:
    ended: list[bool] = []
    call, _, first = begun()
    call.when_ended(lambda: ended.append(call.is_complete))
    call.leave(first)
    await quiet()
    assert ended == [False]


async def test_an_error_reaches_everybody_behind_what_came_before_it() -> None:
    call, source, first = begun()
    second = call.join()
    await source.send("a")
    await source.end(OVERLOADED)
    for reader in (first, second):
        assert await call.read(reader) is not None
        with pytest.raises(GatewayError, match="Overloaded") as raised:
            await call.read(reader)
        assert raised.value is not OVERLOADED, "one exception raised twice would carry two tracebacks"
        assert raised.value.kind == OVERLOADED.kind


async def test_who_waits_for_a_call_that_its_leader_never_begins_is_told() -> None:
    call = Call(an_exchange())
    waiting = asyncio.create_task(call.comes())
    await quiet()
    call.abandon()
    assert not await waiting
    assert call.has_ended
    assert not call.may_be_joined


async def test_who_waits_for_a_call_is_told_when_it_begins_and_then_it_cannot_be_abandoned() -> None:
    call, source = Call(an_exchange()), Source(Call(an_exchange()))
    waiting = asyncio.create_task(call.comes())
    await quiet()
    place = call.join()
    call.begin(source.run())
    assert await waiting
    call.abandon()
    assert not call.has_ended
    call.leave(place)
    await quiet()


async def test_an_answer_that_begins_anew_is_whole_for_those_that_passed_nothing_on() -> None:
    call, source, streams = begun(tape_bytes=2 * len(b"data: wrong\n\n"))
    folds, late = call.join(), call.join()
    folds.may_rewind = True
    await source.send("wrong")
    assert await call.read(streams)
    assert await call.read(folds)
    assert call.begin_anew(ANEW)
    await source.send("right")
    await source.end()
    assert await read_all(call, folds) == "right"
    assert await read_all(call, late) == "right"
    with pytest.raises(GatewayError, match="began anew"):
        await call.read(streams)


async def test_who_keeps_what_it_reads_to_itself_is_woken_for_heaps_and_for_the_end() -> None:
    call, source, streams = begun(tape_bytes=6 * len(b"data: a\n\n"))
    folds = call.join()
    folds.may_rewind = True
    heap = asyncio.create_task(call.read(folds))
    await source.send("a", "b")
    assert not heap.done()
    assert raw_of(await call.read(streams) or ()) == b"data: a\n\ndata: b\n\n"
    await source.send("c")
    assert raw_of(await heap or ()) == b"data: a\n\ndata: b\n\ndata: c\n\n"
    rest = asyncio.create_task(call.read(folds))
    await source.send("d")
    assert not rest.done()
    await source.end()
    assert raw_of(await rest or ()) == b"data: d\n\n"
    assert await call.read(folds) is None


async def test_who_cannot_go_on_with_an_answer_that_begins_anew_is_told_before_anything_more_comes() -> None:
    call, source, streams = begun()
    call.join().may_rewind = True
    await source.send("wrong")
    assert await call.read(streams)
    waiting = asyncio.create_task(call.read(streams))
    await quiet()
    assert call.begin_anew(ANEW)
    await quiet()
    assert waiting.done()
    with pytest.raises(GatewayError, match="began anew"):
        await waiting


async def test_an_answer_that_everybody_has_passed_on_cannot_begin_anew() -> None:
    call, source, streams = begun()
    await source.send("wrong")
    assert await call.read(streams)
    assert not call.begin_anew(ANEW)
    call.leave(streams)
    await quiet()


async def test_claude_waits_while_every_reader_is_a_whole_tape_behind() -> None:
    call, source, only = begun(tape_bytes=len(b"data: a\n\n") * 3)
    await source.send(*"abcdefghij")
    assert source.written == 3, "the fourth is on the tape, and waits for room"
    read = ""
    task = asyncio.create_task(read_all(call, only))
    await source.end()
    read = await task
    assert read == "abcdefghij"
    assert call.tape is None, "too long to be kept"


async def test_a_reader_a_whole_tape_behind_one_that_keeps_up_is_given_up() -> None:
    call, source, still = begun(tape_bytes=len(b"data: a\n\n") * 3)
    keeps_up = asyncio.create_task(read_all(call, call.join()))
    for letter in "abcdefghij":
        await source.send(letter)
    assert not call.may_be_joined, "its beginning is gone"
    await source.end()
    assert await keeps_up == "abcdefghij"
    with pytest.raises(GatewayError, match="too slowly"):
        await call.read(still)


async def test_the_end_is_told_once_to_everybody_who_wants_to_know(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    def fails() -> None:
        raise ValueError("a bug")

    call, source, first = begun()
    call.when_ended(fails)
    call.when_ended(lambda: told.append("before"))
    await source.end()
    call.when_ended(lambda: told.append("after"))
    assert told == ["before", "after"]
    assert "the end of request req_1 was not told" in caplog.text
    assert await call.read(first) is None


@pytest.mark.parametrize(("joined", "waited_until"), [(3.0, 5.0), (7.0, 7.0)], ids=["before it", "behind it"])
def test_the_first_byte_came_for_who_joined_when_it_came_or_was_there_already(
    joined: float, waited_until: float
) -> None:
    leader, exchange = an_exchange(), an_exchange()
    leader.timing.first_byte, exchange.timing.joined = 5.0, joined
    share(exchange, Call(leader))
    assert exchange.timing.first_byte == waited_until


STEPS = st.lists(
    st.one_of(
        st.just("write"),
        st.sampled_from(["join", "join to fold"]),
        st.tuples(st.sampled_from(["read", "leave"]), st.integers(0, 5)),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(steps=STEPS, room=st.integers(1, 12))
def test_every_reader_always_reads_a_beginning_of_the_answer_and_who_stays_all_of_it(
    steps: list[Any], room: int
) -> None:
    asyncio.run(_drive(steps, room))


async def _drive(steps: list[Any], room: int) -> None:
    call, source, first = begun(tape_bytes=room * len(b"data: 00\n\n"))
    readers, got = [first], [""]
    gone: set[int] = set()
    sent = ""

    async def advance(number: int) -> None:
        try:
            events = await asyncio.wait_for(call.read(readers[number]), 0.001)
        except TimeoutError:
            return
        except GatewayError:
            gone.add(number)
            return
        got[number] += b"".join(event.data for event in events or ()).decode()

    for step in steps:
        if step == "write":
            sent += f"{len(sent) // 2:02}"
            await source.send(sent[-2:])
        elif step in ("join", "join to fold"):
            if call.may_be_joined:
                readers.append(call.join())
                readers[-1].may_rewind = step == "join to fold"
                got.append("")
        else:
            action, number = step[0], step[1] % len(readers)
            if number in gone:
                continue
            if action == "read":
                await advance(number)
            elif len(gone) < len(readers) - 1:
                call.leave(readers[number])
                gone.add(number)
        await quiet()
        assert all(sent.startswith(text) for text in got)
    await source.end()
    staying = set(range(len(readers))) - gone
    await asyncio.wait_for(asyncio.gather(*(_finish(call, readers, got, number, gone) for number in staying)), 5)
    assert all(got[number] == sent for number in set(range(len(readers))) - gone)
    assert len(gone) < len(readers), "somebody stayed to the end"


async def _finish(call: Call, readers: list[Reader], got: list[str], number: int, gone: set[int]) -> None:
    try:
        got[number] += await read_all(call, readers[number])
    except GatewayError:
        gone.add(number)
