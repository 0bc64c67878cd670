"""Plays sessions and finds out what each request cost, would have cost, and what became of it on its way."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from sidecar.credentials import wire_headers
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.home import Home
from sidecar.models.catalogue import Catalogue
from sidecar.replay.audit import Outcome, Prefixes, characters_lost
from sidecar.replay.baselines import Cache, Plain, input_cost, output_cost, reading_of, uncached
from sidecar.replay.sessions import Session, Turn
from sidecar.replay.stage import RefusedError, Stage
from sidecar.simulator.ledger import Row
from sidecar.simulator.models import Model, find
from sidecar.simulator.prompt import PromptBlock, render
from sidecar.simulator.simulator import DEFAULT_KEY
from sidecar.simulator.simulator import Turn as SimulatedTurn
from sidecar.user_errors import UserError

DEFAULT_MODEL: Final = "claude-sonnet-5-5"


class UnknownModelError(UserError):
    """The simulator bills only models that it knows."""


@dataclass(slots=True)
class Played:
    """One request of a replay. Money in micro-dollars; without an id nothing but the error is known."""

    session: int
    """Which of the sessions, from 0."""
    id: str = ""
    """The sidecar's own, as its ledger has it."""
    error: str = ""
    model: str = ""
    """Who answered, as Claude's id: not always the model that was asked for."""
    reason: str = ""
    """Why that model, as the sidecar's ledger says."""
    plain: Decimal = Decimal(0)
    automatic: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)
    """What the prompt cost: uncached, with automatic caching, and with cgw (what cgw itself asked for included)."""
    output: Decimal = Decimal(0)
    """What the answer cost."""
    output_as_asked: Decimal = Decimal(0)
    """What it would have cost without cgw: the same, but for where cgw chose another model."""
    prefix: Outcome = "kept"
    """What became of what the request before had sent."""
    lost: int = 0
    """Characters."""
    saved: Mapping[str, Decimal] = field(default_factory=dict)
    """By layer, as the sidecar's ledger says."""
    overhead_ms: float | None = None
    """The sidecar's own time."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it arrived at Claude, for whoever wants to know what other markers would have cost."""

    request: Json
    blocks: list[PromptBlock]
    model: Model
    at: float
    pause: float
    """Seconds until the session's next request; infinite behind the last."""
    played: Played


@dataclass(slots=True)
class _Heard:
    """A request that was answered, and how many Claude had heard of by then."""

    played: Played
    meant: Json
    model: Model
    at: float
    pause: float
    until: int


