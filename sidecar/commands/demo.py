"""`cgw demo`: a real sidecar in front of the simulated Claude, and an editor session played through it."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from decimal import Decimal
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from sidecar.commands.demo_editor import MODEL, Editor, Reply
from sidecar.commands.demo_session import SESSION, TOOLS, Turn
from sidecar.commands.in_process import sidecar_in_process
from sidecar.config import Settings
from sidecar.home import Home
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator

MICRO = 1_000_000
INDENT = "   "


def play(console: Console) -> bool:
    """The session as text, as fast as it goes; whether every request was answered."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    replies: list[Reply] = []
    with tempfile.TemporaryDirectory(prefix="cgw-demo-") as folder, RunningSimulator() as claude:
        claude.simulator.script(*(Answer(turn.answer) for turn in SESSION))
        try:
            asyncio.run(_play(console, Home(Path(folder) / "home"), claude, replies))
        except KeyboardInterrupt:
            console.print("Stopped.")
    return len(replies) == len(SESSION) and not any(reply.error for reply in replies)


async def _play(console: Console, home: Home, claude: RunningSimulator, replies: list[Reply]) -> None:
    async with sidecar_in_process(demo_settings(claude), home) as (url, _):
        console.print(
            f"cgw listens on {url}, a simulated Claude on {claude.url}. No key, no network.\n", soft_wrap=True
        )
        async with aiohttp.ClientSession(trust_env=False) as session:
            await _session(console, Editor(session, f"{url}/v1", home.gateway_key()), replies)
        _summary(console, replies, claude.simulator.ledger.totals.cost)


def demo_settings(claude: RunningSimulator) -> Settings:
    """The defaults, in front of the simulator; nothing of the user's own."""
    return Settings.model_validate({"anthropic_base_url": claude.url, "anthropic_api_key": claude.api_key})


async def _session(console: Console, editor: Editor, replies: list[Reply]) -> None:
    for number, turn in enumerate(SESSION, start=1):
        editor.add(turn)
        _show_request(console, number, turn, replies, len(editor.messages))
        console.print(INDENT, end="")
        reply = await editor.ask(
            lambda text: console.print(
                text.replace("\n", f"\n{INDENT}"), end="", style="cyan", markup=False, soft_wrap=True
            )
        )
        replies.append(reply)
        _show_reply(console, reply)
        if reply.error:
            return


def _show_request(console: Console, number: int, turn: Turn, replies: list[Reply], messages: int) -> None:
    brought = [f"You: {turn.says}"] if turn.says else []
    if turn.results:
        brought += [f"{name}: {result.gist}" for name, result in zip(replies[-1].names, turn.results, strict=True)]
    console.print(f"{number}. " + f"\n{INDENT}".join(brought), style="bold", markup=False, soft_wrap=True)
    console.print(
        f"{INDENT}POST /v1/chat/completions, model {MODEL}, {messages} messages, {len(TOOLS)} tools, streamed",
        style="dim",
        markup=False,
        soft_wrap=True,
    )


def _show_reply(console: Console, reply: Reply) -> None:
    if reply.text:
        console.print(f"\n{INDENT}", end="")
    for call in reply.calls:
        arguments = call["function"]["arguments"]
        short = arguments if len(arguments) <= 60 else arguments[:60] + "..."
        console.print(f"-> {call['function']['name']} {short}\n{INDENT}", end="", markup=False, soft_wrap=True)
    told = reply.error or (
        f"{reply.model}: {reply.prompt_tokens:,} tokens in, {reply.completion_tokens:,} out, "
        f"first byte {reply.first_byte:.2f} s, whole {reply.whole:.2f} s"
    )
    console.print(f"{told}\n", style="red" if reply.error else "dim", markup=False, soft_wrap=True)


def _summary(console: Console, replies: list[Reply], cost: Decimal) -> None:
    """Only what is known: the tokens that the answers carried, times as measured, and the simulator's own bill."""
    table = Table("Request", "Answer", title="The session", title_justify="left", show_footer=True)
    total = Reply(
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        cached_tokens=sum(reply.cached_tokens for reply in replies),
        completion_tokens=sum(reply.completion_tokens for reply in replies),
    )
    numbers = (
        ("In", f"{total.prompt_tokens:,}"),
        ("Cached", f"{total.cached_tokens:,}"),
        ("Out", f"{total.completion_tokens:,}"),
        ("First byte", ""),
        ("Whole", f"{sum(reply.whole for reply in replies):.2f} s"),
    )
    for heading, footer in numbers:
        table.add_column(heading, footer, justify="right")
    for number, reply in enumerate(replies, start=1):
        table.add_row(
            str(number),
            "failed" if reply.error else ", ".join(reply.names) or "text",
            f"{reply.prompt_tokens:,}",
            f"{reply.cached_tokens:,}",
            f"{reply.completion_tokens:,}",
            f"{reply.first_byte:.2f} s",
            f"{reply.whole:.2f} s",
        )
    console.print(table)
    console.print(
        f"{len(replies)} requests; the simulated Claude bills ${(cost / MICRO).quantize(Decimal('0.0001'))} "
        "at Anthropic's list prices.",
        soft_wrap=True,
    )
