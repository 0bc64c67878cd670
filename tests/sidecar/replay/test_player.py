"""A session is played through a real sidecar and a real simulator, and every figure is what the simulator billed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sidecar.home import Home
from sidecar.replay.pacing import calendar, every
from sidecar.replay.player import Arrived, Played, Player, UnknownModelError
from sidecar.replay.results import by_client, by_session
from sidecar.replay.sessions import Session, Turn

FILE = "\n".join(f"line {number} of a file that is read and read again" for number in range(120))
TOOLS = [{"type": "function", "function": {"name": "read_file", "parameters": {"type": "object", "properties": {}}}}]


def call(number: int) -> dict[str, Any]:
    function = {"name": "read_file", "arguments": json.dumps({"path": f"{number}.py"})}
    return {"id": f"call_{number}", "type": "function", "function": function}


def reading(turns: int, *, name: str = "one", client: str = "an editor") -> Session:
    """A session that reads the same file again and again."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You read files."},
        {"role": "user", "content": "Read them."},
    ]
    played = []
    for number in range(turns):
        answer = {"role": "assistant", "content": None, "tool_calls": [call(number)]}
        played.append(Turn({"messages": [*messages], "tools": TOOLS}, answer))
        messages += [answer, {"role": "tool", "tool_call_id": f"call_{number}", "content": f"{number}.py\n{FILE}"}]
    return Session(name, client, played)


def play(home: Path, *sessions: Session, seconds: float = 20.0, **more: Any) -> list[Played]:
    player = Player(Home(home), **more)
    asyncio.run(player.play(sessions, calendar(sessions, every(seconds))))
    return player.played


def test_each_request_is_billed_plain_cached_and_as_it_went(tmp_path: Path) -> None:
    sessions = [reading(4), reading(2, name="two", client="another editor")]
    arrived: list[Arrived] = []
    played = play(tmp_path, *sessions, arrived=arrived.append)
    assert [one.error for one in played] == [""] * 6
    assert [one.session for one in played] == [0, 0, 0, 0, 1, 1]
    assert all(0 < one.spent <= one.plain * Decimal("1.26") for one in played)
    assert played[3].automatic < played[3].plain / 2
    assert [(one.lost, one.prefix) for one in played] == [(0, "kept")] * 6
    assert all(one.overhead_ms is not None for one in played)
    assert [one.pause for one in arrived] == [20.0, 20.0, 20.0, float("inf"), 20.0, float("inf")]
    # Claude answered as recorded: what it said is what the next request brings.
    said = arrived[1].request["messages"][1]["content"][0]
    assert (said["type"], said["id"], said["input"]) == ("tool_use", "call_0", {"path": "0.py"})
    clients = by_client(sessions, played)
    assert [(line.key, line.sessions, line.requests) for line in clients] == [
        ("an editor", 1, 4),
        ("another editor", 1, 2),
        ("all", 2, 6),
    ]
    assert clients[-1].spent == sum(one.spent for one in played)
    assert [line.key for line in by_session(sessions, played)] == ["one", "two", "all"]


def test_time_is_simulated(tmp_path: Path) -> None:
    """Ten minutes pass between requests in no time: whatever lived five minutes is gone."""
    [first, second] = play(tmp_path, reading(2), seconds=600.0, settings={"cache_ttl": "5m"})
    assert first.automatic < second.automatic
    assert second.spent == second.automatic


def test_without_layers_cgw_costs_what_the_client_would_have_paid(tmp_path: Path) -> None:
    off = {
        "enable_anthropic_cache_control": False,
        "enable_file_hash_cache": False,
        "strip_ide_boilerplate": False,
        "enforce_diff_first": False,
        "prefix_repair": "off",
    }
    assert all(one.spent == one.plain for one in play(tmp_path, reading(3), settings=off))


def test_a_sidecar_can_be_started_anew_in_mid_conversation(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []

    def restart(session: int, turn: int) -> Mapping[str, object] | None:
        asked.append((session, turn))
        return {"reference_min_chars": 200} if turn == 2 else None

    played = play(tmp_path, reading(4), restart=restart)
    assert asked == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert not any(one.error or one.prefix == "broken" or one.lost for one in played)


def test_a_request_that_cgw_refuses_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    session = reading(2)
    odd = Turn({"messages": [{"role": "nobody", "content": "hello"}]}, None)
    played = play(tmp_path, Session("one", "an editor", [odd, *session.turns]))
    assert played[0].error
    assert not played[0].id
    line = by_client([session], played)[-1]
    assert (line.failed, line.requests) == (1, 2)


def test_a_model_that_the_simulator_cannot_bill_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="claude-opus-9"):
        play(tmp_path, reading(1), model="claude-opus-9")


def test_where_the_model_is_left_to_cgw_the_bill_is_of_the_one_that_answered(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Name a branch for: skip the header row. Only the name."}]
    naming = Session("naming", "a script", [Turn({"messages": messages, "max_tokens": 12}, None)])
    [routed] = play(tmp_path, naming, model="auto")
    assert routed.model == "claude-haiku-5-5"
    assert routed.reason
    assert 0 < routed.spent < routed.plain / 10
    assert 0 < routed.output < routed.output_as_asked / 10
