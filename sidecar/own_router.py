"""A router of the user's own: a Python file with one function, `route`, that may name another model.

    def route(question):
        if question.client == "aider" and "sql" in question.words:
            return "opus"          # an alias or an id; None leaves it as it was proposed

It runs for every request whose model is cgw's to choose, but not inside a tool loop whose thinking is signed. What it
raises or answers too late, and a model that nobody knows or that may not be used, is told in the log and changes
nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Final

from sidecar.exchange import Json
from sidecar.routing.decide import Route
from sidecar.user_files import UserFileError, loaded

log = logging.getLogger(__name__)

FUNCTION: Final = "route"
PATIENCE_SECONDS: Final = 1.0
"""A request waits no longer for it."""
MOST_HANGING: Final = 4
"""Threads in which it may hang: with that many it is asked no more."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a router of the user's own is asked. Not to be changed: it is the request itself."""

    request: Json
    """As a request to Anthropic's Messages API."""
    words: str
    """The user's own newest words, in lower case: their beginning and their end."""
    client: str
    project: str
    conversation: str
    asked: str
    """The model that the client named."""
    proposal: Route
    """What the rules decided: `model`, `reason`, `lane`, `signals`, `costs`."""


Answer = str | None
RouteFunction = Callable[[Question], Answer | Awaitable[Answer]]


def load_router(path: Path) -> OwnRouter:
    """Raises UserFileError, one sentence."""
    with loaded("router", path) as module:
        found = getattr(module, FUNCTION, None)
        if not callable(found):
            raise UserFileError(f"--router {path}: it has no function `{FUNCTION}(question)`.")
        return OwnRouter(found)


class OwnRouter:
    """Belongs to the event loop, which its function does not hold up: that runs in a thread of its own."""

    def __init__(self, function: RouteFunction) -> None:
        self._function = function
        self._late: set[Future[Answer | Awaitable[Answer]]] = set()
        """Threads that were waited for in vain."""

    async def ask(self, question: Question) -> str | None:
        """The model it names; None for no other, and where it failed or took too long."""
        self._late = {one for one in self._late if not one.done()}
        if len(self._late) >= MOST_HANGING:
            return None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._run(question)
                if inspect.isawaitable(answer):
                    answer = await answer
        except TimeoutError:
            more = ", and is asked no more until it comes back" if len(self._late) >= MOST_HANGING else ""
            log.warning("your router gave no answer within %g s%s", PATIENCE_SECONDS, more)
            return None
        except (Exception, SystemExit):
            log.exception("your router failed; %s answers as the rules say", question.proposal.model)
            return None
        if answer is not None and not isinstance(answer, str):
            log.warning("your router answered with %s, which is no model's name", type(answer).__name__)
            return None
        return answer

    async def _run(self, question: Question) -> Answer | Awaitable[Answer]:
        if inspect.iscoroutinefunction(self._function):
            return self._function(question)
        future: Future[Answer | Awaitable[Answer]] = Future()
        future.set_running_or_notify_cancel()
        Thread(target=self._work, args=(question, future), name="your router", daemon=True).start()
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._late.add(future)
            raise

    def _work(self, question: Question, future: Future[Answer | Awaitable[Answer]]) -> None:
        try:
            future.set_result(self._function(question))
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- told in `ask`
            future.set_exception(error)
