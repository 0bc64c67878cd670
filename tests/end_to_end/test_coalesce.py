"""Equal requests at one time share one call to Claude, whoever asks how, and whoever leaves when."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from itertools import permutations, product
from pathlib import Path
from time import sleep
from typing import Any

import httpx2
import orjson
import pytest

import addons
from sidecar.call import Call, Reader
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT, savings_by_layer, usage
from sidecar.simulator.answers import Answer
from sidecar.simulator.delivery import Delivery
from sidecar.simulator.ledger import Row
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar
from tests.support.ways import RICH, WAYS, Heard

WORDS: Any = {"model": "sonnet", "max_tokens": 4000, "messages": [{"role": "user", "content": "hello"}]}
CHAT, NATIVE, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
RESPONSES_WORDS: Any = {"model": "sonnet", "max_output_tokens": 4000, "input": "hello", "store": False}
AN_HOUR = 3600.0
"""So long a pause ends when the gate is opened."""
SAID = "some words, " * 30
HALF = Answer(SAID, silent_after=12, silence=AN_HOUR)
NOTHING_YET = Answer(SAID, first_byte_after=AN_HOUR)
PATIENCE = 3000


class Gate:
    """Where Claude's answers wait in the middle, and how many have a place at them."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._readers = 0

    def open(self) -> None:
        self._open.set()

    async def wait(self) -> None:
        await asyncio.to_thread(self._open.wait, 60)

    def counts(self, join: Callable[[Call], Reader]) -> Callable[[Call], Reader]:
        def counted(call: Call) -> Reader:
            self._readers += 1
            return join(call)

        return counted

    def wait_for_readers(self, count: int) -> None:
        _until(lambda: self._readers >= count)


def _until(true: Callable[[], object]) -> None:
    for _ in range(PATIENCE):
        if true():
            return
        sleep(0.005)
    raise TimeoutError


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    pause = Delivery._pause

    async def pause_at_gate(delivery: Delivery, seconds: float) -> None:
        await (gate.wait() if seconds == AN_HOUR else pause(delivery, seconds))

    monkeypatch.setattr(Delivery, "_pause", pause_at_gate)
    monkeypatch.setattr(Call, "join", gate.counts(Call.join))
    yield gate
    gate.open()


@pytest.fixture
def claude() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, claude: RunningSimulator) -> Iterator[RunningSidecar]:
    # Nothing is kept, so that whatever is shared is shared on its way.
    with RunningSidecar(tmp_path, claude, enable_response_cache=True, cache_ttl_seconds=0) as running:
        yield running


class Client:
    """One request that streams; `heard` is what came so far."""

    def __init__(
        self, gateway: RunningSidecar, path: str = NATIVE, *, stream: bool = True, words: Any = WORDS, **headers: str
    ) -> None:
        self._gateway = gateway
        self._words = words
        self._path = path
        self._stream = stream
        self._headers = {"x-api-key": gateway.key, **{name.replace("_", "-"): text for name, text in headers.items()}}
        self._stack = AsyncExitStack()
        self._chunks: AsyncIterator[bytes]
        self.heard = b""
        self.answer: httpx2.Response

    async def ask(self) -> Client:
        client = await self._stack.enter_async_context(
            httpx2.AsyncClient(base_url=self._gateway.url, timeout=60, verify=False)
        )
        words = RESPONSES_WORDS if self._path == RESPONSES else self._words
        body = {**words, "stream": self._stream}
        request = client.stream("POST", self._path, json=body, headers=self._headers)
        self.answer = await self._stack.enter_async_context(request)
        self._chunks = self.answer.aiter_raw()
        return self

    async def hears(self, words: bytes) -> None:
        while words not in self.heard:
            self.heard += await anext(self._chunks)

    async def rest(self) -> bytes:
        async for chunk in self._chunks:
            self.heard += chunk
        await self.leave()
        return self.heard

    async def leave(self) -> None:
        await self._stack.aclose()

    @property
    def text(self) -> str:
        lines = [line[6:] for line in self.heard.split(b"\n") if line.startswith(b"data: {")]
        events = map(orjson.loads, lines)
        if self._path == CHAT:
            return "".join(c["delta"].get("content") or "" for event in events for c in event["choices"])
        if self._path == RESPONSES:
            return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")

    @property
    def leader(self) -> str | None:
        """The request whose call it shares."""
        return self.answer.headers.get("x-gateway-coalesced")


def calls_to(claude: RunningSimulator) -> list[Row]:
    return claude.simulator.ledger.messages


