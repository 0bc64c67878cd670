"""What the dashboard reads over HTTP: the live feed, single exchanges, and the ledger's sums."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import orjson
import pytest

from sidecar.simulator.answers import Answer, Failure
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.gates import AN_HOUR, Gate
from tests.support.sidecar import RunningSidecar

PATIENCE = 60.0
CHAT, NATIVE = "/v1/chat/completions", "/v1/messages"
SECRET = "sk-ant-very-secret-1234567890"


@pytest.fixture
def watched(tmp_path: Path, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path, running_simulator) as sidecar:
        yield sidecar


def ask(sidecar: RunningSidecar, path: str = CHAT, text: str = "hello", **fields: Any) -> httpx2.Response:
    body = {"model": "sonnet", "max_tokens": 99, "messages": [{"role": "user", "content": text}], **fields}
    headers = {"x-api-key": sidecar.key, **fields.pop("headers", {})}
    body.pop("headers", None)
    return httpx2.post(sidecar.url + path, json=body, headers=headers)


def admin(sidecar: RunningSidecar, path: str, method: str = "GET", content: object = None) -> Any:
    answer = httpx2.request(
        method,
        f"{sidecar.url}/admin/{path}",
        headers={"x-api-key": sidecar.key},
        content=None if content is None else orjson.dumps(content),
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def settled(sidecar: RunningSidecar, count: int) -> list[dict[str, Any]]:
    """So many rows of the ledger, newest first."""
    deadline = time.monotonic() + PATIENCE
    while len(rows := admin(sidecar, "requests")["rows"]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return rows


def detail_of(sidecar: RunningSidecar, answer: httpx2.Response) -> Any:
    """Once the exchange is settled."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = httpx2.get(
            f"{sidecar.url}/admin/exchanges/{answer.headers['x-request-id']}", headers={"x-api-key": sidecar.key}
        )
        if found.status_code == 200:
            return found.json()
        assert time.monotonic() < deadline, found.text
        time.sleep(0.05)