class Player:
    """`played` has what was played so far, also where `play` was broken off."""

    def __init__(
        self,
        home: Home,
        *,
        model: str | None = None,
        settings: Mapping[str, object] | None = None,
        restart: Callable[[int, int], Mapping[str, object] | None] = lambda session, turn: None,
        arrived: Callable[[Arrived], None] = lambda arrived: None,
    ) -> None:
        """`model` is asked for in all requests; None asks for each session's own. With `restart` the sidecar is started
        anew before a request (number of the session and of the turn), with these settings over `settings`."""
        self.played: list[Played] = []
        self._home = home
        self._model = model
        self._settings = settings or {}
        self._restart = restart
        self._arrived = arrived
        self._catalogue = Catalogue()
        self._automatic = Cache()
        self._last: _Heard | None = None

    async def play(
        self,
        sessions: Sequence[Session],
        calendar: Sequence[Sequence[float]],
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        """Each session in turn, each request at its moment; `tell` is called after each. Raises UnknownModelError."""
        self._home.open()
        spoken = await wire_headers(DEFAULT_KEY, remembered=self._home.sdk_headers_file)
        plain = Plain(self._catalogue, spoken["anthropic-version"])
        try:
            async with Stage(self._home) as stage:
                await stage.start(self._settings)
                for number, session in enumerate(sessions):
                    await self._play(number, session, calendar[number], plain, stage, tell)
        finally:
            self._read_ledger()

    async def _play(
        self,
        number: int,
        session: Session,
        moments: Sequence[float],
        plain: Plain,
        stage: Stage,
        tell: Callable[[], None],
    ) -> None:
        heard: list[_Heard] = []
        try:
            for index, (turn, at, after) in enumerate(
                zip(session.turns, moments, [*moments[1:], float("inf")], strict=True)
            ):
                if (settings := self._restart(number, index)) is not None:
                    await stage.start({**self._settings, **settings})
                played = Played(number)
                self.played.append(played)
                asked, model = self._model_of(turn)
                try:
                    meant = plain.request(turn.body, session.dialect, model.id)
                    answer = plain.answer(turn, session.dialect)
                    played.id = await stage.ask(session, turn, asked, answer, at)
                except (GatewayError, RefusedError) as error:
                    played.error = str(error)
                else:
                    heard.append(_Heard(played, meant, model, at, after - at, stage.claude.heard))
                tell()
        finally:
            self._examine(heard, stage.claude.take())

    def _model_of(self, turn: Turn) -> tuple[str, Model]:
        """What is asked for, and the model that this means, as the simulator knows it. A name that leaves the model to
        the sidecar is asked for as it stands, and means who answers without routing: with that a replay compares."""
        name = self._model or turn.model or DEFAULT_MODEL
        meant = self._catalogue.resolve(name)
        if (model := find(meant.card.id)) is None:
            raise UnknownModelError(f"The simulated Claude knows no {meant.card.id}: choose another with --model.")
        return (model.id if meant.wish is None else name), model

    def _examine(self, heard: list[_Heard], rows: list[tuple[Row, SimulatedTurn | None]]) -> None:
        """Bills and checks the requests of one session. What cgw asked Claude by itself in a pause, and sent with the
        request that ended it, counts to the request before the pause."""
        prefixes = Prefixes()
        done = 0
        for one in heard:
            played, model = one.played, one.model
            meant = render(one.meant, model)
            played.plain = input_cost(model, uncached(sum(block.tokens for block in meant)))
            played.automatic = input_cost(model, self._automatic.automatic(one.meant, meant, model, one.at))
            if asked := rows[done : one.until]:  # else cgw had the answer already
                *before, (row, as_read) = asked
                assert as_read is not None, "Claude answers what it could read"
                played.model = as_read.model.id
                played.spent = self._bill_own(before) + input_cost(as_read.model, reading_of(row))
                played.output, played.output_as_asked = output_cost(as_read.model, row), output_cost(model, row)
                played.prefix = prefixes.look(meant, as_read.blocks, one.at)
                played.lost = characters_lost(one.meant, as_read.request)
                self._arrived(Arrived(as_read.request, as_read.blocks, as_read.model, one.at, one.pause, played))
            self._last, done = one, one.until
        self._bill_own(rows[done:])

    def _bill_own(self, rows: list[tuple[Row, SimulatedTurn | None]]) -> Decimal:
        """Bills those without output to the request before; gives what others cost, which are earlier attempts."""
        attempts = Decimal(0)
        for row, as_read in rows:
            if as_read is None:
                continue
            cost = input_cost(as_read.model, reading_of(row))
            if as_read.request["max_tokens"] or self._last is None:
                attempts += cost
            else:
                self._last.played.spent += cost
        return attempts

    def _read_ledger(self) -> None:
        """Takes savings, times and reasons from the sidecar's own books."""
        from sidecar.ledger.database import Database
        from sidecar.ledger.export import export
        from sidecar.ledger.queries import EVERY_PROJECT

        by_id = {played.id: played for played in self.played}
        exported = io.BytesIO()
        with closing(Database.open(None, self._home.path)) as database:
            database.migrate()
            export(database, exported, project=EVERY_PROJECT, file_format="jsonl")
        for line in exported.getvalue().splitlines():
            row: dict[str, Any] = json.loads(line, parse_float=Decimal)
            if (played := by_id.get(row["request_id"])) is not None:
                played.overhead_ms = None if row["overhead_ms"] is None else float(row["overhead_ms"])
                played.saved = _by_layer(row)
                played.reason = row["route_reason"]


def _by_layer(row: Mapping[str, Any]) -> dict[str, Decimal]:
    """Micro-dollars, of the columns `saved_LAYER_usd`."""
    return {
        name.removeprefix("saved_").removesuffix("_usd"): Decimal(saved) * 1_000_000
        for name, saved in row.items()
        if name.startswith("saved_") and name != "saved_usd" and saved
    }