async def falls_to(gateway: RunningSidecar, count: int) -> None:
    """Until the gateway knows that only so many clients are left."""
    async with httpx2.AsyncClient(timeout=30, verify=False) as http:
        for _ in range(PATIENCE):
            if (await http.get(f"{gateway.url}/health")).json()["in_flight"] == count:
                return
    raise TimeoutError


@pytest.mark.parametrize(("first", "joins"), [*product(WAYS, WAYS)], ids=lambda way: way.__name__)
def test_whoever_asks_how_all_hear_the_same_of_one_call(
    gateway: RunningSidecar,
    claude: RunningSimulator,
    gate: Gate,
    first: Callable[[RunningSidecar], Heard],
    joins: Callable[[RunningSidecar], Heard],
) -> None:
    claude.simulator.script(Answer(RICH.content, first_byte_after=AN_HOUR))
    with ThreadPoolExecutor(2) as clients:
        one = clients.submit(first, gateway)
        gate.wait_for_readers(1)
        other = clients.submit(joins, gateway)
        gate.wait_for_readers(2)
        gate.open()
        assert one.result() == other.result()
    assert one.result().text == "I look it up. " * 3
    assert len(calls_to(claude)) == 1


@pytest.mark.parametrize(
    ("first", "late"),
    [*product((CHAT, NATIVE), (CHAT, NATIVE)), (RESPONSES, RESPONSES), (RESPONSES, CHAT), (NATIVE, RESPONSES)],
)
async def test_who_joins_in_mid_stream_hears_at_once_what_was_said_and_then_the_rest(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate, first: str, late: str
) -> None:
    claude.simulator.script(HALF)
    leader = await Client(gateway, first).ask()
    await leader.hears(b"some words")
    joiner = await Client(gateway, late).ask()
    await joiner.hears(b"some words")
    assert joiner.leader == leader.answer.headers["x-request-id"]
    assert joiner.answer.headers["x-cache"] == "MISS"
    gate.open()
    await leader.rest()
    await joiner.rest()
    assert leader.text == joiner.text == SAID
    if first == late == NATIVE:
        assert leader.heard == joiner.heard
    assert len(calls_to(claude)) == 1


@pytest.mark.parametrize("order", [*permutations(range(3))])
async def test_in_whichever_order_they_leave_only_the_last_one_ends_the_call(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate, order: tuple[int, ...]
) -> None:
    claude.simulator.script(HALF)
    clients = []
    for path in (NATIVE, CHAT, NATIVE):
        clients.append(await Client(gateway, path).ask())
        await clients[-1].hears(b"some words")
    for left, number in enumerate(order, start=1):
        assert not calls_to(claude)[0].ended
        await clients[number].leave()
        await falls_to(gateway, 3 - left)
    [row] = await asyncio.to_thread(claude.simulator.ledger.wait, 1)
    assert row.cancelled == "in mid-stream"


@pytest.mark.parametrize("leaving", [0, 1])
async def test_who_stays_hears_all_of_it_whoever_else_leaves(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate, leaving: int
) -> None:
    claude.simulator.script(HALF)
    clients = [await Client(gateway).ask()]
    await clients[0].hears(b"some words")
    clients.append(await Client(gateway, CHAT).ask())
    await clients[1].hears(b"some words")
    await clients.pop(leaving).leave()
    await falls_to(gateway, 1)
    gate.open()
    await clients[0].rest()
    assert clients[0].text == SAID
    [row] = calls_to(claude)
    assert row.cancelled is None


async def test_who_leaves_before_the_first_word_leaves_the_call_to_the_others(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate
) -> None:
    claude.simulator.script(NOTHING_YET)
    leader = asyncio.create_task(Client(gateway).ask())
    await asyncio.to_thread(gate.wait_for_readers, 1)
    joiner = asyncio.create_task(Client(gateway).ask())
    await asyncio.to_thread(gate.wait_for_readers, 2)
    leader.cancel()
    await falls_to(gateway, 1)
    gate.open()
    client = await joiner
    await client.rest()
    assert client.text == SAID
    assert len(calls_to(claude)) == 1


@pytest.mark.parametrize("streams", [*product((False, True), (False, True))])
@pytest.mark.parametrize("paths", [(NATIVE, NATIVE), (CHAT, NATIVE), (NATIVE, CHAT)])
async def test_an_overload_before_the_first_word_is_everybody_s(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate, paths: tuple[str, str], streams: tuple[bool, bool]
) -> None:
    plain = paths[0] == NATIVE and not streams[0]  # the one call that does not stream from Claude
    ending: dict[str, int] = {"cut_after": 5} if plain else {"error_after": 1}
    claude.simulator.script(Answer(SAID, first_byte_after=AN_HOUR, **ending))  # type: ignore[arg-type]
    clients = []
    for number, (path, stream) in enumerate(zip(paths, streams, strict=True), start=1):
        clients.append(asyncio.create_task(Client(gateway, path, stream=stream).ask()))
        await asyncio.to_thread(gate.wait_for_readers, number)
    gate.open()
    answers = [await client for client in clients]
    for client, path in zip(answers, paths, strict=True):
        assert client.answer.status_code == (502 if plain else 529 if path == NATIVE else 503)
        await client.rest()
    assert len(calls_to(claude)) == 1


