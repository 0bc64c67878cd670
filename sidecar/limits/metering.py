"""Projects, limits and budgets of one running sidecar, put together and kept fresh.

The database is opened and read in threads: SQLAlchemy's import alone takes half a second, which no start waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sidecar.config import Settings
from sidecar.exchange import Json
from sidecar.limits.budgets import Budgets, Spending
from sidecar.limits.limiter import Limiter
from sidecar.limits.shared_windows import SharedWindows
from sidecar.limits.toll import Toll
from sidecar.limits.windows import Minutes
from sidecar.models.catalogue import Catalogue
from sidecar.projects.directory import Directory
from sidecar.projects.project import StoredProject

if TYPE_CHECKING:
    from sidecar.ledger.database import Database


class LazyDatabase:
    """The ledger's database, opened by the first thread that needs it."""

    def __init__(self, url: str | None, home: Path) -> None:
        self._url = url
        self._home = home
        self._opening = Lock()
        self._database: Database | None = None

    def __call__(self) -> Database:
        """Blocks. Raises ValueError for a URL that is no database's."""
        from sidecar.ledger.database import Database

        with self._opening:
            if self._database is None:
                self._database = Database.open(self._url, self._home)
            return self._database

    def projects(self) -> list[StoredProject]:
        """Blocks; raises whatever the database does."""
        from sidecar.projects.store import ProjectStore

        return ProjectStore(self()).all()

    def spending(self, since: date) -> Spending:
        """Blocks; raises whatever the database does."""
        from sidecar.ledger.queries import spent_by_day

        return spent_by_day(self(), since=since)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()


@dataclass(frozen=True, slots=True)
class Metering:
    directory: Directory
    limiter: Limiter
    toll: Toll
    budgets: Budgets
    parts: Mapping[str, Directory | Budgets | SharedWindows]
    """By the name that health has for them."""

    def warnings(self) -> list[str]:
        """What does not work as it should right now, a sentence each."""
        return [part.warning for part in self.parts.values() if part.warning]

    def health(self) -> dict[str, Json]:
        """`state` is `ok`, `starting` or `degraded`: the last known or the local counts go on then."""
        return {
            name: {"state": "degraded" if part.warning else "ok" if part.up else "starting", "error": part.warning}
            for name, part in self.parts.items()
        }


@asynccontextmanager
async def metering(
    settings: Settings,
    database: LazyDatabase,
    *,
    catalogue: Catalogue,
    flush: Callable[[], bool],
    minutes: Minutes,
) -> AsyncIterator[Metering]:
    """Everything runs while the block does. `flush`: see `Budgets`, `minutes`: `Limiter`.

    Raises ValueError for a REDIS_URL that is none.
    """
    shared = SharedWindows(settings.redis_url.get_secret_value()) if settings.redis_url else None
    directory = Directory(database.projects, several=settings.enable_multi_project)
    budgets = Budgets(database.spending, flush=flush)
    rpm = settings.rate_limit_rpm if settings.rate_limit_enabled else None
    limiter = Limiter(budgets, rpm=rpm, shared=shared, minutes=minutes)
    toll = Toll(directory, limiter, budgets, catalogue=catalogue)
    parts: dict[str, Directory | Budgets | SharedWindows] = {"projects": directory, "budgets": budgets}
    if shared is not None:
        parts["redis"] = shared
    tasks = [asyncio.create_task(part.run(), name=f"keep the {name} fresh") for name, part in parts.items()]
    try:
        yield Metering(directory, limiter, toll, budgets, parts)
    finally:
        await limiter.close()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.to_thread(database.close)
