"""Every way in which Claude, or what lies before it, can fail: the table says what the client and the ledger hear.

A fault is tried in both dialects, streamed and whole. The chat dialect always streams from Claude, so that only a whole
answer in Claude's own dialect meets the second column.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx2
import orjson
import pytest

from sidecar import retries
from sidecar.ledger.rows import LedgerRow
from sidecar.ledger.writer import LedgerWriter
from sidecar.simulator.answers import Answer, Failure, Raw, Step
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from sidecar.sse import EventSplitter
from tests.support.events import block_start, block_stop, sse, text_delta
from tests.support.sidecar import RunningSidecar

NATIVE, CHAT = "/v1/messages", "/v1/chat/completions"
WAYS = pytest.mark.parametrize(
    ("path", "stream"),
    [
        pytest.param(NATIVE, True, id="messages-streamed"),
        pytest.param(NATIVE, False, id="messages-whole"),
        pytest.param(CHAT, True, id="chat-streamed"),
        pytest.param(CHAT, False, id="chat-whole"),
    ],
)
KIND_OF_STATUS = {401: "authentication_error", 429: "rate_limit_error", 502: "api_error", 529: "overloaded_error"}
CHAT_STATUS = {529: 503}


class Answered(NamedTuple):
    """All is well in the end."""

    text: str
    calls: int = 1


class Refused(NamedTuple):
    """An error with a status, after so many calls."""

    status: int
    calls: int = 1
    says: str = ""
    estimated: bool = False
    """Whether Claude may have billed something that it did not tell."""


class Broken(NamedTuple):
    """An answer that has begun, and then an error inside it. Claude is never asked again."""

    status: int = 502
    says: str = ""
    text: str = "begun"


Outcome = Answered | Refused | Broken


@dataclass(frozen=True)
class Fault:
    """How Claude answers a request for a stream, what becomes of it, and the same for one without."""

    streamed: Step
    then: Outcome
    whole: Step
    then_whole: Outcome


JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream"}
HTML = {"content-type": "text/html"}
OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
HALF = b'{"type":"message","id":"msg_1","content":[{"type":"text","te'

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5-5",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
    "usage": {"input_tokens": 10, "output_tokens": 1},
}
WHOLE = orjson.dumps({**MESSAGE, "content": [{"type": "text", "text": "begun"}], "stop_reason": "end_turn"})
START = sse("message_start", message=MESSAGE).raw
BEGUN = START + block_start("text").raw + text_delta("begun").raw
END = (
    block_stop().raw
    + sse("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}).raw
    + sse("message_stop").raw
)
COMPLETE = BEGUN + END
TWO_BYTES_AND_MORE = "grüße, 世界, 🙂🙃"
LONG = "a long line " * 100_000

BOMB = gzip.compress(b"data: " + bytes(40 * 2**20))
"""40 KB that hold 40 MB."""

UNREACHABLE = "cgw cannot reach"
BROKE = "broke before the answer was complete"
BROKEN_OFF = "broke off before its end"
WRONG = "ANTHROPIC_BASE_URL"
NONSENSE = "makes no sense"


def both(step: Step, outcome: Outcome) -> Fault:
    return Fault(step, outcome, step, outcome)


FAULTS: dict[str, Fault] = {
    # what Claude says itself
    "too fast": both(Failure(429, retry_after=0), Refused(429, 3)),
    "too fast, come back tomorrow": both(Failure(429, retry_after=86_400), Refused(429)),
    "broken inside": both(Failure(500), Refused(500, 3)),
    "overloaded": both(Failure(529), Refused(529, 3)),
    "a key that is not accepted": both(Failure(401), Refused(401)),
    "overloaded inside a 200": Fault(
        Answer("never", error_after=0), Refused(529, 3), Raw(OVERLOADED, headers=JSON), Refused(529, 3)
    ),
    "overloaded before the content": Fault(
        Answer("never", error_after=1), Refused(529, 3, estimated=True), Failure(529), Refused(529, 3)
    ),
    "overloaded in mid-stream": Fault(
        Answer("begun and more of it", delta_chars=5, error_after=4), Broken(529), Failure(529), Refused(529, 3)
    ),
    # connections that break
    "reset before the head": both(Raw(None, ending="reset"), Refused(502, 3, UNREACHABLE)),
    "closed before the head": both(Raw(None, ending="cut"), Refused(502, 3, UNREACHABLE)),
    "reset behind the head": Fault(
        Raw(ending="reset"),
        Refused(502, 3, BROKE, estimated=True),
        Raw(headers=JSON, ending="reset"),
        Refused(502, 3, BROKE, estimated=True),
    ),
    "closed behind the head": Fault(
        Raw(ending="cut"),
        Refused(502, 3, BROKE, estimated=True),
        Raw(headers=JSON, ending="cut"),
        Refused(502, 3, BROKE, estimated=True),
    ),
    "reset in mid-stream": Fault(
        Raw(BEGUN, ending="reset"),
        Broken(says=BROKE),
        Raw(HALF, headers=JSON, ending="reset"),
        Refused(502, 3, BROKE, estimated=True),
    ),
    "closed in mid-stream": Fault(
        Raw(BEGUN, ending="cut"),
        Broken(says=BROKE),
        Answer("begun", cut_after=30),
        Refused(502, 3, BROKE, estimated=True),
    ),
    "an end that comes too soon": Fault(
        Raw(BEGUN), Broken(says=BROKEN_OFF), Raw(HALF, headers=JSON), Refused(502, says=WRONG)
    ),
    "an event cut in two": Fault(
        Raw(BEGUN + END[:30]), Broken(says=BROKEN_OFF), Raw(WHOLE[:-1], headers=JSON), Refused(502, says=WRONG)
    ),
    "nothing at all": Fault(
        Raw(), Refused(502, 3, BROKEN_OFF, estimated=True), Raw(headers=JSON), Refused(502, says=WRONG)
    ),
    # answers of somebody else
    "another content type": both(Raw(b"<title>Log in</title>", headers=HTML), Refused(502, says=WRONG)),
    "the other form": Fault(
        Raw(WHOLE, headers=JSON), Refused(502, says=WRONG), Raw(COMPLETE, headers=SSE), Refused(502, says=WRONG)
    ),
    "a redirect": both(Raw(status=302, headers={"location": "http://127.0.0.1:1/"}), Refused(502, says="redirects")),
    "a page of a proxy": both(
        Raw(b"<title>Bad Gateway</title>", 502, HTML), Refused(502, 3, "not Claude's API: Bad Gateway")
    ),
    "text under the right content type": Fault(
        Raw(b"hello\n\nthis is none\n\n"),
        Refused(502, 3, BROKEN_OFF, estimated=True),
        Raw(b"hello", headers=JSON),
        Refused(502, says=WRONG),
    ),
    "bytes that are not gzip": Fault(
        Raw(b"not gzip", headers={**SSE, "content-encoding": "gzip"}),
        Refused(502, 3, BROKE, estimated=True),
        Raw(b"not gzip", headers={**JSON, "content-encoding": "gzip"}),
        Refused(502, 3, BROKE, estimated=True),
    ),
    "a bomb of gzip": Fault(
        Raw(BOMB, headers={**SSE, "content-encoding": "gzip"}),
        Refused(502, 3, "bytes", estimated=True),
        Raw(BOMB, headers={**JSON, "content-encoding": "gzip"}),
        Refused(502, 3, "bytes came", estimated=True),
    ),
    "a refusal that is a bomb": both(Raw(BOMB, 500, {**JSON, "content-encoding": "gzip"}), Refused(500, 3)),
    # answers that make no sense
    "a first event that is no JSON": Fault(
        Raw(b"event: message_start\ndata: {nope\n\n"),
        Refused(502, says=NONSENSE, estimated=True),
        Raw(b"{nope", headers=JSON),
        Refused(502, says=WRONG),
    ),
    "a message that is a number": Fault(
        Raw(b'event: message_start\ndata: {"type":"message_start","message":7}\n\n'),
        Refused(502, says=NONSENSE, estimated=True),
        Raw(b"7", headers=JSON),
        Refused(502, says=WRONG),
    ),
    "counters that count nothing": Fault(
        Raw(
            sse("message_start", message={**MESSAGE, "usage": {"input_tokens": "x", "output_tokens": -1}}).raw
            + COMPLETE[len(START) :]
        ),
        Answered("begun"),
        Raw(orjson.dumps({**orjson.loads(WHOLE), "usage": {"input_tokens": -5, "cache_creation": 3}}), headers=JSON),
        Answered("begun"),
    ),
    # not broken at all
    "one byte at a time": both(Answer(TWO_BYTES_AND_MORE, chunk_sizes=(1,)), Answered(TWO_BYTES_AND_MORE)),
    "characters cut in two": both(
        Answer(TWO_BYTES_AND_MORE, delta_chars=1, chunk_sizes=(7, 2, 3)), Answered(TWO_BYTES_AND_MORE)
    ),
    "a line of a megabyte": Fault(
        Raw(START + block_start("text").raw + text_delta(LONG).raw + END),
        Answered(LONG),
        Raw(WHOLE.replace(b"begun", LONG.encode()), headers=JSON),
        Answered(LONG),
    ),
    "lines that end in CRLF": Fault(
        Raw(COMPLETE.replace(b"\n", b"\r\n"), chunk_sizes=(5,)), Answered("begun"), Answer("begun"), Answered("begun")
    ),
    "comments and events of tomorrow": Fault(
        Raw(b": hello\n\n" + BEGUN + sse("event_of_tomorrow", hologram=1).raw + b": bye\n\n" + END),
        Answered("begun"),
        Answer("begun"),
        Answered("begun"),
    ),
    "gzip that nobody asked for": Fault(
        Raw(gzip.compress(COMPLETE), headers={**SSE, "content-encoding": "gzip"}, chunk_sizes=(9,)),
        Answered("begun"),
        Raw(gzip.compress(WHOLE), headers={**JSON, "content-encoding": "gzip"}, chunk_sizes=(9,)),
        Answered("begun"),
    ),
}

STALLS: dict[str, Fault] = {
    "a head that does not come": both(Answer("late", first_byte_after=3600), Refused(502, 3, "in time")),
    "a stream that stands still": Fault(
        Answer("begun and more", delta_chars=5, silent_after=4),
        Broken(says=BROKE),
        Answer("late", head_early=True, first_byte_after=3600),
        Refused(502, 3, BROKE, estimated=True),
    ),
}


class Heard(NamedTuple):
    """What a client was told."""

    status: int
    headers: dict[str, str]
    text: str
    error: dict[str, Any] | None
    """In the body or at the end of the stream."""
    whole: bool
    """Whether the dialect's own end came."""


