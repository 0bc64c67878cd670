"""The demo plays its whole session, by itself, without a key."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from sidecar.commands.demo import _summary
from sidecar.commands.demo_desks import DESKS, Claude, Desk, begun_anew
from sidecar.commands.demo_editor import Editor, Reply
from sidecar.commands.demo_session import SESSION, TOOLS, Turn
from sidecar.config import Settings, environment_name
from sidecar.simulator.answers import Answer, Failure, ToolCall
from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar

TOOL_NAMES = {tool["function"]["name"] for tool in TOOLS}


def calls_of(turn: Turn) -> list[ToolCall]:
    return [part for part in turn.answer if isinstance(part, ToolCall)]


def test_the_session_hangs_together() -> None:
    """Every call is of a tool that the editor offers, and every call's result comes back in the next request."""
    assert all(call.name in TOOL_NAMES for turn in SESSION for call in calls_of(turn))
    assert [len(turn.results) for turn in SESSION[1:]] == [len(calls_of(turn)) for turn in SESSION[:-1]]
    assert SESSION[0].says
    assert not calls_of(SESSION[-1])


@pytest.mark.parametrize("desk", DESKS, ids=lambda desk: desk.project)
def test_every_conversation_of_a_desk_hangs_together(desk: Desk) -> None:
    """The simulated Claude knows each by its first words, also when it is held once more."""
    claude = Claude([desk])
    for turns in desk.rounds:
        assert [len(turn.results) for turn in turns[1:]] == [len(calls_of(turn)) for turn in turns[:-1]]
        assert not calls_of(turns[-1])
        opening = begun_anew(turns[0], 3).says
        messages: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": opening}]}]
        for turn in turns:
            step = claude({"messages": messages})
            while isinstance(step, Failure):
                step = claude({"messages": messages})
            assert isinstance(step, Answer)
            assert step.content == turn.answer
            messages += [{"role": "assistant", "content": []}, {"role": "user", "content": []}]


def test_a_desk_offers_one_more_tool_from_some_turn_on() -> None:
    desk = next(desk for desk in DESKS if desk.new_tool_at is not None)
    assert desk.new_tool_at is not None
    before, after = desk.tools(desk.new_tool_at - 1, 0), desk.tools(desk.new_tool_at, 0)
    assert len(after) == len(before) + 1
    assert desk.tools(desk.new_tool_at, 1) != after, "else the cache would know it from the conversation before"


def test_without_a_terminal_it_ends_by_itself_with_a_summary_and_needs_nothing(tmp_path: Path) -> None:
    """A key and an address of the user's own must not be used, nor their home folder touched."""
    names = [environment_name(field) for field in Settings.model_fields]
    environ = {name: value for name, value in os.environ.items() if name not in names}
    environ |= {
        "CGW_HOME": str(tmp_path / "untouched"),
        "ANTHROPIC_API_KEY": "sk-ant-of-the-user",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        "NO_COLOR": "1",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "sidecar", "demo"],
        env=environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not (tmp_path / "untouched").exists()
    assert "\x1b[" not in ran.stdout
    assert f"{len(SESSION)} requests; the simulated Claude bills $0.0" in ran.stdout
    for turn in SESSION:
        assert turn.says is None or f"You: {turn.says}" in ran.stdout
        assert all(f"-> {call.name} " in ran.stdout for call in calls_of(turn))
    per_request = re.findall(r"claude-\S+: ([\d,]+) tokens in, ([\d,]+) out", ran.stdout)
    assert len(per_request) == len(SESSION)
    assert all(int(read.replace(",", "")) > 100 for read, _ in per_request)


async def test_the_editor_sends_results_in_the_order_of_the_calls_and_the_simulator_bills_what_is_shown(
    tmp_path: Path,
) -> None:
    with RunningSimulator() as claude, RunningSidecar(tmp_path, claude) as sidecar:
        claude.simulator.script(*(Answer(turn.answer) for turn in SESSION))
        replies = []
        async with aiohttp.ClientSession() as session:
            editor = Editor(session, f"{sidecar.url}/v1", sidecar.key)
            for turn in SESSION:
                editor.add(turn)
                replies.append(await editor.ask(lambda _: None))
        rows = claude.simulator.ledger.wait(len(SESSION))
        claude.simulator.script(Failure(400, "not like this"))
        async with aiohttp.ClientSession() as session:
            editor = Editor(session, f"{sidecar.url}/v1", sidecar.key)
            editor.add(SESSION[0])
            refused = await editor.ask(lambda _: None)
    assert [reply.error for reply in replies] == [None] * len(SESSION)
    assert [(reply.prompt_tokens, reply.completion_tokens) for reply in replies] == [
        (row.prompt_tokens, row.output_tokens) for row in rows
    ]
    assert refused.error is not None
    assert "not like this" in refused.error
    last = json.loads(rows[-1].body)
    results = [
        block["content"]
        for message in last["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "tool_result"
    ]
    assert len(results) == sum(len(turn.results) for turn in SESSION)


async def test_an_editor_whose_gateway_is_gone_says_so() -> None:
    async with aiohttp.ClientSession() as session:
        editor = Editor(session, "http://127.0.0.1:9/v1", "key")
        editor.add(SESSION[0])
        assert (await editor.ask(lambda _: None)).error


def test_the_summary_of_a_failed_session_says_failed() -> None:
    shown = io.StringIO()
    _summary(Console(file=shown, width=100), [Reply(error="500: broken")], Decimal(0))
    assert "failed" in shown.getvalue()
