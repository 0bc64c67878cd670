"""The way of an exchange, against an upstream that is a few lines of bytes on a real socket."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sidecar.conversation import positions_of
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.gateway import Gateway
from sidecar.models.catalogue import Catalogue
from sidecar.pipeline import Pipeline
from sidecar.prompt import Prompt
from sidecar.sse import ServerSentEvent
from sidecar.upstream import Upstream
from tests.support.exchanges import SONNET, an_exchange

START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"claude-sonnet-5-5","content":[],"stop_reason":null,"stop_sequence":null,'
    b'"usage":{"input_tokens":7,"output_tokens":1}}}\n\n'
)
BLOCK = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"hi"}}\n\n'
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
)
NATIVE = "anthropic_messages"

END = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":5}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
)
COMMENT = b": still here\n\n"
OVERLOADED = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'


class ReadsEvents:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def response_event(self, exchange: Exchange, event: dict[str, Any]) -> None:
        self.seen.append(event["type"])


@asynccontextmanager
async def gateway_to(
    *reads: bytes, media: bytes = b"text/event-stream", addons: tuple[object, ...] = (), **options: Any
) -> AsyncIterator[Gateway]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nConnection: close\r\n\r\n" % media)
        for read in reads:
            writer.write(read)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that each is a read of its own on the other side
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Upstream(base_url=url, api_key="k") as upstream:
        yield Gateway(catalogue=Catalogue(), upstream=upstream, pipeline=Pipeline(addons), **options)


class Client:
    def __init__(self) -> None:
        self.writes: list[bytes] = []

    async def write(self, events: list[ServerSentEvent]) -> None:
        self.writes.append(b"".join(event.raw for event in events))


async def test_nothing_is_written_before_content_and_then_everything() -> None:
    client = Client()
    async with gateway_to(START, COMMENT, BLOCK, END) as gateway:
        await gateway.stream(flow := an_exchange(dialect=NATIVE, model_asked=SONNET), client.write)
    assert client.writes[0] == START + COMMENT + BLOCK
    assert b"".join(client.writes) == START + COMMENT + BLOCK + END
    assert (flow.usage.input_tokens, flow.usage.output_tokens, flow.stop_reason) == (7, 5, "end_turn")


DELTA = BLOCK[: BLOCK.index(b"event: content_block_stop")]
STOP = BLOCK[len(DELTA) :]


@pytest.mark.parametrize(
    ("reads", "order"),
    [
        ((START + DELTA, STOP + END), ["passed on", "accepted"]),
        ((START, DELTA, STOP + END), ["accepted", "passed on"]),
        ((START + BLOCK + END,), ["accepted", "passed on"]),
    ],
    ids=["with the first words", "before them", "all at once"],
)
async def test_that_claude_took_a_prompt_is_told_once_with_its_usage_and_holds_up_no_first_words(
    reads: tuple[bytes, ...], order: list[str]
) -> None:
    told: list[str] = []

    def accepted(exchange: Exchange) -> None:
        told.append("accepted")
        assert exchange.usage.output_tokens == 1, "that of the beginning"

    async def write(_: Any) -> None:
        if "passed on" not in told:
            told.append("passed on")

    async with gateway_to(*reads, accepted=accepted) as gateway:
        await gateway.stream(an_exchange(dialect=NATIVE, model_asked=SONNET), write)
    assert told == order


async def test_that_claude_took_a_prompt_is_told_before_an_answer_ends_that_breaks_off_at_once() -> None:
    told: list[str] = []
    async with gateway_to(START + DELTA, accepted=lambda _: told.append("accepted")) as gateway:
        with pytest.raises(GatewayError, match="broke off"):
            await gateway.stream(an_exchange(dialect=NATIVE, model_asked=SONNET), Client().write)
        assert told == ["accepted"]


@pytest.mark.parametrize(
    ("reads_along", "order"),
    [(False, ["answered", "accepted", "heard"]), (True, ["accepted", "answered", "read along", "heard"])],
)
async def test_that_claude_took_a_prompt_is_told_behind_a_whole_answer_and_before_anybody_asks(
    reads_along: bool, order: list[str]
) -> None:
    told: list[str] = []

    class ReadsAnswers:
        def response(self, _: Exchange) -> None:
            told.append("read along")

    async with gateway_to(
        b'{"type":"message","content":[],"usage":{"input_tokens":7,"output_tokens":1}}',
        media=b"application/json",
        addons=(ReadsAnswers(),) if reads_along else (),
        accepted=lambda _: told.append("accepted"),
        listeners=[lambda _: told.append("heard")],
    ) as gateway:
        async with gateway.account(flow := an_exchange(dialect=NATIVE, model_asked=SONNET)):
            await gateway.whole(flow)
            told.append("answered")
        await gateway.settled()
    assert told == order


@pytest.mark.parametrize("reads", [(START + END,), (START, END), (START, STOP, END)], ids=len)
async def test_an_answer_without_a_single_delta_is_passed_on(reads: tuple[bytes, ...]) -> None:
    client = Client()
    async with gateway_to(*reads) as gateway:
        await gateway.stream(an_exchange(dialect=NATIVE, model_asked=SONNET), client.write)
    assert b"".join(client.writes) == b"".join(reads)


async def test_a_marker_that_a_call_begins_with_is_found_where_no_delta_comes_with_it() -> None:
    opening = (
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
        b'{"type":"tool_use","id":"toolu_1","name":"write","input":{"text":"[cgw: lines 1 to 9]"}}}\n\n'
    )
    said = {"messages": [{"role": "user", "content": [{"type": "text", "text": "long"}]}]}
    flow = an_exchange(dialect=NATIVE, model_asked=SONNET)
    flow.prompt = Prompt("web", positions_of(said) or [])
    flow.prompt.replace(0, {"type": "text", "text": "[cgw: ...]"}, "file_references")
    async with gateway_to(START, opening, STOP + END) as gateway:
        await gateway.stream(flow, Client().write)
    assert [one.layer for one in flow.retracted] == ["file_references"]


async def test_what_is_delivered_is_counted_with_or_without_anything_beside_it() -> None:
    flow = an_exchange(dialect=NATIVE, model_asked=SONNET)
    async with gateway_to(START + BLOCK, DELTA[DELTA.index(b"event: content_block_delta") :], END) as gateway:
        await gateway.stream(flow, Client().write)
    assert flow.delivered == 2 * len("hi")


async def test_an_addon_may_write_into_the_events_it_is_told_and_nobody_else_reads_it() -> None:
    class Scribbles:
        def response_event(self, _: Exchange, event: dict[str, Any]) -> None:
            event.clear()

    async with gateway_to(START + COMMENT + BLOCK + END, addons=(Scribbles(),)) as gateway:
        await gateway.stream(flow := an_exchange(model_asked=SONNET), Client().write, fold=True)
    assert flow.answer is not None
    assert flow.answer["content"] == [{"type": "text", "text": "hi"}]


async def test_comments_disturb_neither_addons_nor_the_fold() -> None:
    addon = ReadsEvents()
    async with gateway_to(COMMENT, START, COMMENT, BLOCK + COMMENT, END, addons=(addon,)) as gateway:
        await gateway.stream(flow := an_exchange(dialect=NATIVE, model_asked=SONNET), Client().write, fold=True)
    assert addon.seen[0] == "message_start"
    assert addon.seen[-1] == "message_stop"
    assert flow.answer is not None
    assert flow.answer["content"] == [{"type": "text", "text": "hi"}]


@pytest.mark.parametrize("before", [b"", START, START + COMMENT])
async def test_an_error_before_content_raises_and_writes_nothing(before: bytes) -> None:
    client = Client()
    async with gateway_to(before + OVERLOADED) as gateway:
        with pytest.raises(GatewayError, match="Overloaded") as raised:
            await gateway.stream(an_exchange(dialect=NATIVE, model_asked=SONNET), client.write)
    assert raised.value.status == 529
    assert client.writes == []


async def test_an_error_after_content_leaves_the_content_with_the_client() -> None:
    client = Client()
    async with gateway_to(START + BLOCK + OVERLOADED) as gateway:
        with pytest.raises(GatewayError, match="Overloaded"):
            await gateway.stream(an_exchange(dialect=NATIVE, model_asked=SONNET), client.write)
    assert b"".join(client.writes) == START + BLOCK


async def test_what_a_finished_exchange_took_in_memory_goes_with_it() -> None:
    async with gateway_to(START, BLOCK, END) as gateway:
        flow = an_exchange(dialect=NATIVE, model_asked=SONNET)
        gc.disable()
        try:
            async with gateway.account(flow):
                await gateway.stream(flow, Client().write)
                assert flow.call is not None
                call = weakref.ref(flow.call)
            await asyncio.sleep(0)
            assert call() is None
        finally:
            gc.enable()


async def test_a_stream_without_its_end_is_an_error() -> None:
    async with gateway_to(START + BLOCK) as gateway:
        with pytest.raises(GatewayError, match="broke off"):
            await gateway.stream(an_exchange(dialect=NATIVE, model_asked=SONNET), Client().write)


async def test_the_accounts_hear_of_every_end_exactly_once() -> None:
    ends: list[tuple[int, bool]] = []
    gateway = Gateway(
        catalogue=Catalogue(),
        upstream=Upstream(base_url="http://127.0.0.1:9", api_key="k"),
        pipeline=Pipeline(),
        listeners=[lambda flow: ends.append((flow.status, flow.cancelled))],
    )
    async with gateway.account(an_exchange(dialect=NATIVE, model_asked=SONNET)):
        pass
    with pytest.raises(GatewayError):
        async with gateway.account(an_exchange(dialect=NATIVE, model_asked=SONNET)):
            raise GatewayError("overloaded_error", "Overloaded")
    with pytest.raises(GatewayError, match="failed inside"):
        async with gateway.account(an_exchange(dialect=NATIVE, model_asked=SONNET)):
            raise RuntimeError("a bug")

    async def left() -> None:
        async with gateway.account(an_exchange(dialect=NATIVE, model_asked=SONNET)):
            await asyncio.Event().wait()

    task = asyncio.create_task(left())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == [(200, False), (529, False), (500, False), (499, True)]
    assert gateway.in_flight == 0


async def test_the_end_waits_until_the_call_of_a_client_that_left_has_ended_too() -> None:
    """That takes as many turns of the loop as there are tasks and addons on the way."""
    ends: list[int] = []
    asked = asyncio.Event()

    async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never_answers, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Upstream(base_url=url, api_key="k") as upstream:
        gateway = Gateway(
            catalogue=Catalogue(),
            upstream=upstream,
            pipeline=Pipeline(),
            listeners=[lambda flow: ends.append(flow.status)],
        )

        async def left() -> None:
            async with gateway.account(flow := an_exchange(dialect=NATIVE, model_asked=SONNET)):
                await gateway.stream(flow, Client().write)

        task = asyncio.create_task(left())
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not ends
        await gateway.settled()
        assert ends == [499]
        await gateway.settled()  # and now there is nothing to wait for


async def test_what_is_ready_for_the_client_goes_out_before_anybody_hears_of_the_end() -> None:
    happened: list[str] = []
    gateway = Gateway(
        catalogue=Catalogue(),
        upstream=Upstream(base_url="http://127.0.0.1:9", api_key="k"),
        pipeline=Pipeline(),
        listeners=[lambda _: happened.append("heard")],
    )
    async with gateway.account(flow := an_exchange(dialect=NATIVE, model_asked=SONNET)):
        pass
    happened.append("sent")
    assert flow.timing.finished is not None
    await asyncio.sleep(0)
    assert happened == ["sent", "heard"]


BROKEN_EVENT = b"event: message_start\ndata: {broken\n\n"
ODD_EVENT = b"event: message_delta\ndata: []\n\n"
BROKEN_DELTA = b"event: content_block_delta\ndata: nope\n\n"


@pytest.mark.parametrize("stream", [BROKEN_EVENT, ODD_EVENT, START + BROKEN_DELTA])
async def test_an_event_that_makes_no_sense_is_an_upstream_that_broke(stream: bytes) -> None:
    async with gateway_to(stream + END) as gateway:
        with pytest.raises(GatewayError, match="makes no sense") as raised:
            await gateway.stream(an_exchange(dialect=NATIVE, model_asked=SONNET), Client().write, fold=True)
    assert (raised.value.status, raised.value.code) == (502, "upstream_broken")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"hi"', b"", b"<html>"])
async def test_an_answer_that_is_no_object_is_an_upstream_that_is_not_claude(body: bytes) -> None:
    async with gateway_to(body) as gateway:
        with pytest.raises(GatewayError, match="ANTHROPIC_BASE_URL") as raised:
            await gateway.whole(an_exchange(dialect=NATIVE, model_asked=SONNET))
    assert raised.value.status == 502
