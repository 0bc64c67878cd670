"""What a project can be, and how it is kept: in SQLite and in PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import Settings
from sidecar.ledger.database import Database
from sidecar.ledger.money import Spent, picos_of
from sidecar.ledger.queries import spent_by_day
from sidecar.projects.policy import FREE, SWITCHES, Policy
from sidecar.projects.project import NAME, Project, fingerprint, micros_of_usd, new_key
from sidecar.projects.store import ProjectError, ProjectStore
from tests.support.ledger_rows import NOON, row


@pytest.mark.parametrize("name", ["a", "team-7", "0_0", "x" * 64])
def test_a_name_is_what_a_path_and_a_header_can_carry(name: str) -> None:
    assert Project(name=name).name == name


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "a b", "a/b", "x" * 65, "ä", "a\n", "a.b"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a project's name"):
        Project(name=name)


@given(st.text(max_size=70))
def test_no_name_ever_needs_escaping(name: str) -> None:
    if NAME.fullmatch(name):
        assert name.isascii()
        assert name.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "fields",
    [
        {"rpm": -1},
        {"tpm": 0},
        {"daily_budget": -1},
        {"monthly_budget": 10**16},
        {"warn_percent": 0},
        {"warn_percent": 101},
        {"policy": Policy(switches={"retry_enabled": True})},
    ],
)
def test_what_no_project_can_be_is_a_sentence(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        Project(name="p", **fields)  # type: ignore[arg-type]  # any field


def test_every_switch_is_a_setting_that_is_on_or_off() -> None:
    assert all(Settings.model_fields[name].annotation is bool for name in SWITCHES)


@pytest.mark.parametrize(
    ("written", "micros"),
    [("25", 25_000_000), ("$0.50", 500_000), (" 0.000001 ", 1), ("0", 0), ("1e3", 1_000_000_000)],
)
def test_dollars_become_whole_micro_dollars(written: str, micros: int) -> None:
    assert micros_of_usd(written) == micros


@pytest.mark.parametrize("written", ["", "-1", "0.0000001", "1,5", "nan", "inf", "free"])
def test_what_is_no_amount_of_dollars_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no amount of dollars"):
        micros_of_usd(written)


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [
        ((), True),
        (("haiku",), True),
        (("claude-haiku-*",), True),
        (("claude-haiku-5-5",), True),
        (("sonnet", "haiku"), True),
        (("sonnet",), False),
        (("claude-haiku",), False),
        (("Claude-Haiku-*",), False),
    ],
)
def test_a_policy_allows_models_by_id_pattern_or_line(patterns: tuple[str, ...], allowed: bool) -> None:
    assert Policy(models=patterns).allows("claude-haiku-5-5", "haiku") is allowed


def test_a_switch_is_the_projects_own_or_else_the_gateways() -> None:
    policy = Policy(switches={"enforce_diff_first": False})
    assert policy.switch("enforce_diff_first", True) is False
    assert FREE.switch("enforce_diff_first", True) is True


def test_keys_are_long_random_and_look_like_the_gateways() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("cgw-") and len(key) == 47 for key in keys)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = None
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgres_url")
        name = f"projects_{uuid.uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = f"{server.rpartition('/')[0]}/{name}"
    database = Database.open(url, tmp_path)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> ProjectStore:
    return ProjectStore(database)


FULL = Project(
    name="full",
    rpm=0,
    tpm=10**9,
    daily_budget=1,
    monthly_budget=10**15,
    warn_percent=100,
    policy=Policy(models=("haiku", "claude-*"), default_model="haiku", switches=dict.fromkeys(SWITCHES, False)),
)


@pytest.mark.parametrize("project", [Project(name="plain"), FULL])
def test_a_project_comes_back_as_it_was_added(store: ProjectStore, project: Project) -> None:
    key = store.add(project)
    found = store.get(project.name)
    assert found == replace(project, created_at=found.created_at, key_last4=key[-4:])
    assert found.created_at is not None


def test_only_the_hash_of_a_key_is_kept(store: ProjectStore, database: Database) -> None:
    key = store.add(Project(name="p"))
    assert {stored.key_sha256 for stored in store.all()} == {None, fingerprint(key)}
    with database.read() as connection:
        kept = str(connection.exec_driver_sql("SELECT * FROM cgw_projects").all())
    assert key not in kept
    assert key[4:-4] not in kept


def test_default_is_always_there_and_can_be_changed(store: ProjectStore) -> None:
    assert [stored.project for stored in store.all()] == [Project(name="default")]
    store.edit("default", lambda project: replace(project, tpm=5))
    assert store.get("default").tpm == 5
    assert len(store.all()) == 1


def test_a_change_keeps_key_and_age(store: ProjectStore) -> None:
    key = store.add(Project(name="p"))
    before = store.get("p")
    assert store.edit("p", lambda project: replace(project, rpm=7)) == replace(before, rpm=7) == store.get("p")
    assert fingerprint(key) in {stored.key_sha256 for stored in store.all()}


def test_a_change_that_fails_changes_nothing(store: ProjectStore) -> None:
    store.add(Project(name="p"))
    before = store.get("p")
    with pytest.raises(ValueError, match="tpm"):
        store.edit("p", lambda project: replace(project, tpm=0))
    assert store.get("p") == before


def test_changes_made_at_once_all_count(store: ProjectStore) -> None:
    store.add(Project(name="p", tpm=1))

    def one_more(_: int) -> Project:
        return store.edit("p", lambda project: replace(project, tpm=(project.tpm or 0) + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one_more, range(12)))
    assert store.get("p").tpm == 13


def test_a_rotated_key_replaces_the_old_one(store: ProjectStore) -> None:
    old = store.add(Project(name="p"))
    new = store.rotate_key("p")
    hashes = {stored.key_sha256 for stored in store.all()}
    assert fingerprint(new) in hashes
    assert fingerprint(old) not in hashes
    assert store.get("p").key_last4 == new[-4:]


def test_a_removed_project_is_gone_and_its_name_is_free(store: ProjectStore) -> None:
    store.add(Project(name="p", rpm=3))
    store.remove("p")
    with pytest.raises(ProjectError, match="no project `p`"):
        store.get("p")
    store.add(Project(name="p"))
    assert store.get("p").rpm is None


def test_what_cannot_be_done_is_a_sentence(store: ProjectStore) -> None:
    store.add(Project(name="p"))
    for failing, said in (
        (lambda: store.add(Project(name="p")), "already"),
        (lambda: store.add(Project(name="default")), "already"),
        (lambda: store.edit("q", lambda project: project), "no project `q`"),
        (lambda: store.rotate_key("q"), "no project `q`"),
        (lambda: store.rotate_key("default"), "gateway's own"),
        (lambda: store.remove("q"), "no project `q`"),
        (lambda: store.remove("default"), "always there"),
    ):
        with pytest.raises(ProjectError, match=said):
            failing()


def test_spending_is_summed_by_project_and_utc_day(database: Database) -> None:
    midnight = NOON.replace(hour=0)
    database.write(
        [
            row(project="a", time=midnight, cost_micros=Decimal("0.000001"), saved={}),
            row(project="a", time=midnight + timedelta(hours=23.9), cost_micros=Decimal(9_000_000_000_000), saved={}),
            row(project="a", time=NOON + timedelta(hours=23.9), cost_micros=Decimal(9_000_000_000_000), saved={}),
            row(project="a", time=midnight - timedelta(microseconds=1), cost_micros=Decimal(5), saved={}),
            row(project="b", cost_micros=Decimal(3), saved={}, estimated=True),
            row(project="b", cost_micros=Decimal(4), saved={}),
        ]
    )
    today, tomorrow = date(2026, 11, 22), date(2026, 11, 23)
    assert spent_by_day(database, since=today) == {
        ("a", today): Spent(picos_of(Decimal(9_000_000_000_000)) + 1),
        ("a", tomorrow): Spent(picos_of(Decimal(9_000_000_000_000))),
        ("b", today): Spent(picos_of(Decimal(7)), estimated=True),
    }


def test_a_day_of_more_than_one_row_can_hold_is_still_exact(database: Database) -> None:
    database.write([row(project="a", cost_micros=Decimal("9000000000000.000001"), saved={}) for _ in range(4)])
    [(_, spent)] = spent_by_day(database, since=date(2026, 11, 22)).items()
    assert spent.picos == 4 * (9_000_000_000_000 * 10**6 + 1)
