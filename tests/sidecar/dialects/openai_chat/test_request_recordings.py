"""Sessions that other people recorded with real editors, played turn by turn."""

import gzip
import json
from pathlib import Path

import orjson
import pytest

from sidecar.dialects.openai_chat import decode
from tests.support.messages_requests import assert_claude_takes

TRACES = Path(__file__).parents[5] / "shared" / "traces"
MISSING = pytest.param(TRACES, marks=pytest.mark.skip(reason=f"NOT CHECKED: no recorded sessions in {TRACES}"))
SESSIONS = sorted(TRACES.glob("*.json.gz")) or [MISSING]


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_a_recorded_session_is_taken_whole_and_keeps_its_bytes_as_it_grows(path: Path):
    session = json.loads(gzip.decompress(path.read_bytes()))
    messages = session["messages"]
    before: list[bytes] = []
    head = b""
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or index == 0 or messages[index - 1]["role"] == "assistant":
            continue
        body = {"model": "claude-opus-5-5", "messages": messages[:index], "tools": session["tools"]}
        request = decode(body).request
        now = [orjson.dumps(turn) for turn in request["messages"]]
        assert now[: len(before)] == before
        if session["tools"]:
            new_head = orjson.dumps([request.get("tools"), request.get("system")])
            assert head in (b"", new_head)
            head = new_head
        before = now
    assert before, "the session holds no request"
    assert_claude_takes(decode({"model": "m", "messages": messages, "tools": session["tools"]}).request)