async def test_an_answer_that_breaks_off_breaks_off_for_everybody(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate
) -> None:
    claude.simulator.script(Answer(SAID, silent_after=12, error_after=14))
    clients = [await Client(gateway).ask(), await Client(gateway, CHAT).ask()]
    for client in clients:
        await client.hears(b"some words")
    gate.open()
    for client in clients:
        assert b"Overloaded" in await client.rest()


@pytest.mark.parametrize(
    "headers",
    [{"cache_control": "no-store"}, {"cache_control": "no-cache"}, {"x_gateway_bypass": "1"}],
    ids=str,
)
async def test_who_wants_an_answer_of_its_own_gets_one(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate, headers: dict[str, str]
) -> None:
    claude.simulator.script(HALF, Answer("an answer of its own"))
    first = await Client(gateway).ask()
    await first.hears(b"some words")
    own = await Client(gateway, NATIVE, stream=True, **headers).ask()
    await own.rest()
    assert own.text == "an answer of its own"
    assert own.leader is None
    gate.open()
    await first.rest()


async def test_several_choices_of_one_request_are_several_answers(
    gateway: RunningSidecar, claude: RunningSimulator
) -> None:
    async with httpx2.AsyncClient(timeout=30, verify=False) as http:
        headers = {"x-api-key": gateway.key}
        answer = await http.post(f"{gateway.url}{CHAT}", json={**WORDS, "n": 3}, headers=headers)
    assert len(answer.json()["choices"]) == 3
    assert len(calls_to(claude)) == 3


def test_who_reads_slowly_holds_nobody_up_and_loses_nothing(
    gateway: RunningSidecar, claude: RunningSimulator, gate: Gate
) -> None:
    long = "0123456789abcdef" * 250_000
    claude.simulator.script(Answer(long, stop_reason="end_turn", delta_chars=16_000, first_byte_after=AN_HOUR))
    body = orjson.dumps({**WORDS, "stream": True})
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=60) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
        slow.sendall(
            b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"X-Api-Key: %b\r\nContent-Length: %d\r\n\r\n%b" % (gateway.key.encode(), len(body), body)
        )
        gate.wait_for_readers(1)
        with ThreadPoolExecutor(1) as clients:
            quick = clients.submit(
                httpx2.post,
                f"{gateway.url}{NATIVE}",
                json=WORDS,
                headers={"x-api-key": gateway.key},
                timeout=60,
            )
            gate.wait_for_readers(2)
            gate.open()
            assert quick.result().json()["content"][0]["text"] == long
        heard = b""
        while chunk := slow.recv(1 << 20):
            heard += chunk
    assert heard.count(b"0123456789abcdef") == 250_000
    assert b"event: message_stop" in heard
    assert len(calls_to(claude)) == 1


async def test_many_at_once_are_one_call(gateway: RunningSidecar, claude: RunningSimulator, gate: Gate) -> None:
    claude.simulator.script(NOTHING_YET)
    clients = [
        asyncio.create_task(Client(gateway, path, stream=stream).ask())
        for path, stream in [(NATIVE, True), (CHAT, True), (NATIVE, True), (CHAT, False)] * 10
    ]
    await asyncio.to_thread(gate.wait_for_readers, len(clients))
    gate.open()
    for client in clients:
        await (await client).rest()
    assert sum(client.result().leader is not None for client in clients) == len(clients) - 1
    assert len(calls_to(claude)) == 1
    # The next one that comes is too late for it, and nothing is kept here.
    await (await Client(gateway).ask()).rest()
    assert len(calls_to(claude)) == 2


@pytest.mark.parametrize("leader_leaves", [False, True])
async def test_the_call_is_on_one_account_and_the_others_saved_its_price(
    tmp_path: Path, claude: RunningSimulator, gate: Gate, leader_leaves: bool
) -> None:
    with RunningSidecar(tmp_path, claude, enable_response_cache=True) as gateway:
        claude.simulator.script(HALF)
        leader = await Client(gateway).ask()
        await leader.hears(b"some words")
        joiners = [await Client(gateway, path).ask() for path in (NATIVE, CHAT)]
        for joiner in joiners:
            await joiner.hears(b"some words")
        if leader_leaves:
            await leader.leave()
            await falls_to(gateway, 2)
        gate.open()
        for client in joiners if leader_leaves else [leader, *joiners]:
            await client.rest()
    [row] = calls_to(claude)
    assert row.complete
    with closing(Database.open(None, tmp_path)) as database:
        total = usage(database, project=EVERY_PROJECT, by="model").total
        [saved] = savings_by_layer(database, project=EVERY_PROJECT)
    assert total.cost_micros == row.cost
    assert (total.requests, total.cancelled, total.estimated) == (3, int(leader_leaves), 0)
    assert (saved.layer, saved.requests, saved.saved_micros) == ("coalesce", 2, 2 * row.cost)


