"""Versions of the schema, and how an older database becomes a current one.

A version is one file in `versions/`, named after its number: `0002_what_it_adds.py`. Alembic runs what is missing in
one transaction, under a lock, so that many gateways may start at once on one database. A released version is never
edited. An empty database gets the tables as the newest version has them, without Alembic: with all that it imports it
would take ten megabytes of a sidecar for good. A test holds the two ways equal.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, text

from sidecar.ledger import schema

SCRIPTS = Path(__file__).parent
VERSION_TABLE = "ledger_version"

_version = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
"""As Alembic makes it."""

_one_at_a_time = Lock()
"""Alembic keeps its context in module globals."""


class SchemaTooNewError(Exception):
    """The database was written by a newer cgw."""


def newest_version() -> str:
    """The number of the last file in `versions/`; read from the names, so that a start needs no Alembic."""
    return max(script.name[:4] for script in (SCRIPTS / "versions").glob("[0-9]*.py"))


def stored_version(connection: Connection) -> str | None:
    """The version of this database's schema; None for an empty one."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 -- our own name


def is_current(connection: Connection) -> bool:
    return stored_version(connection) == newest_version()


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date within the caller's transaction, which must already hold the lock on the schema.

    Raises SchemaTooNewError.
    """
    stored, newest = stored_version(connection), newest_version()
    if stored == newest:
        return
    if stored is not None and stored > newest:
        where = connection.engine.url.render_as_string(hide_password=True)
        raise SchemaTooNewError(
            f"the ledger in {where} was written by a newer cgw (its schema is {stored}, this one knows {newest}): "
            "upgrade cgw, or point CGW_HOME or DATABASE_URL to another ledger"
        )
    if stored is None:
        create(connection)
    else:
        run_versions(connection)


def create(connection: Connection) -> None:
    """The tables of today, in an empty database. Refused where one of them is there: nobody knows of which version."""
    schema.metadata.create_all(connection, checkfirst=False)
    _version.create(connection)
    connection.execute(insert(_version).values(version_num=newest_version()))


def run_versions(connection: Connection) -> None:
    """One version after the other, from the one that is stored."""
    # Imported late: 0.2 s of a start, needed once per version.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    with _one_at_a_time:
        command.upgrade(config, "head")
