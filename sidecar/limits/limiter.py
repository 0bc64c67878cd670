"""How much a project may ask for: requests and tokens a minute, dollars a day and a month.

Only what goes to Claude counts, so the counting happens at the very last moment before it does: an answer from a cache,
a joined request, a token count, a list of models or a request refused on the way was never counted, and there is
nothing to give back.

Within this process the counts are exact. With REDIS_URL they are the team's (`shared_windows`); what is counted there
is counted here too, so that losing Redis does not begin a fresh minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from sidecar.errors import GatewayError
from sidecar.exchange import Usage
from sidecar.limits.budgets import Budgets
from sidecar.limits.shared_windows import SharedStoreLostError, SharedWindows
from sidecar.limits.windows import Minutes, Window
from sidecar.projects.project import Project

CLOCKS_TICK: Final = 0.01
"""Seconds that are added to `Retry-After`, so that a client that keeps it exactly is not early by rounding."""

REQUESTS: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
TOKENS: Final = ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")
"""What is left of a limit: its size, the rest, and the seconds until all of it is there again."""


class Limiter:
    def __init__(
        self,
        budgets: Budgets,
        *,
        rpm: int | None,
        shared: SharedWindows | None = None,
        minutes: Minutes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rpm` is for projects that have none of their own; None turns requests and tokens a minute off for all, and
        leaves the budgets. `minutes` has what was counted before."""
        minutes = minutes or Minutes()
        self._budgets = budgets
        self._rpm = rpm
        self._shared = shared
        self._clock = clock
        self._requests = minutes.requests
        self._tokens = minutes.tokens
        self._seen: dict[str, tuple[Window, float]] = {}
        """The last word of Redis on a project's requests, and when it was."""
        self._reports: set[asyncio.Task[None]] = set()

    async def count(self, project: Project) -> None:
        """Count one request that is about to go to Claude.

        Raises GatewayError (429), and then counted nothing, when a limit is reached or a budget used up; 503 when a
        budget cannot be checked.
        """
        try:
            await self._budgets.check(project)
        except GatewayError:
            self._refuse_if_full(project)
            raise
        if (limit := self._tokens_a_minute(project)) is not None:
            tokens = await self._look_at_tokens(project.name, limit)
            if tokens.refused:
                raise _reached(project, tokens, "tokens", "--tpm")
        if (limit := self._requests_a_minute(project)) is not None:
            requests = await self._take(project.name, limit)
            if requests.refused:
                raise _reached(project, requests, "requests", "--rpm")

    def settle(self, project: Project, usage: Usage) -> None:
        """Count the tokens of an answer, but not those read from the prompt cache: nor does Anthropic."""
        tokens = usage.input_tokens + usage.cache_write_tokens + usage.output_tokens
        limit = self._tokens_a_minute(project)
        if limit is None or not tokens:
            return
        self._tokens[project.name].add(tokens, self._clock())
        if self._shared is not None and self._shared.up:
            self._report(self._add_tokens(self._shared, project.name, limit, tokens))

    def headers(self, project: Project) -> dict[str, str]:
        """What every answer tells a project about its limits; lower-case names, times in seconds."""
        headers: dict[str, str] = {}
        if (limit := self._requests_a_minute(project)) is not None:
            headers |= _told(REQUESTS, self._look(project.name, limit))
        if (limit := self._tokens_a_minute(project)) is not None:
            headers |= _told(TOKENS, self._tokens[project.name].look(limit, self._clock()))
        if warning := self._budgets.warning_for(project):
            headers["x-gateway-budget-warning"] = warning
        return headers

    async def close(self) -> None:
        """Let the last reports to Redis end."""
        if self._reports:
            await asyncio.wait(self._reports)

    def _requests_a_minute(self, project: Project) -> int | None:
        if self._rpm is None:
            return None
        return self._rpm if project.rpm is None else project.rpm or None

    def _tokens_a_minute(self, project: Project) -> int | None:
        return None if self._rpm is None else project.tpm

    def _refuse_if_full(self, project: Project) -> None:
        """Where a limit and a budget are reached, the limit is named: it is over sooner."""
        limit = self._requests_a_minute(project)
        if limit is not None and not (window := self._look(project.name, limit)).remaining:
            raise _reached(project, window, "requests", "--rpm")

    async def _take(self, name: str, limit: int) -> Window:
        if self._shared is not None and self._shared.up:
            try:
                window = await self._shared.take(name, limit)
            except SharedStoreLostError:
                self._seen.pop(name, None)
            else:
                now = self._clock()
                self._seen[name] = (window, now)
                if not window.refused:
                    self._requests[name].take(limit, now)
                return window
        return self._requests[name].take(limit, self._clock())

    def _look(self, name: str, limit: int) -> Window:
        """How much is left, without asking Redis: its last word, until its time is over."""
        now = self._clock()
        here = self._requests[name].look(limit, now)
        if self._shared is None or not self._shared.up or name not in self._seen:
            return here
        seen, at = self._seen[name]
        left = seen.reset - (now - at)
        if seen.limit != limit or left <= 0 or here.remaining < seen.remaining:
            return here
        return Window(limit, seen.remaining, left)

    async def _look_at_tokens(self, name: str, limit: int) -> Window:
        if self._shared is not None and self._shared.up:
            with contextlib.suppress(SharedStoreLostError):  # it has told the log, and the count goes on here
                return await self._shared.look_at_tokens(name, limit)
        return self._tokens[name].look(limit, self._clock())

    def _report(self, report: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(report)
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _add_tokens(self, shared: SharedWindows, name: str, limit: int, tokens: int) -> None:
        with contextlib.suppress(SharedStoreLostError):  # counted here already
            await shared.add_tokens(name, limit, tokens)


def _told(names: tuple[str, str, str], window: Window) -> dict[str, str]:
    limit, remaining, reset = names
    return {limit: str(window.limit), remaining: str(window.remaining), reset: str(_whole(window.reset))}


def _whole(seconds: float) -> int:
    return -int(-seconds // 1)


def _reached(project: Project, window: Window, what: str, option: str) -> GatewayError:
    seconds = window.reset + CLOCKS_TICK
    return GatewayError(
        "rate_limit_error",
        f"Project `{project.name}` has used its {window.limit:,} {what} a minute; more is left in {_whole(seconds)} s. "
        f"`cgw projects set {project.name} {option} N` changes the limit.",
        code="rate_limit_exceeded",
        retry_after=seconds,
    )