async def test_an_answer_that_was_shared_is_kept_for_later_though_its_leader_left(
    tmp_path: Path, claude: RunningSimulator, gate: Gate
) -> None:
    with RunningSidecar(tmp_path, claude, enable_response_cache=True) as gateway:
        claude.simulator.script(HALF)
        leader = await Client(gateway).ask()
        await leader.hears(b"some words")
        joiner = await Client(gateway).ask()
        await joiner.hears(b"some words")
        await leader.leave()
        await falls_to(gateway, 1)
        gate.open()
        await joiner.rest()
        later = await Client(gateway).ask()
        await later.rest()
    assert later.answer.headers["x-cache"] == "HIT"
    assert later.text == SAID


async def test_a_joiner_is_not_counted_against_the_limits(tmp_path: Path, claude: RunningSimulator, gate: Gate) -> None:
    settings: dict[str, Any] = {"rate_limit_enabled": True, "rate_limit_rpm": 1}
    with RunningSidecar(tmp_path, claude, enable_response_cache=True, **settings) as gateway:
        claude.simulator.script(HALF)
        clients = [await Client(gateway).ask() for _ in range(2)]
        for client in clients:
            await client.hears(b"some words")
        gate.open()
        for client in clients:
            await client.rest()
            assert client.text == SAID


CUT: Any = {**WORDS, "messages": [{"role": "user", "content": "a line of words\n" * 100}]}
"""Longer than it may be below, so that it goes with a marker."""
QUOTES = Answer(
    f"{SAID}[cgw cut: 9,999 characters in 300 lines left out here] and so on", silent_after=12, silence=AN_HOUR
)


@pytest.mark.parametrize("patient", [(CHAT, False), (NATIVE, True), None], ids=str)
async def test_an_answer_that_quotes_a_marker_is_asked_for_again_for_those_that_passed_nothing_on(
    tmp_path: Path,
    claude: RunningSimulator,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    patient: tuple[str, bool] | None,
) -> None:
    layers = ("addons.response_cache:ResponseCache", "addons.coalesce:Coalesce", "addons.size_limits:SizeLimits")
    monkeypatch.setattr(addons, "BUILT_IN", layers)
    settings: dict[str, Any] = {"user_msg_max_chars": 400, "size_limit_action": "cut"}
    with RunningSidecar(tmp_path, claude, enable_response_cache=True, **settings) as gateway:
        claude.simulator.script(QUOTES, "The second answer.")
        streaming = [await Client(gateway, path, words=CUT).ask() for path in (NATIVE, CHAT)]
        for client in streaming:
            await client.hears(b"some words")
        if patient is not None:
            path, streams = patient
            late = Client(gateway, path, stream=streams, words=CUT)
            asking = asyncio.create_task(late.ask())
            await asyncio.to_thread(gate.wait_for_readers, 3)
            if streams:
                await (await asking).hears(b"some words")
        gate.open()
        for client in streaming:
            assert b"Send the request again" in await client.rest()
            assert b"[cgw" not in client.heard
        if patient is not None:
            heard = await (await asking).rest()
            assert (b"The second answer." in heard) is not streams
            assert (b"Send the request again" in heard) is streams
        asked_again = patient == (CHAT, False)
        rows = await asyncio.to_thread(claude.simulator.ledger.wait, 1 + asked_again)
        assert [b"[cgw cut" in row.body for row in rows] == [True, False][: len(rows)]
        again = await Client(gateway, words=CUT).ask()
        assert again.answer.headers["x-cache"] == "MISS", "an answer that was spoiled once is not kept"
        await again.rest()
    with closing(Database.open(None, tmp_path)) as database:
        total = usage(database, project=EVERY_PROJECT, by="model").total
        saved = {one.layer: one.saved_micros for one in savings_by_layer(database, project=EVERY_PROJECT)}
    assert total.requests == 3 + (patient is not None)
    assert saved["size_limits"] < 0
    assert ("coalesce" in saved) == asked_again, "an answer that broke off spared nobody anything"
    if asked_again:
        assert saved["coalesce"] == rows[1].cost