class Rows(dict[str, LedgerRow]):
    """What the ledger was given, by request."""

    def wait_for(self, request_id: str) -> LedgerRow:
        for _ in range(3000):
            if request_id in self:
                return self[request_id]
            time.sleep(0.01)
        raise TimeoutError(request_id)


@pytest.fixture(scope="module", autouse=True)
def rows() -> Iterator[Rows]:
    rows = Rows()
    add = LedgerWriter.add

    def also_here(writer: LedgerWriter, row: LedgerRow) -> None:
        rows[row.id] = row
        add(writer, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LedgerWriter, "add", also_here)
        patch.setattr(retries, "FIRST_SECONDS", 0.001)
        yield rows


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    # A fault that takes a slow machine ten seconds is told with the status that it has, and not behind a comment.
    given = {"retry_enabled": True, "ping_seconds": 300}
    with RunningSidecar(tmp_path_factory.mktemp("home"), running_simulator, **given) as sidecar:
        yield sidecar


@pytest.fixture(scope="module")
def impatient(
    tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator
) -> Iterator[RunningSidecar]:
    home = tmp_path_factory.mktemp("impatient")
    with RunningSidecar(home, running_simulator, retry_enabled=True, upstream_timeout_seconds=0.5) as sidecar:
        yield sidecar


