"""An old ledger becomes a current one; a newer one is left alone."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from sidecar.ledger import migrations, schema
from sidecar.ledger.database import FILE_NAME, SQLITE_BUSY_SECONDS, Database, LedgerUnavailableError
from sidecar.ledger.migrations import SCRIPTS, SchemaTooNewError, newest_version, stored_version
from tests.support.ledger_rows import row

LAST, NEXT, AFTER = (f"{int(newest_version()) + step:04}" for step in range(3))

NEXT_VERSION = f"""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{NEXT}", "{LAST}"

def upgrade():
    op.add_column("ledger_requests", sa.Column("mood", sa.Text, nullable=False, server_default="good"))
"""


FIRST_ROW = """
INSERT INTO ledger_requests VALUES
('old', 1, 'web', 'aider', 'openai_chat', 'c', 'sonnet', 'claude-sonnet-5-5', '', 1, 2, 3, 4, 5, 6, 7, 8, 'MISS', 200,
 NULL, NULL, NULL, NULL, 0, false, false, NULL)
"""


@pytest.fixture
def next_cgw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the code is that of the next version, with one migration more."""
    scripts = tmp_path / "next"
    shutil.copytree(SCRIPTS, scripts)
    (scripts / "versions" / f"{NEXT}_a_mood_for_every_request.py").write_text(NEXT_VERSION)
    monkeypatch.setattr(migrations, "SCRIPTS", scripts)


@pytest.fixture
def as_old_ledgers_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty ledger goes through all versions."""
    monkeypatch.setattr(migrations, "create", migrations.run_versions)


def structure(connection: Connection) -> dict[str, dict[str, object]]:
    """What the database itself says of its tables."""
    asked = inspect(connection)
    return {
        table: {
            "columns": [
                (*(column[part] for part in ("name", "nullable", "default")), str(column["type"]))
                for column in asked.get_columns(table)
            ],
            "key": asked.get_pk_constraint(table),
            "indexes": sorted(asked.get_indexes(table), key=str),
            "unique": asked.get_unique_constraints(table),
            "options": asked.get_table_options(table),
        }
        for table in asked.get_table_names()
    }


def test_a_new_ledger_is_what_the_versions_lead_to(
    open_database: Callable[[], Database], other_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with open_database().read() as connection:
        created = structure(connection)
    request.getfixturevalue("as_old_ledgers_came")
    migrated_database = Database.open(other_url, tmp_path)
    with migrated_database.read() as connection:
        assert structure(connection) == created
        assert stored_version(connection) == newest_version()
    migrated_database.close()
    assert {*created} == {*schema.metadata.tables, migrations.VERSION_TABLE}


def test_migrations_lead_to_the_tables_the_code_uses(database: Database, as_old_ledgers_came: None) -> None:
    with database.read() as connection:
        ours = {"include_object": lambda thing, name, kind, *_: kind != "table" or name != migrations.VERSION_TABLE}
        context = MigrationContext.configure(connection, opts={"compare_type": True, **ours})
        assert compare_metadata(context, schema.metadata) == []


def test_versions_are_numbered_as_alembic_orders_them() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "newline")
    ordered = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert ordered == sorted(ordered, reverse=True)
    assert ordered[0] == newest_version()


def test_the_first_ledger_ever_is_upgraded_with_its_rows(
    open_database: Callable[[], Database], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "first"
    shutil.copytree(SCRIPTS, scripts)
    for script in scripts.glob("versions/[0-9]*.py"):
        if not script.name.startswith("0001"):
            script.unlink()
    with monkeypatch.context() as first_cgw:
        first_cgw.setattr(migrations, "SCRIPTS", scripts)
        first_cgw.setattr(migrations, "create", migrations.run_versions)
        with open_database().change() as connection:
            connection.execute(text(FIRST_ROW))
    current = open_database()
    assert current.write([row(id="old"), row(id="new", holdout=True)]) == 1
    with current.read() as connection:
        assert stored_version(connection) == newest_version()
        found = connection.execute(text("SELECT id, holdout FROM ledger_requests ORDER BY id")).all()
        assert [(name, bool(holdout)) for name, holdout in found] == [("new", True), ("old", False)]


def test_a_ledger_is_upgraded_to_versions_to_come(
    open_database: Callable[[], Database], request: pytest.FixtureRequest
) -> None:
    open_database().write([row(id="old")])
    request.getfixturevalue("next_cgw")
    with open_database().read() as connection:
        assert stored_version(connection) == NEXT
        assert connection.execute(text("SELECT id, mood FROM ledger_requests")).all() == [("old", "good")]


def test_a_newer_ledger_is_refused_in_a_sentence_and_left_alone(
    open_database: Callable[[], Database], next_cgw: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_database().migrate()
    monkeypatch.setattr(migrations, "SCRIPTS", SCRIPTS)
    older = open_database()
    with pytest.raises(SchemaTooNewError, match=f"written by a newer cgw .*{NEXT}.*{LAST}.* upgrade cgw"):
        older.write([row()])
    with pytest.raises(SchemaTooNewError), older.read():
        pass


def test_a_migration_that_fails_leaves_the_old_ledger_working(
    open_database: Callable[[], Database],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_database().migrate()
    request.getfixturevalue("next_cgw")
    versions = tmp_path / "next" / "versions"
    (versions / f"{AFTER}_a_mistake.py").write_text(
        NEXT_VERSION.replace(f'"{NEXT}", "{LAST}"', f'"{AFTER}", "{NEXT}"')  # the same column again
    )
    with pytest.raises(Exception, match="mood"):
        open_database().migrate()
    monkeypatch.setattr(migrations, "SCRIPTS", SCRIPTS)
    assert open_database().write([row()]) == 1


def test_tables_of_an_unknown_version_are_refused_and_left_alone(open_database: Callable[[], Database]) -> None:
    """Such as a dump of an older ledger that was put back without the table of the version."""
    with open_database().change() as connection:
        connection.execute(text(f"DROP TABLE {migrations.VERSION_TABLE}"))
        connection.execute(text("ALTER TABLE ledger_requests DROP COLUMN via"))
    for _ in range(2):
        with pytest.raises(LedgerUnavailableError, match="already exists"):
            open_database().write([row()])


def test_many_gateways_may_start_at_once_on_an_empty_database(open_database: Callable[[], Database]) -> None:
    gateways = [open_database() for _ in range(4)]

    def start(gateway: Database) -> int:
        return gateway.write([row()])

    with ThreadPoolExecutor(len(gateways)) as pool:
        assert list(pool.map(start, gateways)) == [1] * len(gateways)
    with gateways[0].read() as connection:
        assert connection.execute(text("SELECT count(*) FROM ledger_requests")).scalar() == len(gateways)


def test_a_first_start_waits_for_another_gateway_that_is_creating_the_ledger(tmp_path: Path) -> None:
    """Turning WAL on is refused at once while the file is locked; a gateway must not give its first rows up for it."""
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = Timer(4 * SQLITE_BUSY_SECONDS, other.rollback)
    release.start()
    database = Database.open(None, tmp_path)
    assert database.write([row()]) == 1
    release.join()
    database.close()
    other.close()
