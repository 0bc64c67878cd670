"""`cgw show` as its user meets it."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime

import pytest
import typer
from typer.testing import CliRunner, Result

from sidecar.commands.show import show
from sidecar.cut_texts import CutTexts
from sidecar.cuts import cut_id
from sidecar.home import Home
from sidecar.store.shelves import Shelves

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LOG = "".join(f"line {number}\n" for number in range(500))


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("home"))
    home.open()
    return home


def keep(home: Home, *texts: str) -> None:
    with closing(Shelves(home, None)) as shelves:
        cut_texts = CutTexts(shelves)
        for text in texts:
            cut_texts.keep(text, "result of run", at=NOON, project="web", client="cline")


def cgw_show(home: Home, *arguments: str, columns: int = 120) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    app.add_typer(show)
    ran = CliRunner().invoke(
        app, ["show", *arguments], env={"CGW_HOME": str(home.path), "COLUMNS": str(columns), "NO_COLOR": "1"}
    )
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


@pytest.mark.parametrize("text", [LOG, "one line without an end", "Grüße 👋\r\n"])
def test_a_text_comes_back_as_it_was(home: Home, text: str) -> None:
    keep(home, text)
    assert cgw_show(home, cut_id(text)).stdout_bytes.decode() == (text if text.endswith("\n") else text + "\n")


def test_for_scripts_it_comes_with_what_is_known_of_it(home: Home) -> None:
    keep(home, LOG)
    assert json.loads(cgw_show(home, cut_id(LOG), "--json").stdout) == {
        "id": cut_id(LOG),
        "what": "result of run",
        "characters": len(LOG),
        "lines": 500,
        "cut_at": "2026-11-22T12:00:00+00:00",
        "project": "web",
        "client": "cline",
        "text": LOG,
    }


def test_the_list_begins_with_the_newest(home: Home) -> None:
    keep(home, "first", "second")
    keep(home, LOG)
    head, *rows = cgw_show(home).stdout.splitlines()
    assert head.split() == ["id", "cut", "(UTC)", "what", "characters", "lines", "project", "client"]
    assert [row.split()[0] for row in rows] == [cut_id(LOG), cut_id("second"), cut_id("first")]
    assert f"{len(LOG):,}" in rows[0]
    assert [head["id"] for head in json.loads(cgw_show(home, "--json").stdout)] == [row.split()[0] for row in rows]


def test_in_a_narrow_terminal_the_ids_can_still_be_copied(home: Home) -> None:
    keep(home, LOG)
    ran = cgw_show(home, columns=60)
    assert cut_id(LOG) in ran.stdout
    assert f"{len(LOG):,}" in ran.stdout
    assert "…" not in ran.stdout


def test_a_text_that_is_cut_again_is_listed_once(home: Home) -> None:
    keep(home, "first", LOG, "first")
    assert [head["id"] for head in json.loads(cgw_show(home, "--json").stdout)] == [cut_id("first"), cut_id(LOG)]


def test_an_unknown_id_ends_with_the_next_step(home: Home) -> None:
    ran = cgw_show(home, "0123456789ab")
    assert ran.exit_code == 1
    assert "Nothing that was cut is kept under 0123456789ab: `cgw show` lists what there is" in ran.stderr


def test_an_empty_list_says_so(home: Home) -> None:
    ran = cgw_show(home)
    assert ran.exit_code == 0
    assert "Nothing was cut yet." in ran.stdout
    assert json.loads(cgw_show(home, "--json").stdout) == []