def ask(sidecar: RunningSidecar, path: str, *, stream: bool) -> Heard:
    body = {
        "model": "claude-sonnet-5-5",
        "max_tokens": 50_000,
        "stream": stream,
        "messages": [{"role": "user", "content": "hello"}],
    }
    with httpx2.Client(base_url=sidecar.url, headers={"x-api-key": sidecar.key}, timeout=60) as client:
        answer = client.post(path, json=body)
    status, headers = answer.status_code, dict(answer.headers)
    if not stream or status != 200:
        assert headers["content-type"] == "application/json"
        told = answer.json()
        error = told.get("error")
        return Heard(status, headers, "" if error else _text(path, told), error, whole=error is None)
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    return _heard(path, status, headers, answer.content)


def _heard(path: str, status: int, headers: dict[str, str], content: bytes) -> Heard:
    text, error, whole = "", None, False
    for event in EventSplitter().feed(content):
        assert error is None, "nothing comes behind an error"
        if event.data in (b"[DONE]", b'{"type":"message_stop"}'):
            whole = True
        elif event.data:
            told = orjson.loads(event.data)
            error = told.get("error")
            text += _delta(path, told)
    return Heard(status, headers, text, error, whole)


def _text(path: str, told: dict[str, Any]) -> str:
    text: str = told["choices"][0]["message"]["content"] if path == CHAT else told["content"][0]["text"]
    return text


