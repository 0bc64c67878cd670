"""`cgw usage`, `cgw export` and `cgw prices` as their user meets them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from sidecar.cli import app
from sidecar.config import Settings, environment_name
from sidecar.ledger.database import Database
from sidecar.ledger.rows import LedgerRow
from tests.support.ledger_rows import row

SETTING_NAMES = tuple(name for field in Settings.model_fields if (name := environment_name(field)))

COLUMNS = [
    "time",
    "request_id",
    "project",
    "client",
    "conversation",
    "model_requested",
    "model",
    "route_reason",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "thinking_tokens",
    "cost_usd",
    "baseline_usd",
    "saved_usd",
]
COLUMNS_AFTER_LAYERS = [
    "cache",
    "status",
    "stop_reason",
    "ttft_ms",
    "duration_ms",
    "overhead_ms",
    "retries",
    "cancelled",
    "estimated",
    "holdout",
    "cache_miss",
    "removed_tokens",
    "miss_cause",
    "miss_ours",
    "miss_tokens",
    "miss_usd",
    "route",
    "via",
]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    raw: bytes
    err: str


class User:
    """Runs commands in this process, in a home folder of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def cgw(self, *arguments: str, **environ: str) -> Ran:
        clean: dict[str, str | None] = dict.fromkeys(SETTING_NAMES)
        shell = {"CGW_HOME": str(self.home), "COLUMNS": "100", "NO_COLOR": "1"}
        ran = CliRunner().invoke(app, arguments, env={**clean, **shell, **environ})
        assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
        return Ran(ran.exit_code, ran.stdout, ran.stdout_bytes, ran.stderr)

    def keep(self, *rows: LedgerRow, url: str | None = None) -> None:
        self.home.mkdir(exist_ok=True)
        database = Database.open(url, self.home)
        database.write(rows)
        database.close()


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path / "home")


def ago(**spans: float) -> datetime:
    return datetime.now(UTC) - timedelta(**spans)


def spent(dollars: str, **fields: Any) -> LedgerRow:
    """An hour ago, half of the baseline, by the prompt cache."""
    cost = Decimal(dollars) * 10**6
    return row(
        **{
            "time": ago(hours=1),
            "cost_micros": cost,
            "baseline_micros": 2 * cost,
            "saved": {"prompt_cache": cost},
            "model": "claude-sonnet-5-5",
            "client": "aider",
            "input_tokens": 1000,
            "cache_read_tokens": 9000,
            "output_tokens": 500,
            **fields,
        }
    )


def test_usage_is_a_table_with_a_total(user: User) -> None:
    user.keep(spent("1.5"), spent("0.25", model="claude-haiku-5-5"), spent("7", time=ago(days=30)))
    ran = user.cgw("usage", "--by", "model")
    assert ran.code == 0
    head, sonnet, haiku, total, *remarks = ran.out.splitlines()
    assert head.split() == ["model", "requests", "read", "cached", "written", "cost", "saved"]
    assert sonnet.split()[:-1] == ["claude-sonnet-5-5", "1", "10.0", "k", "90.0", "%", "500", "$1.50", "$1.50"]
    assert haiku.split()[-3:-1] == ["$0.25", "$0.25"]
    assert total.split() == ["total", "2", "20.0", "k", "90.0", "%", "1.0", "k", "$1.75", "$1.75"]
    assert sonnet.count("█") > 3 * haiku.count("█") > 0
    assert "Saved 50.0 % of $3.50." in remarks


def test_usage_says_what_went_wrong_and_what_is_an_estimate(user: User) -> None:
    user.keep(spent("1", status=529), spent("1", status=499, cancelled=True, estimated=True))
    out = user.cgw("usage").out
    assert "1 of 2 requests ended in an error." in out
    assert "1 of 2 requests were left by their client." in out
    assert "1 of 2 requests are estimates (~)" in out
    assert "~$2.00" in out
    by_layer = user.cgw("usage", "--by", "layer").out
    assert by_layer.count("~$2.00") == 2, by_layer


def test_usage_by_layer_shows_also_what_a_layer_lost(user: User) -> None:
    saved = {"prompt_cache": Decimal(3_000_000), "keep_warm": Decimal(-1_000_000)}
    user.keep(spent("1", baseline_micros=Decimal(3_000_000), saved=saved))
    lines = user.cgw("usage", "--by", "layer").out.splitlines()
    assert lines[1].split()[:3] == ["prompt_cache", "1", "$3.00"]
    assert lines[2].split()[:3] == ["keep_warm", "1", "-$1.00"]
    assert lines[3].split() == ["total", "1", "$2.00"]


