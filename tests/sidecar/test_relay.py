import asyncio

import pytest
from starlette.types import Message

from sidecar.relay import PING, CancelledWhenGone, EventStream


class Client:
    """The ASGI side of a client: what it was sent, and when it leaves."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.left = asyncio.Event()
        self.heard = asyncio.Event()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.heard.set()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def starts(self) -> int:
        return sum(message["type"] == "http.response.start" for message in self.sent)


async def test_the_head_goes_out_with_the_first_events_and_not_before() -> None:
    client = Client()
    async with EventStream(client.send, lambda: {"x-gateway-model": "m"}, ping_seconds=60) as out:
        assert not out.opened
        await out.write(b"")
        assert client.sent == []
        await out.write(b"data: 1\n\n")
        await out.write(b"data: 2\n\n")
        await out.end()
    assert client.starts == 1
    headers = dict(client.sent[0]["headers"])
    assert headers[b"x-gateway-model"] == b"m"
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert client.body == b"data: 1\n\ndata: 2\n\n"
    assert client.sent[-1]["more_body"] is False


async def test_silence_is_filled_with_comments_also_before_the_first_byte() -> None:
    client = Client()
    async with EventStream(client.send, dict, ping_seconds=0.01) as out:
        while client.body.count(PING) < 2:
            client.heard.clear()
            await client.heard.wait()
        assert out.opened
        await out.write(b"data: 1\n\n")
    assert client.starts == 1
    assert client.body.startswith(PING + PING)
    assert b"data: 1\n\n" in client.body


async def test_events_wait_for_a_head_that_a_ping_has_begun_to_send() -> None:
    client = Client()
    has_room = asyncio.Event()

    async def slowly(message: Message) -> None:
        if message["type"] == "http.response.start":
            await has_room.wait()
        await client.send(message)

    async with EventStream(slowly, dict, ping_seconds=60) as out:
        first, second = (asyncio.create_task(out.write(b"data: %d\n\n" % number)) for number in (1, 2))
        await asyncio.sleep(0)
        assert client.sent == []
        has_room.set()
        await asyncio.gather(first, second)
    assert [message["type"] for message in client.sent] == ["http.response.start"] + ["http.response.body"] * 2


async def test_an_answer_without_events_still_has_a_head() -> None:
    client = Client()
    async with EventStream(client.send, dict, ping_seconds=60) as out:
        await out.end()
    assert client.starts == 1


async def test_work_ends_when_the_client_leaves_and_the_caller_goes_on() -> None:
    client = Client()
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    asyncio.get_running_loop().call_soon(client.left.set)
    with CancelledWhenGone(client.receive):
        await work()
    await asyncio.sleep(0)
    assert ended == ["work"]


async def test_work_that_is_done_is_not_disturbed_by_a_later_departure() -> None:
    client = Client()
    with CancelledWhenGone(client.receive):
        done = True
    client.left.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert done


async def test_a_cancellation_from_outside_is_passed_on() -> None:
    client = Client()

    async def request() -> None:
        with CancelledWhenGone(client.receive):
            await asyncio.Event().wait()

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_errors_inside_pass_through() -> None:
    client = Client()
    with pytest.raises(ValueError, match="mine"), CancelledWhenGone(client.receive):
        raise ValueError("mine")
