"""The ledger for a command: no sidecar has to run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sidecar.commands.terminal import fail, one_sentence, warn
from sidecar.home import Home

if TYPE_CHECKING:
    from sidecar.config import Settings
    from sidecar.ledger.database import Database


@contextmanager
def ledger_at_hand() -> Iterator[tuple[Database, Settings]]:
    """The database of this home folder or of DATABASE_URL; what cannot be done ends the command with its sentence."""
    with one_sentence():
        from sidecar.config_sources import load_settings
        from sidecar.ledger.database import Database, LedgerUnavailableError
        from sidecar.ledger.migrations import SchemaTooNewError

        home = Home.locate()
        loaded = load_settings(home)
        warn(loaded.warnings)
        home.open()
        url = loaded.settings.database_url
        database = Database.open(url.get_secret_value() if url else None, home.path)
        try:
            yield database, loaded.settings
        except (LedgerUnavailableError, SchemaTooNewError) as error:
            fail(f"{error}.")
        finally:
            database.close()