def test_usage_for_scripts_is_exact(user: User) -> None:
    user.keep(spent("0.00000001", project="house"), spent("1", project="other"))
    told = json.loads(user.cgw("usage", "--json", "--by", "project", "--project", "house").out, parse_float=Decimal)
    assert told["by"] == "project"
    assert [line["project"] for line in told["lines"]] == ["house"]
    assert told["total"]["cost_usd"] == Decimal("0.00000001")


def test_a_span_takes_what_lies_in_it(user: User) -> None:
    user.keep(spent("1", time=ago(days=3)), spent("2", time=ago(days=10)), spent("4", time=ago(hours=2)))
    for since, until, dollars in (("7d", "1d", 1), ("2w", "5d", 2), ("3h", None, 4), ("30d", None, 7)):
        ran = user.cgw("usage", "--json", "--since", since, *(("--until", until) if until else ()))
        assert json.loads(ran.out)["total"]["cost_usd"] == dollars


def test_nothing_used_is_said_in_a_sentence(user: User) -> None:
    assert "No requests" in user.cgw("usage").out


@pytest.mark.parametrize("arguments", [("usage", "--since", "soon"), ("export", "-o", "x", "--until", "7 years")])
def test_what_is_no_time_is_wrong_usage(user: User, arguments: tuple[str, ...]) -> None:
    ran = user.cgw(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "write 7d, 24h" in ran.err


def test_a_lost_database_is_one_sentence(user: User) -> None:
    ran = user.cgw("usage", DATABASE_URL="postgresql://cgw:secret@127.0.0.1:9/none")
    assert ran.code == 1
    assert ran.err.startswith("cgw: the ledger in postgresql")
    assert "secret" not in ran.err
    assert len(ran.err.splitlines()) == 1


def test_usage_is_read_from_postgresql_too(user: User, postgres_url: str) -> None:
    schema = f"usage_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    url = f"{postgres_url}?options=-csearch_path%3D{schema}"
    user.keep(spent("3"), url=url)
    assert json.loads(user.cgw("usage", "--json", DATABASE_URL=url).out)["total"]["cost_usd"] == 3


def held_and_layered(conversations: int) -> list[LedgerRow]:
    """Each arm so many conversations, held out for $1 to $3, with layers for half of that."""
    return [
        spent(str((number % 3 + 1) / (1 if holdout else 2)), conversation=f"{holdout} {number}", holdout=holdout)
        for number in range(conversations)
        for holdout in (True, False)
    ]


def test_what_the_layers_are_worth_is_measured_with_an_interval(user: User) -> None:
    moment = ago(hours=1)
    user.keep(*(replace(one, time=moment) for one in held_and_layered(30)))
    head, layers, held, *sentences = user.cgw("usage", "--holdout").out.splitlines()
    assert head.split() == ["arm", "conversations", "requests", "cost", "a", "request"]
    assert layers.split() == ["with", "layers", "30", "30", "$30.00", "$1.00"]
    assert held.split() == ["held", "out", "30", "30", "$60.00", "$2.00"]
    told = " ".join(" ".join(sentences).split())
    assert "Measured: the layers save $1.00 a request, 50.0 %." in told
    assert "With 95 % confidence it is between $0.66 and $1.34" in told
    assert "The accounts counted $1.00 a request" in told
    as_json = json.loads(user.cgw("usage", "--holdout", "--json").out, parse_float=Decimal)
    assert as_json["saved_per_request_usd"] == 1
    assert as_json["enough"] is True


def test_too_few_conversations_are_said_to_be_too_few(user: User) -> None:
    moment = ago(hours=1)
    user.keep(*(replace(one, time=moment) for one in held_and_layered(5)))
    told = " ".join(user.cgw("usage", "--holdout").out.split())
    assert "Too few conversations" in told
    assert "confidence" not in told
    assert json.loads(user.cgw("usage", "--holdout", "--json").out)["saved_per_request_interval_usd"] is None


def test_without_a_holdout_it_is_told_how_to_have_one(user: User) -> None:
    user.keep(spent("1"))
    assert "HOLDOUT_PERCENT=5" in user.cgw("usage", "--holdout").out
    assert "HOLDOUT_PERCENT=5" not in user.cgw("usage", "--holdout", HOLDOUT_PERCENT="10").out


def test_the_csv_has_the_columns_that_are_promised(user: User, tmp_path: Path) -> None:
    user.keep(spent("1.25", model_requested="=cmd()", conversation="c1"), spent("2"))
    ran = user.cgw("export", "-o", str(tmp_path / "out.csv"))
    assert (ran.code, ran.err) == (0, "")
    assert "2 requests in" in ran.out
    head, first, _ = csv.reader(io.StringIO((tmp_path / "out.csv").read_text("utf-8"), newline=""))
    layers = head[len(COLUMNS) : -len(COLUMNS_AFTER_LAYERS)]
    assert head == [*COLUMNS, *layers, *COLUMNS_AFTER_LAYERS]
    assert layers
    assert all(name.startswith("saved_") and name.endswith("_usd") for name in layers)
    told = dict(zip(head, first, strict=True))
    assert told["cost_usd"] == "1.25"
    assert told["saved_prompt_cache_usd"] == "1.25"
    assert told["model_requested"] == "'=cmd()"
    assert datetime.fromisoformat(told["time"]).tzinfo == UTC


def test_the_name_of_the_file_chooses_the_format_unless_one_is_given(user: User, tmp_path: Path) -> None:
    user.keep(spent("1"))
    user.cgw("export", "-o", str(tmp_path / "a.jsonl"))
    user.cgw("export", "-o", str(tmp_path / "b.txt"), "--format", "jsonl")
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.txt").read_bytes()
    assert json.loads((tmp_path / "a.jsonl").read_text())["cost_usd"] == 1


def test_an_export_to_the_standard_output_is_nothing_but_the_rows(user: User) -> None:
    user.keep(spent("1"), spent("2", time=ago(days=9)))
    ran = user.cgw("export", "-o", "-", "--format", "jsonl", "--since", "7d")
    assert [json.loads(line)["cost_usd"] for line in ran.raw.splitlines()] == [1]


def test_an_export_that_cannot_be_written_leaves_what_was_there(user: User, tmp_path: Path) -> None:
    (tmp_path / "old.parquet").write_text("precious")
    user.keep(spent("1"))
    gone = user.cgw("export", "-o", str(tmp_path / "nowhere" / "x.csv"))
    assert gone.code == 1
    assert "cannot be written" in gone.err
    lost = user.cgw("export", "-o", str(tmp_path / "old.parquet"), DATABASE_URL="postgresql://127.0.0.1:9/none")
    assert lost.code == 1
    assert (tmp_path / "old.parquet").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "old.parquet"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C as a signal")
def test_ctrl_c_leaves_a_whole_file_or_none(user: User, tmp_path: Path) -> None:
    user.keep(*(spent("1") for _ in range(20_000)))
    environ = {name: value for name, value in os.environ.items() if name not in SETTING_NAMES}
    with subprocess.Popen(
        [sys.executable, "-m", "sidecar", "export", "-o", str(tmp_path / "out" / "rows.csv")],
        env={**environ, "CGW_HOME": str(user.home)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        (tmp_path / "out").mkdir()
        while process.poll() is None and not any((tmp_path / "out").iterdir()):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert b"Traceback" not in errors
    left = [*(tmp_path / "out").iterdir()]
    assert process.returncode or left  # it may have been there when the signal came
    assert [(path.name, path.read_bytes().count(b"\n")) for path in left] in ([], [("rows.csv", 20_001)])


def test_prices_tell_the_table_and_its_age(user: User) -> None:
    out = user.cgw("prices").out
    assert "genai-prices" in out
    assert "newest price is of 20" in out
    [opus] = [line for line in out.splitlines() if line.startswith("claude-opus-5-5")]
    assert opus.split() == ["claude-opus-5-5", "4", "0.2", "5", "8", "20"]
    assert "above 100,000 tokens" in out


def test_prices_for_scripts(user: User) -> None:
    told = json.loads(user.cgw("prices", "--json").out)
    haiku = told["models"]["claude-haiku-5-5"]
    assert (haiku["input"], haiku["output"], haiku["estimated"]) == (0.1, 0.5, False)
    assert haiku["tiers"][0]["above_prompt_tokens"] == 100_000
    assert datetime.fromisoformat(told["newest_price"])
