"""What the journal took it gives back, whatever happened to the process in between."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.ledger.journal import Journal
from sidecar.ledger.rows import LedgerRow
from tests.support import thorough
from tests.support.ledger_rows import row, rows


@settings(suppress_health_check=thorough.ONE_FIXTURE, deadline=None, max_examples=50)
@given(written=st.lists(rows(), max_size=5))
def test_any_row_comes_back_as_it_was_written(tmp_path: Path, written: list[LedgerRow]) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(written)
    journal.close()
    again = Journal(tmp_path / "journal")
    portion = again.oldest(10)
    again.forget(portion)
    again.close()
    assert portion.rows == written


def test_rows_are_given_back_oldest_first_and_forgotten_in_pieces(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    written = [row() for _ in range(5)]
    journal.append(written[:2])
    journal.append(written[2:4])
    first = journal.oldest(3)
    journal.forget(first)
    journal.append(written[4:])
    assert first.rows == written[:3]
    assert journal.rows == 2
    assert journal.oldest(10).rows == written[3:]
    journal.forget(journal.oldest(10))
    assert journal.rows == 0
    assert journal.path.stat().st_size == 0
    journal.close()


def test_a_line_cut_short_by_a_crash_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    written = [row(), row()]
    journal.append(written)
    journal.close()
    path.write_bytes(path.read_bytes()[:-7])
    again = Journal(path)
    later = row()
    again.append([later])
    assert again.oldest(10).rows == [written[0], later]
    again.close()


def test_a_damaged_line_is_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append([row(id="a")])
    journal.close()
    path.write_bytes(b'\x00\xff\n{"id": "no time"}\n[]\n' + path.read_bytes())
    again = Journal(path)
    portion = again.oldest(10)
    again.close()
    assert [one.id for one in portion.rows] == ["a"]
    assert portion.lines == 4


def test_fields_that_another_version_wrote_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.append([row(id="a")])
    journal.close()
    path.write_bytes(path.read_bytes().replace(b'{"id"', b'{"mood":"good","id"'))
    again = Journal(path)
    assert [one.id for one in again.oldest(1).rows] == ["a"]
    again.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    journal.close()


def test_two_gateways_on_one_home_have_a_journal_each(tmp_path: Path) -> None:
    one, two = Journal.open(tmp_path), Journal.open(tmp_path)
    one.append([row(id="one")])
    two.append([row(id="two")])
    assert [[found.id for found in journal.oldest(9).rows] for journal in (one, two)] == [["one"], ["two"]]
    one.close()
    two.close()


def test_what_a_dead_gateway_left_is_taken_over(tmp_path: Path) -> None:
    one, two, three = (Journal.open(tmp_path) for _ in range(3))
    one.append([row(id="one")])
    two.append([row(id="two")])
    three.append([row(id="three")])
    one.close()
    three.close()
    next_one = Journal.open(tmp_path)
    assert {found.id for found in next_one.oldest(9).rows} == {"one", "three"}
    assert two.rows == 1
    next_one.close()
    two.close()
    last = Journal.open(tmp_path)
    assert sorted(found.id for found in last.oldest(9).rows) == ["one", "three", "two"]
    last.close()
