"""Projects in the ledger's database: set up by `cgw projects`, read by every gateway on it.

A key is shown once, when it is made; the database has its SHA-256 and last four characters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, select

from sidecar.ledger.database import Database
from sidecar.ledger.rows import microseconds_of, moment_of
from sidecar.ledger.schema import projects
from sidecar.projects.policy import SWITCHES, Policy
from sidecar.projects.project import DEFAULT, Project, StoredProject, fingerprint, new_key
from sidecar.user_errors import UserError


class ProjectError(UserError):
    """Something that cannot be done to a project; the message is one sentence for the owner."""


class ProjectStore:
    """Blocks. Everything here raises LedgerUnavailableError or SchemaTooNewError when the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredProject]:
        """Every project by name; `default` too, even if nobody ever changed it."""
        with self._database.read() as connection:
            rows = connection.execute(select(projects)).mappings().all()
        found = {row["name"]: _stored(row) for row in rows}
        found.setdefault(DEFAULT, StoredProject(Project(name=DEFAULT), None))
        return sorted(found.values(), key=lambda stored: stored.project.name)

    def get(self, name: str) -> Project:
        """Raises ProjectError for one that does not exist."""
        with self._database.read() as connection:
            return _existing(connection, name).project

    def add(self, project: Project) -> str:
        """The new project's key, never to be seen again. Raises ProjectError for a name that is taken."""
        key = new_key()
        made = replace(project, created_at=datetime.now(UTC), key_last4=key[-4:])
        with self._database.change() as connection:
            if project.name == DEFAULT or _find(connection, project.name):
                raise ProjectError(f"There is a project `{project.name}` already: `cgw projects set` changes it.")
            connection.execute(projects.insert().values({**_values(made), "key_sha256": fingerprint(key)}))
        return key

    def edit(self, name: str, change: Callable[[Project], Project]) -> Project:
        """The project as `change` made it from what it was. Raises ProjectError for one that does not exist, and
        whatever `change` raises."""
        with self._database.change() as connection:
            changed = change(_existing(connection, name).project)
            if _find(connection, name):
                connection.execute(projects.update().where(projects.c.name == name).values(_values(changed)))
            else:
                changed = replace(changed, created_at=datetime.now(UTC))
                connection.execute(projects.insert().values(_values(changed)))
        return changed

    def rotate_key(self, name: str) -> str:
        """A new key; the old one is worth nothing from now on. Raises ProjectError for one that does not exist."""
        if name == DEFAULT:
            raise ProjectError(
                "The key of `default` is the gateway's own: delete its file (`cgw config --path key` says where), or "
                "set GATEWAY_API_KEY, and start cgw again."
            )
        key = new_key()
        with self._database.change() as connection:
            _existing(connection, name)
            values = {"key_sha256": fingerprint(key), "key_last4": key[-4:]}
            connection.execute(projects.update().where(projects.c.name == name).values(values))
        return key

    def remove(self, name: str) -> None:
        """Its key is worth nothing from now on; its usage stays in the ledger. Raises ProjectError."""
        if name == DEFAULT:
            raise ProjectError("`default` is the gateway key's own project and always there.")
        with self._database.change() as connection:
            _existing(connection, name)
            connection.execute(projects.delete().where(projects.c.name == name))


def _existing(connection: Connection, name: str) -> StoredProject:
    if (row := _find(connection, name)) is not None:
        return _stored(row)
    if name == DEFAULT:
        return StoredProject(Project(name=DEFAULT), None)
    raise ProjectError(f"There is no project `{name}`: `cgw projects list` shows which there are.")


def _find(connection: Connection, name: str) -> RowMapping | None:
    """On PostgreSQL the row is locked until the transaction ends; SQLite has one writer at a time anyway."""
    query = select(projects).where(projects.c.name == name)
    if connection.get_execution_options().get("writes"):
        query = query.with_for_update()
    return connection.execute(query).mappings().one_or_none()


def _values(project: Project) -> dict[str, Any]:
    policy = project.policy
    return {
        "name": project.name,
        "rpm": project.rpm,
        "tpm": project.tpm,
        "daily_budget": project.daily_budget,
        "monthly_budget": project.monthly_budget,
        "warn_percent": project.warn_percent,
        "policy": orjson.dumps(
            {
                "models": policy.models,
                "denied": policy.denied,
                "default_model": policy.default_model,
                "switches": policy.switches,
            }
        ).decode(),
        "created_us": microseconds_of(project.created_at or datetime.now(UTC)),
        "key_last4": project.key_last4,
    }


def _stored(row: RowMapping) -> StoredProject:
    policy = orjson.loads(row["policy"])
    project = Project(
        name=row["name"],
        rpm=row["rpm"],
        tpm=row["tpm"],
        daily_budget=row["daily_budget"],
        monthly_budget=row["monthly_budget"],
        warn_percent=row["warn_percent"],
        policy=Policy(
            models=tuple(policy["models"]),
            denied=tuple(policy.get("denied", ())),  # projects set up before there were any have none
            default_model=policy["default_model"],
            # A newer cgw on the same database may know switches that this one does not have.
            switches={setting: on for setting, on in policy["switches"].items() if setting in SWITCHES},
        ),
        created_at=moment_of(row["created_us"]),
        key_last4=row["key_last4"],
    )
    return StoredProject(project, row["key_sha256"])
