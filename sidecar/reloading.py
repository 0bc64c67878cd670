"""New settings for a running sidecar: a second gateway is made from them beside the first, takes every request from
then on, and the first one ends with its last answer. So nothing that runs is disturbed, and settings that cannot be
used change nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.types import Receive, Scope, Send

from sidecar.config import Settings, environment_name
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.user_errors import UserError

log = logging.getLogger(__name__)

NEED_A_RESTART: Final = (
    "host",
    "port",
    "intercept",
    "intercept_port",
    "intercept_hosts",
    "intercept_subscriptions",
)
"""What is bound when the process starts."""

MakeApp = Callable[[Settings], AbstractAsyncContextManager[Starlette]]


class _Generation:
    """One gateway, made from one set of settings, in a task of its own."""

    def __init__(self, settings: Settings, make: MakeApp) -> None:
        self.settings: Final = settings
        self.requests = 0
        """At work."""
        self._make = make
        self._retired = False
        self._app: asyncio.Future[Starlette] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()
        self.task: Final = asyncio.create_task(self._live(), name="one set of settings")

    async def app(self) -> Starlette:
        """Raises what `make` does."""
        return await self._app

    @property
    def made(self) -> Starlette | None:
        """It, where it is there already."""
        return self._app.result() if self._app.done() else None

    @property
    def hooks(self) -> State:
        return self._app.result().state

    def retire(self, *, at_once: bool = False) -> None:
        """End with the last request that is at work, or without waiting for it."""
        self._retired = True
        if at_once or not self.requests:
            self._over.set()

    def enter(self) -> None:
        self.requests += 1

    def leave(self) -> None:
        self.requests -= 1
        if self._retired and not self.requests:
            self._over.set()

    async def _live(self) -> None:
        try:
            async with self._make(self.settings) as app:
                self._app.set_result(app)
                await self._over.wait()
        except BaseException as error:
            if self._app.done():
                raise
            self._app.set_exception(error)


class Reloadable:
    """The ASGI application of a sidecar whose settings may change. Use as an async context manager."""

    def __init__(self, settings: Settings, make: MakeApp, read: Callable[[], Settings] | None = None) -> None:
        """`make` is told of settings to use; `read` reads them anew, and raises UserError."""
        self._make = make
        self._read = read
        self._first = settings
        self._generations: list[_Generation] = []
        self._changing = asyncio.Lock()
        self.state = State(
            {
                "on_ready": [lambda: self._tell_all("on_ready")],
                "on_stopping": [self._stopping],
                "on_cut": [lambda: self._tell_all("on_cut")],
                "on_followed": [lambda: self._tell_all("on_followed")],
            }
        )

    async def __aenter__(self) -> Reloadable:
        await self._begin(self._first)
        return self

    async def __aexit__(self, *_: object) -> None:
        for generation in self._generations:
            generation.retire(at_once=True)
        await asyncio.gather(*(generation.task for generation in self._generations))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        generation = self._generations[-1]
        generation.enter()
        try:
            await (generation.made or await generation.app())(scope, receive, send)
        finally:
            generation.leave()

    @property
    def settings(self) -> Settings:
        return self._generations[-1].settings

    async def reload(self) -> Json:
        """Read the settings anew and use them: `applied` are those that changed and hold from now on, `restart` those
        that changed and wait for one. Raises GatewayError (400) for settings that cannot be used."""
        async with self._changing:
            assert self._read is not None
            before = self.settings
            try:
                wanted = await asyncio.to_thread(self._read)
                changed = [name for name in Settings.model_fields if getattr(wanted, name) != getattr(before, name)]
                fixed = _bound(before)
                applied = [name for name in changed if name not in fixed]
                if applied:
                    await self._begin(wanted.model_copy(update={name: getattr(before, name) for name in fixed}))
            except UserError as error:
                log.warning("The settings stay as they are: %s", error)
                raise GatewayError("invalid_request_error", f"The settings stay as they are: {error}") from error
        told = {"applied": _named(applied), "restart": _named(name for name in changed if name in fixed)}
        log.info("Settings were read anew; changed: %s", ", ".join([*told["applied"], *told["restart"]]) or "none")
        return told

    async def _begin(self, settings: Settings) -> None:
        generation = _Generation(settings, self._make)
        await generation.app()
        if self._generations:
            _tell(self._generations[-1], "on_followed")
            await asyncio.to_thread(self._generations[-1].hooks.flush)  # what it wrote, the new one can read
        self._generations.append(generation)
        for earlier in self._generations[:-1]:
            _tell(earlier, "on_stopping")  # whoever watches it comes to the new one
            earlier.retire()
        self._generations = [kept for kept in self._generations if not kept.task.done()]

    def _stopping(self) -> None:
        self._tell_all("on_stopping")

    def _tell_all(self, moment: str) -> None:
        for generation in self._generations:
            _tell(generation, moment)


def _tell(generation: _Generation, moment: str) -> None:
    if not generation.task.done():
        for listener in getattr(generation.hooks, moment, ()):
            listener()


def _bound(settings: Settings) -> tuple[str, ...]:
    """An interceptor was given the key when it started."""
    return (*NEED_A_RESTART, "gateway_api_key") if settings.intercept else NEED_A_RESTART


def _named(fields: Iterable[str]) -> list[str]:
    return [environment_name(name) or f"[{name}]" for name in fields]
