"""A sidecar in front of a simulated Claude, both in one simulated time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import aiohttp
import orjson

from sidecar.commands.in_process import sidecar_in_process
from sidecar.config import Settings
from sidecar.exchange import Json
from sidecar.home import Home
from sidecar.own_requests import CLOCK_HEADER
from sidecar.replay.sessions import Session, Turn
from sidecar.simulator.answers import Answer
from sidecar.simulator.ledger import Row
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import DEFAULT_KEY, Simulator
from sidecar.simulator.simulator import Turn as SimulatedTurn

PATHS: Final = {
    "openai_chat": "/v1/chat/completions",
    "openai_completions": "/v1/completions",
    "openai_responses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}
ALWAYS: Final[Mapping[str, object]] = {"test_clock": True, "rate_limit_enabled": False, "prometheus_enabled": False}
ONE_DELTA: Final = 1 << 30
"""Characters: nobody watches how an answer of a replay streams."""


class RefusedError(Exception):
    """A request was not answered; the message says by whom and why."""


class WatchedClaude(Simulator):
    """A simulated Claude that shows how it read its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 0.0
        """Now, in seconds since the epoch, but for requests that say when they would have been sent."""
        self._turns: dict[int, SimulatedTurn] = {}
        """By the number of their row."""

    def accept(self, row: Row, workspace: str, *, counting: bool = False) -> SimulatedTurn:
        self.clock.set(float(row.headers.get(CLOCK_HEADER, self.moment)))
        self._turns[row.number] = turn = super().accept(row, workspace, counting=counting)
        return turn

    @property
    def heard(self) -> int:
        """How many messages it was asked for since `take`."""
        return len(self.ledger.messages)

    def take(self) -> list[tuple[Row, SimulatedTurn | None]]:
        """What it was asked for since the last `take`, in order; without a turn where it was refused."""
        rows = self.ledger.wait(self.heard)
        turns, self._turns = self._turns, {}
        self.ledger.clear()
        return [(row, turns.get(row.number)) for row in rows]


class Stage:
    """Use as an async context manager; nothing can be asked before `start`."""

    def __init__(self, home: Home, claude: WatchedClaude | None = None) -> None:
        self.claude = claude or WatchedClaude()
        self._home = home
        self._stack = AsyncExitStack()
        self._sidecar = AsyncExitStack()
        """Ends before the rest, and may end and begin again."""
        self._client: aiohttp.ClientSession
        self._claude_url = self._url = self._key = ""

    async def __aenter__(self) -> Self:
        self._claude_url = self._stack.enter_context(RunningSimulator(simulator=self.claude)).url
        self._client = await self._stack.enter_async_context(aiohttp.ClientSession(trust_env=False))
        self._stack.push_async_callback(self._sidecar.aclose)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The sidecar's ledger is complete afterwards."""
        await self._stack.aclose()

    async def start(self, settings: Mapping[str, object]) -> None:
        """Start the sidecar with these settings, once the one before has stopped: both use the same home."""
        await self._sidecar.aclose()
        self._key = self._home.gateway_key()
        own = {
            "anthropic_base_url": self._claude_url,
            "anthropic_api_key": DEFAULT_KEY,
            "gateway_api_key": self._key,
        }
        chosen = Settings.model_validate({**ALWAYS, **settings, **own})
        self._url, _ = await self._sidecar.enter_async_context(sidecar_in_process(chosen, self._home))

    async def ask(self, session: Session, turn: Turn, model: str, answer: list[Json], at: float) -> str:
        """Send a request of a session at the moment `at` and let Claude answer as recorded; the sidecar's id of it.

        Raises RefusedError.
        """
        scripted = _answer(answer)
        self.claude.scripted.default = lambda _: scripted
        self.claude.moment = at
        headers = {
            **session.headers,
            "authorization": f"Bearer {self._key}",
            "content-type": "application/json",
            CLOCK_HEADER: f"{at:.3f}",
        }
        body = orjson.dumps({**turn.body, "model": model})
        async with self._client.post(self._url + PATHS[session.dialect], data=body, headers=headers) as response:
            told = await response.read()
            if response.status >= 400:
                raise RefusedError(f"{response.status}: {told.decode(errors='replace')[:300]}")
            return response.headers["x-request-id"]


def _answer(blocks: list[Json]) -> Answer:
    """What is blank in a recording was a call or nothing; Claude says no empty text."""
    said = tuple(block for block in blocks if block["type"] != "text" or block["text"].strip())
    calls = any(block["type"] == "tool_use" for block in said)
    return Answer(said or "Done.", stop_reason="tool_use" if calls else "end_turn", delta_chars=ONE_DELTA)