class Watching:
    """A client of the feed."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.seen: list[tuple[str, Any]] = []

    async def until(self, true: Callable[[str, Any], object]) -> Any:
        async with asyncio.timeout(PATIENCE):
            async for name, content in self._events():
                self.seen.append((name, content))
                if true(name, content):
                    return content
        raise AssertionError("the feed ended")

    async def _events(self) -> AsyncIterator[tuple[str, Any]]:
        while line := await self._response.content.readline():
            name = line.removeprefix(b"event: ").strip().decode()
            content = (await self._response.content.readline()).removeprefix(b"data: ")
            await self._response.content.readline()
            yield name, orjson.loads(content)


async def test_a_watcher_sees_a_request_begin_stream_and_end(
    watched: RunningSidecar, claude: Simulator, gate: Gate
) -> None:
    claude.script(Answer("word " * 60, silent_after=12, silence=AN_HOUR))
    async with (
        aiohttp.ClientSession(headers={"x-api-key": watched.key}) as session,
        session.get(f"{watched.url}/admin/events", read_bufsize=2**22) as response,
    ):
        watching = Watching(response)
        hello = await watching.until(lambda name, _: name == "hello")
        assert hello["rows"] == []
        assert hello["state"]["upstream"]["state"] == "unknown"
        asking = asyncio.create_task(asyncio.to_thread(ask, watched, stream=True))
        begun = await watching.until(lambda name, content: name == "batch" and content.get("begun"))
        ticking = begun
        while not ticking.get("ticks"):
            ticking = await watching.until(lambda name, _: name == "batch")
        gate.open()
        ended = await watching.until(lambda name, content: name == "batch" and content.get("ended"))
        request_id = (await asking).headers["x-request-id"]
    [first], [last] = begun["begun"], ended["ended"]
    assert {first["id"], ticking["ticks"][0]["id"], last["id"]} == {request_id}
    assert (first["state"], last["state"], last["status"]) == ("running", "ok", 200)
    assert ticking["ticks"][0]["delivered_bytes"] > 0
    assert last["output_tokens"] == claude.ledger.messages[0].output_tokens
    assert last["cost_picos"] == claude.ledger.messages[0].cost * 10**6
    assert last["saved_picos"] == last["baseline_picos"] - last["cost_picos"] == sum(last["saved_by"].values())


async def test_a_responses_request_is_of_its_dialect_and_client_in_the_feed_and_in_the_ledger(
    watched: RunningSidecar, claude: Simulator
) -> None:
    claude.script("one", Failure(529))
    codex = {"x-api-key": watched.key, "user-agent": "codex_exec/0.169.0 (Linux)", "originator": "codex_exec"}
    async with (
        aiohttp.ClientSession(headers={"x-api-key": watched.key}) as session,
        session.get(f"{watched.url}/admin/events", read_bufsize=2**22) as response,
    ):
        watching, shown = Watching(response), []
        for _ in range(2):
            body = {"model": "sonnet", "input": "hello"}
            await asyncio.to_thread(httpx2.post, f"{watched.url}/v1/responses", json=body, headers=codex)
            batch = await watching.until(lambda name, content: name == "batch" and content.get("ended"))
            shown += batch["ended"]
    rows = await asyncio.to_thread(settled, watched, 2)
    for row in (*shown, *rows):
        assert (row["dialect"], row["client"]) == ("openai_responses", "codex")
    assert [row["status"] for row in shown] == [200, 529]
    assert sorted(row["status"] for row in rows) == [200, 529]


async def test_a_watcher_that_comes_later_begins_with_what_was(watched: RunningSidecar, claude: Simulator) -> None:
    claude.script("one", Failure(529))
    for _ in range(2):
        await asyncio.to_thread(ask, watched)
    await asyncio.to_thread(settled, watched, 2)
    httpx2.post(watched.url + CHAT, json={})
    async with (
        aiohttp.ClientSession(headers={"x-api-key": watched.key}) as session,
        session.get(f"{watched.url}/admin/events", read_bufsize=2**22) as response,
    ):
        watching = Watching(response)
        hello = await watching.until(lambda name, _: name == "hello")
        assert [row["state"] for row in hello["rows"]] == ["ok", "failed"]
        assert hello["state"]["upstream"]["state"] == "degraded"
        assert "verloaded" in hello["state"]["upstream"]["last_error"]
        await watching.until(lambda name, _: name == "state")
        refusing = asyncio.create_task(asyncio.to_thread(httpx2.post, watched.url + CHAT, json={}))
        told = await watching.until(lambda name, content: name == "batch" and content.get("refused"))
        await refusing
    assert (told["refused"][0]["status"], told["refused"][0]["path"]) == (401, CHAT)


@pytest.mark.parametrize("path", [CHAT, NATIVE])
@pytest.mark.parametrize("stream", [False, True])
def test_a_detail_has_what_was_sent_what_went_upstream_and_the_whole_answer(
    watched: RunningSidecar, claude: Simulator, path: str, stream: bool
) -> None:
    claude.script("the whole answer")
    headers = {"x-my-token": SECRET, "x-note": f"see {SECRET}", "x-short-password": "hunter2"}
    answer = ask(watched, f"{path}?beta=true&api_key={SECRET}", "what I said", stream=stream, headers=headers)
    found = detail_of(watched, answer)
    assert found["client"]["path"] == f"{path}?beta=true&api_key=...{SECRET[-4:]}"
    assert "hunter2" not in orjson.dumps(found).decode()
    assert "what I said" in found["client"]["body"]
    assert found["upstream"]["body"].encode() == claude.ledger.messages[0].body
    assert found["upstream"]["same_as_client"] is (claude.ledger.messages[0].body == found["client"]["body"].encode())
    assert found["answer"]["content"][-1]["text"] == "the whole answer"
    assert found["cost"]["total_picos"] == sum(line["picos"] for line in found["cost"]["lines"])
    ends = [stretch["end_ms"] for stretch in found["timing"]]
    assert ends == sorted(ends)
    assert SECRET not in orjson.dumps(found).decode()
    assert watched.key not in orjson.dumps(found).decode()


def test_an_answer_that_broke_off_is_shown_as_far_as_it_came(watched: RunningSidecar, claude: Simulator) -> None:
    claude.script(Answer("as far as this and no further", error_after=4))
    found = detail_of(watched, ask(watched, stream=True))
    assert "as far as this and no further".startswith(found["answer"]["content"][0]["text"])
    assert found["row"]["state"] == "failed"


def test_an_edit_is_named_placed_and_priced(watched: RunningSidecar, claude: Simulator) -> None:
    text = "\n".join(f"line {number} of a file that is long enough to be worth a reference" for number in range(200))
    tools = [{"name": "read_file", "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": "Look."}]
    for number in range(2):
        call = {"type": "tool_use", "id": f"toolu_{number}", "name": "read_file", "input": {"path": "main.py"}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": text}
        messages += [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]
        answer = ask(watched, NATIVE, messages=messages, tools=tools)
    found = detail_of(watched, answer)
    [edit] = [edit for edit in found["edits"] if edit["layer"] == "file_references"]
    assert edit["where"] == "messages[4].content[0]"
    assert edit["new"]
    assert edit["before"] == text
    assert text not in edit["after"]
    assert edit["removed_tokens"] > 1000
    assert edit["saved_picos"] > 0
    assert found["row"]["removed_tokens"] > 1000


def test_a_replay_is_a_request_like_any_other(watched: RunningSidecar, claude: Simulator) -> None:
    first = ask(watched, NATIVE, "once more")
    detail_of(watched, first)
    again = admin(watched, f"exchanges/{first.headers['x-request-id']}/replay", "POST")
    rows = settled(watched, 2)
    assert rows[0]["id"] == again["id"] != first.headers["x-request-id"]
    sent = [orjson.loads(row.body)["messages"] for row in claude.ledger.messages]
    assert sent[0] == sent[1]
    counted = ask(watched, f"{NATIVE}/count_tokens", "only counted")
    detail_of(watched, counted)
    admin(watched, f"exchanges/{counted.headers['x-request-id']}/replay", "POST")
    assert len(claude.ledger.messages) == 2


def test_bodies_are_not_kept_where_their_owner_does_not_want_it(watched: RunningSidecar, claude: Simulator) -> None:
    assert admin(watched, "bodies", "POST", {"keep": 0})["keeps_bodies"] == 0
    answer = ask(watched)
    settled(watched, 1)
    found = httpx2.get(
        f"{watched.url}/admin/exchanges/{answer.headers['x-request-id']}", headers={"x-api-key": watched.key}
    )
    assert found.status_code == 404
    assert "KEEP_BODIES" in found.json()["error"]["message"]


def test_bypass_lets_everything_pass_as_it_was_written(watched: RunningSidecar, claude: Simulator) -> None:
    assert admin(watched, "bypass", "POST", {"on": True})["bypass"] is True
    body = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x " * 9000}]}
    raw = orjson.dumps(body)
    for _ in range(2):
        httpx2.post(watched.url + NATIVE, content=raw, headers={"x-api-key": watched.key})
    assert [row.body for row in claude.ledger.messages] == [raw, raw]
    assert admin(watched, "bypass", "POST", {"on": False})["bypass"] is False


def test_sums_series_layers_and_models_say_the_same(watched: RunningSidecar, claude: Simulator) -> None:
    claude.script("a", Failure(529), "c")
    for model in ("sonnet", "sonnet", "haiku"):
        ask(watched, model=model)
    settled(watched, 3)
    for asked, points in (("1h", 60), ("6h", 72), ("24h", 96), ("7d", 84), ("30d", 60)):
        found = admin(watched, f"overview?range={asked}")
        billed = sum(row.cost for row in claude.ledger.messages) * 10**6
        for span in ("today", "week", "month", "range"):
            if span in ("month", "today") and time.gmtime().tm_hour == 0:
                continue  # the moment may have been yesterday
            assert found[span]["cost_picos"] == billed
            assert (found[span]["requests"], found[span]["errors"], found[span]["left"]) == (3, 1, 0)
            assert found[span]["saved_picos"] == found[span]["baseline_picos"] - found[span]["cost_picos"]
        assert len(found["series"]) == points
        assert sum(point["cost_picos"] for point in found["series"]) == billed
        assert sum(line["saved_picos"] for line in found["layers"]) == found["range"]["saved_picos"]
        assert sum(line["requests"] for line in found["models"]) == 3


def test_a_conversation_has_its_turns_in_order(watched: RunningSidecar, claude: Simulator) -> None:
    messages: list[dict[str, Any]] = []
    for number in range(3):
        messages.append({"role": "user", "content": f"turn {number} " + "and more " * 2000})
        messages.append(
            {"role": "assistant", "content": ask(watched, messages=messages).json()["choices"][0]["message"]["content"]}
        )
    settled(watched, 3)
    [one] = admin(watched, "conversations")["conversations"]
    assert one["turns"] == 3
    assert one["growth"] == sorted(one["growth"])
    assert one["prompt_tokens"] == claude.ledger.messages[-1].prompt_tokens
    found = admin(watched, f"conversations/{one['conversation']}")
    assert [row["cost_picos"] for row in found["turns"]] == [row.cost * 10**6 for row in claude.ledger.messages]
    page = admin(watched, "requests?limit=2")
    assert page["more"]
    [rest] = admin(watched, f"requests?limit=2&before={page['rows'][-1]['id']}")["rows"]
    assert rest["id"] == found["turns"][0]["id"]


def test_a_projects_switch_is_in_force_at_once(watched: RunningSidecar, claude: Simulator) -> None:
    changed = admin(watched, "projects/default", "PATCH", {"switches": {"enable_anthropic_cache_control": False}})
    assert changed["switches"]["enable_anthropic_cache_control"] is False
    assert changed["overridden"] == ["enable_anthropic_cache_control"]
    ask(watched, text="x " * 9000)
    assert b"cache_control" not in claude.ledger.messages[-1].body
    changed = admin(watched, "projects/default", "PATCH", {"switches": {"enable_anthropic_cache_control": None}})
    assert changed["overridden"] == []
    ask(watched, text="y " * 9000)
    assert b"cache_control" in claude.ledger.messages[-1].body
    [default] = admin(watched, "projects")["projects"]
    assert default["name"] == "default"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "events"),
        ("GET", "exchanges/req_1"),
        ("POST", "exchanges/req_1/replay"),
        ("POST", "bypass"),
        ("POST", "bodies"),
        ("GET", "overview"),
        ("GET", "requests"),
        ("GET", "conversations"),
        ("GET", "conversations/x"),
        ("GET", "projects"),
        ("PATCH", "projects/default"),
    ],
)
def test_every_route_needs_the_key(gateway: RunningSidecar, method: str, path: str) -> None:
    assert httpx2.request(method, f"{gateway.url}/admin/{path}").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "overview?range=2h", b"", 400, "1h, 6h"),
        ("GET", "requests?limit=0", b"", 400, "1 to"),
        ("GET", "requests?since=never", b"", 400, "no time"),
        ("GET", "conversations/unknown", b"", 404, "no such"),
        ("POST", "bypass", b"{}", 400, "true or false"),
        ("POST", "bodies", b'{"keep": -1}', 400, "0 to"),
        ("POST", "bodies", b"[", 400, "JSON"),
        ("PATCH", "projects/default", b'{"switches": {"x": true}}', 400, "no switch"),
        ("PATCH", "projects/default", b'{"switches": 1}', 400, "switch"),
        ("PATCH", "projects/none", b'{"switches": {}}', 404, "no project"),
    ],
)
def test_bad_input_is_one_clear_sentence(
    gateway: RunningSidecar, method: str, path: str, body: bytes, status: int, said: str
) -> None:
    answer = httpx2.request(method, f"{gateway.url}/admin/{path}", content=body, headers={"x-api-key": gateway.key})
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]
