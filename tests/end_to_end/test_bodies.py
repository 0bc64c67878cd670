"""What is known of a conversation's earlier bodies changes no byte that reaches Claude."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from sidecar import intake
from sidecar.bodies import Bodies
from tests.support.in_process import KEY, InProcess

FILE = "\n".join(f"    line_{number} = call({number})  # of a file that is read again" for number in range(200))
TOOL = {"type": "object", "properties": {"path": {"type": "string"}}}
MARK = {"type": "ephemeral"}


def native(turn: int) -> dict[str, Any]:
    """A client that marks its newest message, so that the last request's end is another one now."""
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "Mend it."}]}]
    for number in range(turn):
        used = {"type": "tool_use", "id": f"toolu_{number}", "name": "read", "input": {"path": "a.py"}}
        result: dict[str, Any] = {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": f"{FILE}{number}"}
        if number == turn - 1:
            result["cache_control"] = MARK
        messages += [{"role": "assistant", "content": [used]}, {"role": "user", "content": [result]}]
    tools = [{"name": "read", "input_schema": TOOL}]
    return {"model": "sonnet", "messages": messages, "system": "Be brief.", "tools": tools, "max_tokens": 99}


def chat(turn: int) -> dict[str, Any]:
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Mend it."}]
    for number in range(turn):
        call = {"id": f"call {number}", "type": "function", "function": {"name": "fs.read", "arguments": "{}"}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call {number}", "content": f"{FILE}{number}"},
        ]
        if number % 2:
            messages += [{"role": "user", "content": f"Go on, {number}.", "name": "me"}]
    tools = [{"type": "function", "function": {"name": "fs.read", "parameters": TOOL}}]
    return {"model": "sonnet", "messages": messages, "tools": tools, "stream": turn % 4 == 3}


def responses(turn: int) -> dict[str, Any]:
    items: list[Any] = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Mend it."}]}]
    for number in range(turn):
        call = {"type": "function_call", "call_id": f"call_{number}", "name": "read", "arguments": "{}"}
        items += [call, {"type": "function_call_output", "call_id": f"call_{number}", "output": f"{FILE}{number}"}]
        if number % 2:
            items += [{"type": "message", "role": "user", "content": f"Go on, {number}."}]
    tools = [{"type": "function", "name": "read", "parameters": TOOL, "strict": False}]
    more = {"instructions": "Be brief.", "tools": tools, "store": False, "include": ["reasoning.encrypted_content"]}
    return {"model": "sonnet", **more, "input": items, "stream": turn % 4 == 3}


ASKED = {"/v1/messages": native, "/v1/chat/completions": chat, "/v1/responses": responses}
TURNS = [1, 2, 3, 4, 2, 3, 3, 5, 6, 7]
"""Of how many results each request is; some go back."""
OTHERWISE = {
    "/v1/messages": {"system": "Be long."},
    "/v1/chat/completions": {"max_tokens": 77},
    "/v1/responses": {"max_output_tokens": 77},
}
"""What the newest two say beside their conversation."""


@pytest.mark.parametrize("path", ASKED)
def test_claude_gets_the_same_bytes_whatever_was_known(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [orjson.dumps(ASKED[path](turn) | (OTHERWISE[path] if turn > 5 else {})) for turn in TURNS]
    known: list[bool] = []
    with InProcess(tmp_path / "one", enable_response_cache=False) as gateway:
        read = Bodies.read

        def heard(self: Bodies, *told: Any, **how: Any) -> Any:
            found = read(self, *told, **how)
            known.append(found.known is not None)
            return found

        monkeypatch.setattr(Bodies, "read", heard)
        sent = [asked(gateway, path, body) for body in bodies]
    assert known[2:4] == known[-2:] == [True, True]
    monkeypatch.setattr(intake, "Bodies", lambda: Bodies(most_memory=0))
    known.clear()
    with InProcess(tmp_path / "other", enable_response_cache=False) as gateway:
        assert [asked(gateway, path, body) for body in bodies] == sent
    assert not any(known)
    assert any(b"[cgw: " in one for one in sent), "the layers had something to do"


def asked(gateway: InProcess, path: str, body: bytes) -> bytes:
    answer = gateway.ask("POST", path, [(b"x-api-key", KEY.encode()), (b"host", b"127.0.0.1:4343")], body)
    assert answer.status == 200, answer.body
    return gateway.sent[0]
