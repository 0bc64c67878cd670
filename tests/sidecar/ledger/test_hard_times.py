"""A gateway killed in the middle of its work, and a disk that is full: in processes of their own, for real."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sidecar.ledger.database import Database
from sidecar.ledger.journal import FILE_NAME, Journal
from sidecar.ledger.writer import INTERVAL, LedgerWriter
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of Unix")

ROOT = Path(__file__).parents[3]

UNDER_LOAD = """
import itertools, sys, time
from pathlib import Path
from sidecar.ledger.database import Database
from sidecar.ledger.writer import LedgerWriter
from tests.support.ledger_rows import row

home = Path(sys.argv[1])
writer = LedgerWriter(Database.open(None, home), home)
writer.start()
for number in itertools.count():
    writer.add(row(id=f"{number:09}"))
    print(number, flush=True)
    time.sleep(0.0005)
"""

ON_A_SMALL_DISK = """
import json, resource, signal, sys
from dataclasses import asdict
from pathlib import Path
from sidecar.ledger.database import Database
from sidecar.ledger.queries import EVERY_PROJECT, usage
from sidecar.ledger.writer import LedgerWriter
from tests.support.ledger_rows import row

home = Path(sys.argv[1])
database = Database.open(None, home)
database.migrate()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, unlimited[1]))  # bytes of any one file

writer = LedgerWriter(database, home, interval=0.02, last_retry=0.1)
writer.start()
for _ in range(2000):
    writer.add(row())
stored_while_full = writer.flush()
full = writer.health()
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
stored_after = writer.close()
rows = usage(database, project=EVERY_PROJECT, by="day").total.requests
print(json.dumps([stored_while_full, asdict(full), stored_after, asdict(writer.health()), rows]))
"""


@contextmanager
def gateway_under_load(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", UNDER_LOAD, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def read_rows(process: subprocess.Popen[bytes], count: int) -> int:
    """Reads until `count` rows were added; the number of the last."""
    assert process.stdout is not None
    for _ in range(count):
        number = int(process.stdout.readline())
    return number


def stored_ids(home: Path) -> list[int]:
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [int(found) for (found,) in connection.execute("SELECT id FROM ledger_requests ORDER BY id")]


def is_stored(home: Path, number: int) -> bool:
    with closing(sqlite3.connect(home / "ledger.sqlite3", timeout=30)) as connection:
        found = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'ledger_requests'").fetchone()
        return bool(found[0]) and stored_ids(home)[-1:] >= [number]


def journaled_ids(home: Path) -> list[int]:
    journal = Journal.open(home)
    found = [int(one.id) for one in journal.oldest(10**6).rows]
    journal.close()
    return found


def test_a_row_waits_less_than_a_second() -> None:
    assert INTERVAL < 1


def test_a_killed_gateway_loses_at_most_what_was_added_just_before(tmp_path: Path) -> None:
    with gateway_under_load(tmp_path) as gateway:
        settled = read_rows(gateway, 500)
        until(lambda: is_stored(tmp_path, settled))  # it goes on adding others meanwhile
        gateway.kill()
        gateway.wait()
    stored = stored_ids(tmp_path)
    assert stored[-1] >= settled
    assert stored == list(range(len(stored)))


def test_what_a_gateway_had_to_keep_at_home_survives_its_death(tmp_path: Path) -> None:
    with gateway_under_load(tmp_path) as gateway:
        read_rows(gateway, 1)
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite3", timeout=30, isolation_level=None)) as other:
            table = "SELECT count(*) FROM sqlite_master WHERE name = 'ledger_savings'"
            until(lambda: other.execute(table).fetchone()[0])
            other.execute("BEGIN EXCLUSIVE")
            before = other.execute("SELECT count(*) FROM ledger_requests").fetchone()[0]  # numbered from 0
            settled = read_rows(gateway, 1)
            while settled < before + 500:  # lines of rows already stored may stand in the pipe
                settled = read_rows(gateway, 1)
            journal = tmp_path / FILE_NAME.format(number=1)
            until(lambda: journal.exists() and f'"{settled:09}"'.encode() in journal.read_bytes())
            gateway.kill()
            gateway.wait()
            other.rollback()
    stored, waiting = stored_ids(tmp_path), journaled_ids(tmp_path)
    assert waiting
    assert sorted({*stored, *waiting}) == list(range(max(waiting) + 1))
    assert max(waiting) >= settled

    database = Database.open(None, tmp_path)
    heir = LedgerWriter(database, tmp_path)
    heir.start()
    assert heir.close()
    database.close()
    assert stored_ids(tmp_path) == list(range(max(waiting) + 1))


def test_a_full_disk_is_shown_and_every_row_is_stored_once_there_is_room(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr.decode()
    stored_while_full, full, stored_after, after, rows = json.loads(done.stdout)
    assert not stored_while_full
    assert not full["ok"]
    assert "ledger.sqlite3 cannot be used" in full["last_error"]
    assert "nor does the journal" in full["last_error"]
    assert stored_after
    assert after["ok"]
    assert (after["dropped"], after["in_memory"], after["in_journal"], rows) == (0, 0, 0, 2000)
