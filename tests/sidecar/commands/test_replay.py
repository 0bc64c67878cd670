"""`cgw replay` plays recordings without a key, prints what they cost, and says in a sentence what it cannot play."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sidecar.cli import app

LINES = "\n".join(f"{number}: a line that is long enough to be worth something" for number in range(60))
MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": f"Look at this:\n{LINES}"},
    {"role": "assistant", "content": "I see."},
    {"role": "user", "content": f"And again, with more:\n{LINES}\nmore"},
    {"role": "assistant", "content": "The same."},
]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"name": "one", "client": "an editor", "messages": MESSAGES}))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def test_it_says_by_client_and_in_all_what_a_recording_costs(recording: Path) -> None:
    ran = run(recording, "--json", "--lossless")
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["complete"] is True
    assert [line["key"] for line in told["lines"]] == ["an editor", "all"]
    whole = told["lines"][-1]
    assert (whole["requests"], whole["failed"], whole["characters_lost"], whole["prefix_breaks"]) == (2, 0, 0, 0)
    assert 0 < float(whole["input_usd"]["cgw"]) < float(whole["input_usd"]["plain"])
    assert sum(map(float, whole["saved_usd_by_layer"].values())) == pytest.approx(
        float(whole["input_usd"]["plain"]) - float(whole["input_usd"]["cgw"]), rel=0.1
    )


def test_people_get_a_table(recording: Path) -> None:
    ran = run(recording.parent, "--gap", "600")
    assert ran.exit_code == 0, ran.output
    assert "What the prompts cost" in ran.stdout
    assert "an editor" in ran.stdout
    assert "all" in ran.stdout


@pytest.mark.parametrize(
    ("name", "content", "options", "code", "said"),
    [
        ("notes.json", "{}", [], 1, "is no recording"),
        ("one.json", json.dumps({"messages": MESSAGES}), ["--gap", "soon"], 2, "--gap is `recorded`"),
        ("one.json", json.dumps({"messages": MESSAGES}), ["--gap", "-1"], 2, "--gap is `recorded`"),
        ("one.json", json.dumps({"messages": MESSAGES}), ["--model", "claude-opus-9"], 1, "claude-opus-9"),
        ("one.json", json.dumps({"messages": MESSAGES}), ["--model", "nonsense"], 2, "There is no model 'nonsense'"),
    ],
)
def test_what_cannot_be_played_is_said_in_a_sentence(
    tmp_path: Path, name: str, content: str, options: list[str], code: int, said: str
) -> None:
    (tmp_path / name).write_text(content)
    ran = run(tmp_path / name, *options)
    assert ran.exit_code == code
    assert said in ran.stderr
    assert "Traceback" not in ran.output


def test_a_session_with_a_refused_request_is_shown_and_fails(tmp_path: Path) -> None:
    odd = [{"role": "nobody", "content": "?"}, {"role": "assistant", "content": "!"}]
    (tmp_path / "one.json").write_text(json.dumps({"messages": [*MESSAGES, *odd]}))
    ran = run(tmp_path / "one.json", "--json")
    assert ran.exit_code == 1
    assert "1 request was not answered" in ran.stderr
    assert json.loads(ran.stdout)["lines"][-1]["requests"] == 2
