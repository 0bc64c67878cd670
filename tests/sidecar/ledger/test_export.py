"""An export holds every row, exactly, and harms no spreadsheet."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.ledger import columns
from sidecar.ledger.database import Database
from sidecar.ledger.export import FORMULA_STARTS, TextFormat, export
from sidecar.ledger.parquet import ParquetMissingError
from sidecar.ledger.queries import EVERY_PROJECT, ProjectScope
from sidecar.ledger.rows import LAYERS, LedgerRow
from tests.support import thorough
from tests.support.ledger_rows import NOON, row, rows

PROMISED = (
    "time, request_id, project, client, conversation, model_requested, model, route_reason, input_tokens, "
    "cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, output_tokens, thinking_tokens, cost_usd, "
    "baseline_usd, saved_usd, {layers}, cache, status, stop_reason, ttft_ms, duration_ms, overhead_ms, retries, "
    "cancelled, estimated, holdout, cache_miss, removed_tokens, miss_cause, miss_ours, miss_tokens, miss_usd, route, "
    "via"
)
PROMISED_COLUMNS = PROMISED.format(layers=", ".join(f"saved_{layer}_usd" for layer in LAYERS)).split(", ")
MICRO = Decimal("0.000001")


def exported(database: Database, file_format: TextFormat, project: ProjectScope = EVERY_PROJECT, **chosen: Any) -> str:
    out = io.BytesIO()
    export(database, out, project=project, file_format=file_format, **chosen)
    return out.getvalue().decode("utf-8")


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def read_jsonl(text: str) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in text.split("\n") if line]


def test_the_columns_are_the_promised_ones_in_their_order(database: Database) -> None:
    database.write([row()])
    assert exported(database, "csv").splitlines()[0].split(",") == PROMISED_COLUMNS
    assert list(read_jsonl(exported(database, "jsonl"))[0]) == PROMISED_COLUMNS


def test_an_empty_ledger_is_a_head_without_lines(database: Database) -> None:
    assert exported(database, "csv") == ",".join(PROMISED_COLUMNS) + "\r\n"
    assert exported(database, "jsonl") == ""


def test_a_request_reads_as_it_was(database: Database) -> None:
    saved = {"prompt_cache": Decimal("3.5"), "keep_warm": Decimal("-0.01")}
    plain = row(
        id="req_1", client="aider", conversation="c1", model_requested="opus", model="claude-opus-5-5", input_tokens=7,
        cost_micros=Decimal("0.01"), baseline_micros=Decimal("3.5"), saved=saved, stop_reason="end_turn",
        ttft_ms=312.0456, cancelled=True,
    )  # fmt: skip
    database.write([plain])
    (line,) = read_csv(exported(database, "csv"))
    wanted = dict.fromkeys(PROMISED_COLUMNS, "0") | {
        "time": "2026-11-22T12:00:00.000000Z", "request_id": "req_1", "project": "default", "client": "aider",
        "conversation": "c1", "model_requested": "opus", "model": "claude-opus-5-5", "route_reason": "",
        "input_tokens": "7", "cost_usd": "0.00000001", "baseline_usd": "0.0000035", "saved_usd": "0.00000349",
        "saved_prompt_cache_usd": "0.0000035", "saved_keep_warm_usd": "-0.00000001", "cache": "MISS", "status": "200",
        "stop_reason": "end_turn", "ttft_ms": "312.046", "duration_ms": "", "overhead_ms": "", "cancelled": "true",
        "estimated": "false", "holdout": "false", "cache_miss": "",
        "miss_cause": "", "miss_ours": "false", "route": "", "via": "base_url",
    }  # fmt: skip
    assert line == wanted
    (same,) = read_jsonl(exported(database, "jsonl"))
    assert same["cost_usd"] == Decimal("0.00000001")
    assert same["ttft_ms"] == Decimal("312.046")
    assert (same["stop_reason"], same["duration_ms"], same["cancelled"]) == ("end_turn", None, True)


@settings(suppress_health_check=thorough.ONE_FIXTURE, deadline=None, max_examples=25)
@given(data=st.data())
def test_any_rows_come_out_whole_and_exact_in_csv_and_json(database: Database, data: st.DataObject) -> None:
    project = uuid.uuid4().hex
    written: list[LedgerRow] = data.draw(st.lists(rows(project=project), max_size=6))
    database.write(written)
    in_order = sorted(written, key=lambda one: (one.time, one.id))
    lines = read_csv(exported(database, "csv", project))
    objects = read_jsonl(exported(database, "jsonl", project))
    assert [one["request_id"] for one in objects] == [one.id for one in in_order]
    for one, line, as_json in zip(in_order, lines, objects, strict=True):
        assert line["client"] == ("'" if one.client.startswith(FORMULA_STARTS) else "") + one.client
        assert as_json["client"] == one.client
        for cells in (line, as_json):
            assert Decimal(cells["cost_usd"]) == one.cost_micros * MICRO
            assert Decimal(cells["saved_usd"]) == one.saved_micros * MICRO
            layers = {name: Decimal(value) for name, value in cells.items() if name.startswith("saved_")}
            del layers["saved_usd"]
            saved = {f"saved_{layer}_usd": amount * MICRO for layer, amount in one.saved.items()}
            assert {name: amount for name, amount in layers.items() if amount} == saved


def test_no_cell_of_text_is_a_formula(database: Database) -> None:
    fields = ("id", "client", "conversation", "model_requested", "model", "route_reason", "cache", "stop_reason")
    evil = [(field, f'{start}cmd|"/c calc"!A{n}') for n, start in enumerate(FORMULA_STARTS) for field in fields]
    written = [row(**{"id": f"request {n:03}", field: text}) for n, (field, text) in enumerate(evil)]
    database.write(written)
    lines = {line["request_id"]: line for line in read_csv(exported(database, "csv"))}
    for one, (field, text) in zip(written, evil, strict=True):
        line = lines["'" + text if field == "id" else one.id]
        assert line["request_id" if field == "id" else field] == "'" + text


def test_a_formula_behind_another_countrys_separator_stays_in_its_cell(database: Database) -> None:
    database.write([row(client="a;=1+1")])
    assert ',"a;=1+1",' in exported(database, "csv")


def test_negative_amounts_stay_numbers(database: Database) -> None:
    database.write([row(baseline_micros=Decimal(0), saved={"prompt_cache": Decimal(-1)})])
    (line,) = read_csv(exported(database, "csv"))
    assert line["saved_usd"] == line["saved_prompt_cache_usd"] == "-0.000001"


def test_text_of_any_language_is_utf_8(database: Database) -> None:
    database.write([row(client="Zürich, \u65e5\u672c \U0001f600")])
    assert read_csv(exported(database, "csv"))[0]["client"] == "Zürich, \u65e5\u672c \U0001f600"


def test_a_layer_of_a_users_own_gets_a_column_after_the_others(database: Database) -> None:
    database.write([row(saved={"my_addon": Decimal(2)}), row(project="other", saved={"their_addon": Decimal(2)})])
    (line,) = read_csv(exported(database, "csv", "default"))
    names = list(line)
    assert line["saved_my_addon_usd"] == "0.000002"
    assert names.index("saved_my_addon_usd") == names.index(f"saved_{LAYERS[-1]}_usd") + 1
    assert "saved_their_addon_usd" not in names


def test_one_project_never_gets_anothers_rows(database: Database) -> None:
    database.write([row(project="ours", id="a"), row(project="theirs", id="b")])
    assert [line["request_id"] for line in read_csv(exported(database, "csv", "ours"))] == ["a"]
    assert len(read_csv(exported(database, "csv", EVERY_PROJECT))) == 2


@pytest.mark.parametrize("project", ["default", EVERY_PROJECT])
def test_every_row_comes_once_and_in_order_over_many_pages(
    database: Database, project: ProjectScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "PAGE", 7)
    monkeypatch.setattr(columns, "_RECORDS", columns._RECORDS.limit(7))
    moments = [NOON + timedelta(seconds=second // 5) for second in range(40)]
    database.write([row(id=f"{number:02}", time=moment) for number, moment in enumerate(moments)])
    told: list[tuple[int, int]] = []
    text = exported(database, "csv", project, progress=lambda done, of: told.append((done, of)))
    assert [line["request_id"] for line in read_csv(text)] == [f"{number:02}" for number in range(40)]
    assert told == [(done, 40) for done in (7, 14, 21, 28, 35, 40)]


def test_a_range_holds_its_beginning_and_not_its_end(database: Database) -> None:
    hours = [NOON + timedelta(hours=hour) for hour in range(4)]
    database.write([row(id=str(hour.hour), time=hour) for hour in hours])
    lines = read_csv(exported(database, "csv", since=hours[1], until=hours[3]))
    assert [line["request_id"] for line in lines] == ["13", "14"]


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_without_pyarrow_says_what_to_install(database: Database) -> None:
    out = io.BytesIO()
    with pytest.raises(ParquetMissingError, match=r"pip install 'cgw\[parquet\]'"):
        export(database, out, project="default", file_format="parquet")
    assert out.getvalue() == b""


def test_parquet_holds_exact_decimals_and_utc_times(database: Database) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="NOT TESTED: Parquet. To run it: pip install pyarrow")
    database.write([row(cost_micros=Decimal("0.01"), stop_reason=None)])
    out = io.BytesIO()
    assert export(database, out, project="default", file_format="parquet") == 1
    table = parquet.read_table(io.BytesIO(out.getvalue()))
    (line,) = table.to_pylist()
    assert table.column_names == PROMISED_COLUMNS
    assert (line["time"], line["cost_usd"], line["stop_reason"]) == (NOON, Decimal("0.00000001"), None)