def _delta(path: str, told: dict[str, Any]) -> str:
    if path == CHAT:
        return "".join(choice["delta"].get("content") or "" for choice in told.get("choices", ()))
    return told["delta"]["text"] if told["type"] == "content_block_delta" else ""


def check_error(path: str, error: dict[str, Any] | None, outcome: Refused | Broken) -> None:
    assert error is not None
    assert outcome.says in error["message"]
    if path == CHAT:
        assert set(error) == {"message", "type", "param", "code"}
    else:
        assert error["type"] == KIND_OF_STATUS.get(outcome.status, "api_error")


def check(sidecar: RunningSidecar, claude: Simulator, rows: Rows, fault: Fault, path: str, *, stream: bool) -> None:
    step, outcome = (fault.whole, fault.then_whole) if path == NATIVE and not stream else (fault.streamed, fault.then)
    claude.script(*[step] * 5)
    heard = ask(sidecar, path, stream=stream)
    row = rows.wait_for(heard.headers["x-request-id"])
    match outcome:
        case Answered(text, calls):
            assert (heard.status, heard.text, heard.whole) == (200, text, True)
            assert (row.status, row.error_class, row.cancelled) == (200, None, False)
        case Refused(status, calls):
            assert heard.status == (CHAT_STATUS.get(status, status) if path == CHAT else status)
            check_error(path, heard.error, outcome)
            assert (row.status, row.estimated) == (status, outcome.estimated)
        case Broken(status, _, text):
            calls = 1
            assert heard.status == (200 if stream else CHAT_STATUS.get(status, status))
            assert heard.text == (text if stream else "")
            assert not heard.whole
            check_error(path, heard.error, outcome)
            assert (row.status, row.estimated) == (status, True)
            assert row.input_tokens
            assert row.output_tokens
    assert (len(claude.ledger.messages), row.retries) == (calls, calls - 1)


@WAYS
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_becomes_of_a_fault(
    steady: RunningSidecar, claude: Simulator, rows: Rows, fault: Fault, path: str, stream: bool
) -> None:
    check(steady, claude, rows, fault, path, stream=stream)


@WAYS
@pytest.mark.parametrize("fault", STALLS.values(), ids=STALLS)
def test_what_becomes_of_a_silence(
    impatient: RunningSidecar, claude: Simulator, rows: Rows, fault: Fault, path: str, stream: bool
) -> None:
    check(impatient, claude, rows, fault, path, stream=stream)
