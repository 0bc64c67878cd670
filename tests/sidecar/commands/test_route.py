"""`cgw route explain`: from a file or the standard input, in any dialect, for readers and for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sidecar.cli import app

TITLE = "You are a title generator. You output ONLY a thread title."
HARD = "Find the race condition in the cart."
CHAT = {"model": "auto", "messages": [{"role": "system", "content": TITLE}, {"role": "user", "content": "hi"}]}
MESSAGES = {"model": "auto", "max_tokens": 9_000, "system": TITLE, "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "auto", "instructions": TITLE, "input": "hi"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CGW_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "140")
    return tmp_path


def explain(*arguments: str, body: Any = None) -> Result:
    given = body if isinstance(body, str) else json.dumps(body)
    return CliRunner().invoke(app, ["route", "explain", *arguments], input=None if body is None else given)


@pytest.mark.parametrize("body", [CHAT, MESSAGES, RESPONSES])
def test_any_dialect_is_explained_the_same(body: dict[str, Any]) -> None:
    told = json.loads(explain("-", "--json", body=body).stdout)
    assert (told["model"], told["reason"], told["lane"]) == ("claude-haiku-5-5", "errand", "errand")
    [signal] = told["signals"]
    assert (signal["rule"], signal["points"], signal["evidence"]) == ("title.system", 100, "title generator")
    assert told["scores"]["errand"] == {"points": 100, "from": 100}
    assert list(told["costs_usd"]) == ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"]
    assert told["comparison"].startswith("moved: 1 request cost")


def test_a_reader_sees_signals_scores_candidates_and_prices(home: Path) -> None:
    file = home / "request.json"
    file.write_text(json.dumps({"model": "auto", "messages": [{"role": "user", "content": HARD}]}), encoding="utf-8")
    shown = explain(str(file))
    assert shown.exit_code == 0
    assert shown.stdout.startswith("claude-opus-5-5  (complex: concurrency)")
    for text in ("race condition", "+100", "counts from", "claude-haiku-5-5", "chosen", "nothing is warm"):
        assert text in shown.stdout


def test_the_users_own_rules_and_names_count(home: Path) -> None:
    (home / "cgw.toml").write_text('[routing]\ndeny = ["opus"]\n', encoding="utf-8")
    told = json.loads(explain("-", "--json", body={"model": "auto", "input": HARD}).stdout)
    assert (told["model"], told["reason"]) == ("claude-sonnet-5-5", "complex")


def test_what_routing_would_not_act_on_is_said() -> None:
    shown = explain("-", body={**CHAT, "model": "opus"})
    assert "It names opus" in shown.stderr
    assert json.loads(explain("-", "--json", body={**CHAT, "model": "opus"}).stdout)["acts"] is False


@pytest.mark.parametrize(
    ("arguments", "body", "says"),
    [
        (["nowhere.json"], None, "nowhere.json cannot be read"),
        (["-"], "{", "- is not JSON"),
        (["-"], "[]", "holds no JSON object"),
        (["-"], {"model": "auto", "messages": 7}, "messages"),
        (["-", "-H", "no colon"], CHAT, "write it as 'Name: value'"),
        (["-"], {"model": "nobody", "messages": [{"role": "user", "content": "x"}]}, "There is no model"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(arguments: list[str], body: Any, says: str) -> None:
    refused = explain(*arguments, body=body)
    assert refused.exit_code == 2
    assert says in refused.stderr.replace("\n", " ")
