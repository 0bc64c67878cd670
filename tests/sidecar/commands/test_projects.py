"""`cgw projects` as its owner meets it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from sidecar.ledger.database import Database
from sidecar.projects.project import fingerprint
from sidecar.projects.store import ProjectStore
from tests.support.command_line import Ran, cgw
from tests.support.ledger_rows import row


@dataclass(frozen=True)
class Owner:
    home: Path

    def projects(self, *arguments: str, **environ: str) -> Ran:
        shell = {"CGW_HOME": str(self.home), "COLUMNS": "100", "NO_COLOR": "1"}
        return cgw("projects", *arguments, environ={**shell, **environ})


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path / "home")


def test_the_life_of_a_project(owner: Owner) -> None:
    added = owner.projects("add", "ci", "--rpm", "10", "--daily-budget", "5", "--model", "haiku", "--json").json
    key = added.pop("key")
    assert added["key_last4"] == key[-4:]
    assert added == owner.projects("show", "ci", "--json").json
    assert (added["rpm"], added["tpm"], added["daily_budget_usd"], added["models"]) == (10, None, "5", ["haiku"])

    changed = owner.projects(
        *("set", "ci", "--rpm", "none", "--tpm", "1000", "--daily-budget", "none", "--monthly-budget", "$99.50"),
        *("--warn-at", "50", "--model", "all", "--default-model", "haiku", "--off", "ENFORCE_DIFF_FIRST", "--json"),
    ).json
    assert changed == added | {
        "rpm": None,
        "tpm": 1000,
        "daily_budget_usd": None,
        "monthly_budget_usd": "99.5",
        "warn_percent": 50,
        "models": [],
        "default_model": "haiku",
        "switches": {"enforce_diff_first": False},
    }
    back = owner.projects("set", "ci", "--rpm", "default", "--inherit", "enforce_diff_first", "--json").json
    assert (back["rpm"], back["switches"], back["tpm"]) == (60, {}, 1000)

    assert owner.projects("set", "ci", "--deny", "opus", "--deny", "claude-fable-*", "--json").json["denied"] == [
        "opus",
        "claude-fable-*",
    ]
    assert "not opus, not claude-fable-*" in owner.projects("list").out
    assert owner.projects("set", "ci", "--deny", "none", "--json").json == back

    rotated = owner.projects("rotate-key", "ci", "--json").json
    assert rotated["key"] != key
    assert [project["name"] for project in owner.projects("list", "--json").json] == ["ci", "default"]
    assert owner.projects("remove", "ci", "--yes").code == 0
    assert [project["name"] for project in owner.projects("list", "--json").json] == ["default"]


def test_a_person_sees_the_key_once_and_never_again(owner: Owner) -> None:
    told = owner.projects("add", "ci")
    [key] = [line.strip() for line in told.out.splitlines() if line.strip().startswith("cgw-")]
    database = Database.open(None, owner.home)
    assert fingerprint(key) in {stored.key_sha256 for stored in ProjectStore(database).all()}
    database.close()
    for again in (owner.projects("list"), owner.projects("show", "ci")):
        assert again.code == 0
        assert key not in again.out
        assert f"...{key[-4:]}" in again.out


def test_the_list_shows_limits_and_what_was_spent(owner: Owner) -> None:
    owner.projects("add", "ci", "--rpm", "10", "--daily-budget", "5", "--model", "haiku")
    database = Database.open(None, owner.home)
    spent = row(project="ci", time=datetime.now(UTC), cost_micros=Decimal(1_250_000), saved={})
    database.write([spent])
    database.close()
    lines = owner.projects("list").out.splitlines()
    assert lines[0].split() == ["project", "key", "rpm", "tpm", "today", "this", "month", "models"]
    assert lines[1].split()[2:] == ["10", "none", "$1.25", "of", "$5.00", "$1.25", "haiku"]
    assert lines[2].split() == ["default", "gateway's", "60", "none", "$0.00", "$0.00", "all"]
    told = owner.projects("show", "ci", "--json").json
    assert (told["spent_today_usd"], told["spending_estimated"]) == ("1.25", False)


def test_the_list_marks_what_is_an_estimate(owner: Owner) -> None:
    now = datetime.now(UTC)
    database = Database.open(None, owner.home)
    database.write(
        [row(time=now, cost_micros=Decimal(1_000_000), saved={}, estimated=guess) for guess in (True, False)]
    )
    database.close()
    assert owner.projects("list").out.splitlines()[-1].split()[-3:-1] == ["~$2.00", "~$2.00"]
    assert owner.projects("show", "default", "--json").json["spending_estimated"] is True


def test_default_can_be_limited_without_the_switch(owner: Owner) -> None:
    assert owner.projects("set", "default", "--daily-budget", "2", "--json").json["daily_budget_usd"] == "2"
    assert owner.projects("set", "default", "--tpm", "5", "--json").json["daily_budget_usd"] == "2"


def test_whoever_adds_a_project_hears_that_projects_are_off(owner: Owner) -> None:
    assert "ENABLE_MULTI_PROJECT=1" in owner.projects("add", "ci").err
    assert owner.projects("add", "cd", ENABLE_MULTI_PROJECT="1").err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("show", "nobody"), 1, "There is no project `nobody`"),
        (("set", "nobody", "--rpm", "1"), 1, "There is no project `nobody`"),
        (("rotate-key", "nobody"), 1, "There is no project `nobody`"),
        (("rotate-key", "default"), 1, "the gateway's own"),
        (("remove", "nobody", "--yes"), 1, "There is no project `nobody`"),
        (("remove", "default", "--yes"), 1, "always there"),
        (("remove", "default"), 2, "add --yes"),
        (("add", "default"), 1, "already"),
        (("add", "Nobody"), 2, "cannot be a project's name"),
        (("add", "ci", "--rpm", "0"), 2, "--rpm 0: it is a whole number above 0, or `none`"),
        (("add", "ci", "--tpm", "many"), 2, "--tpm many"),
        (("add", "ci", "--daily-budget", "free"), 2, "no amount of dollars"),
        (("add", "ci", "--warn-at", "101"), 2, "1 to 100"),
        (("add", "ci", "--on", "retry_enabled"), 2, "no setting of a project's own"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_an_exit_code(
    owner: Owner, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = owner.projects(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert ran.err.startswith("cgw: ")
    assert ran.err.count("\n") == 1


def test_a_database_that_cannot_be_used_is_one_sentence(owner: Owner) -> None:
    ran = owner.projects("list", DATABASE_URL="postgresql://someone:s3cret@127.0.0.1:9/none")
    assert ran.code == 1
    assert "cannot be used" in ran.err
    assert "s3cret" not in ran.err
    assert "Traceback" not in ran.err


def test_a_team_keeps_its_projects_in_postgresql(owner: Owner, tmp_path: Path, postgres_url: str) -> None:
    name = f"cli_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = f"{postgres_url.rpartition('/')[0]}/{name}"
    owner.projects("add", "ci", "--rpm", "3", DATABASE_URL=url)
    colleague = Owner(tmp_path / "elsewhere")
    assert colleague.projects("show", "ci", "--json", DATABASE_URL=url).json["rpm"] == 3
    assert colleague.projects("show", "ci").code == 1
