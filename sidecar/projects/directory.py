"""The projects as the request path sees them: in memory, refreshed in the background, never a query in a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from sidecar.errors import GatewayError
from sidecar.projects.project import DEFAULT, Project, StoredProject, fingerprint

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 3.0
"""How soon a change by `cgw projects` is known here."""
PATIENCE_SECONDS: Final = 5.0
"""How long the first requests wait for the first reading."""


class Directory:
    """Closed on failure: with several projects nobody passes before they were read once. When their database is lost
    later, what was read last goes on.

    Without ENABLE_MULTI_PROJECT there is only `default`; until it was read it has the gateway's own limits.
    """

    def __init__(self, read: Callable[[], Iterable[StoredProject]], *, several: bool) -> None:
        """`read` blocks, and raises whatever its database does."""
        self._read = read
        self.several = several
        """ENABLE_MULTI_PROJECT."""
        self._projects: Mapping[str, Project] = {DEFAULT: Project(name=DEFAULT)}
        self._names: Mapping[str, str] = {}
        """Project names by their keys' fingerprints."""
        self._loaded = False
        self._tried = asyncio.Event()
        self.warning = ""
        """One sentence for everybody while the projects cannot be read; the reason is in the log."""

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        """Read the projects now: whoever changes one in this process calls this."""
        try:
            stored = list(await asyncio.to_thread(self._read))
        except Exception as error:  # noqa: BLE001 -- whatever a driver throws, the last reading goes on
            self._note(str(error) or type(error).__name__)
        else:
            self._projects = {DEFAULT: Project(name=DEFAULT)} | {row.project.name: row.project for row in stored}
            self._names = {row.key_sha256: row.project.name for row in stored if row.key_sha256}
            self._loaded = True
            self._note("")
        self._tried.set()

    @property
    def up(self) -> bool:
        """Whether the projects were read."""
        return self._loaded

    async def ready(self) -> None:
        """Returns once the projects are known. Raises GatewayError (503) while they never were."""
        if self._loaded:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), PATIENCE_SECONDS)
        if self.several and not self._loaded:
            raise GatewayError(
                "api_error",
                "The projects could not be read yet, and until then nobody is let in; cgw's log says why.",
                status=503,
                code="projects_unknown",
                retry_after=REFRESH_SECONDS,
            )

    def all(self) -> list[Project]:
        """Those that requests may be for, `default` first."""
        if not self.several:
            return [self._projects[DEFAULT]]
        return sorted(self._projects.values(), key=lambda project: (project.name != DEFAULT, project.name))

    def project(self, name: str) -> Project:
        """Raises GatewayError (404) for one that does not exist."""
        if (project := self._projects.get(name)) is None or not (self.several or name == DEFAULT):
            hint = (
                "`cgw projects list` shows which there are."
                if self.several
                else "Projects are off: start cgw with ENABLE_MULTI_PROJECT=1, or leave the project out."
            )
            raise GatewayError("not_found_error", f"There is no project `{name}`. {hint}", code="unknown_project")
        return project

    def named_by(self, key: str) -> str | None:
        """The project that this key is of."""
        return self._names.get(fingerprint(key))

    def _note(self, reason: str) -> None:
        if reason and not self.warning:
            log.warning("The projects cannot be read: %s", reason)
        elif self.warning and not reason:
            log.warning("The projects can be read again.")
        self.warning = "The projects cannot be read: what was read last goes on; the log says why." if reason else ""
