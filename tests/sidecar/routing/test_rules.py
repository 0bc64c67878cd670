"""The table of rules: the shipped one as a whole, and what a user may write over it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sidecar.config import Settings
from sidecar.routing.rules import CONDITIONS, LANES, SCORES, WISHES, RulesError, read_table, shipped, table_of
from sidecar.routing.subject import Subject

TITLE = Subject(client="opencode", purpose="you are a title generator.")


def rule_of(name: str) -> dict[str, Any]:
    return next(dict(row) for row in shipped()["rules"] if row["name"] == name)


def test_the_shipped_table_is_whole() -> None:
    names = [row["name"] for row in shipped()["rules"]]
    assert len(set(names)) == len(names)
    table = table_of({})
    assert [rule.name for rule in table.rules] == names
    assert set(table.thresholds) == set(SCORES)
    assert all(set(table.lanes[wish]) == set(LANES) for wish in WISHES)
    assert {rule.score for rule in table.rules} == set(SCORES)


def test_no_rule_matches_an_empty_request() -> None:
    nothing = Subject(client="unknown", tools=3)
    assert table_of({}).signals(nothing) == []


@pytest.mark.parametrize("field", ["system", "purpose", "asks", "words", "task"])
def test_patterns_are_written_in_the_lower_case_that_they_are_compared_in(field: str) -> None:
    for row in shipped()["rules"]:
        pattern = str(row.get(field, ""))
        assert pattern.replace(r"\S", "").replace(r"\W", "").islower() or not pattern, row["name"]


def test_a_rule_of_the_same_name_has_its_fields_replaced_and_others_are_added() -> None:
    own = {"name": "ours", "score": "errand", "points": 100, "words": "^release notes"}
    table = read_table({"rules": [{"name": "title.system", "points": 0}, own]})
    assert table.signals(TITLE) == []
    [signal] = table.signals(Subject(client="unknown", words="release notes for 2.0"))
    assert (signal.rule, signal.points, signal.evidence) == ("ours", 100, "release notes")


def test_thresholds_and_lanes_can_be_set_one_by_one() -> None:
    table = read_table({"thresholds": {"errand": 101}, "lanes": {"auto": {"complex": "fable"}}, "deny": "opus"})
    assert not table.reaches("errand", table.signals(TITLE))
    assert table.thresholds["complex"] == shipped()["thresholds"]["complex"]
    assert table.lanes["auto"]["complex"] == ("fable",)
    assert table.lanes["auto"]["errand"][0] == "haiku"
    assert table.deny == ("opus",)


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"rule": []}, "has no `rule`"),
        ({"rules": {}}, "are tables, one a rule"),
        ({"rules": ["x"]}, "1 is a table"),
        ({"rules": [{"points": 1}]}, "has no `name`"),
        ({"rules": [{"name": "a", "score": "errand", "points": 1}]}, "no condition"),
        ({"rules": [{"name": "a", "score": "haiku", "points": 1, "words": "x"}]}, "`score` is one of"),
        ({"rules": [{"name": "a", "score": "errand", "points": "1", "words": "x"}]}, "`points` is a whole number"),
        ({"rules": [{"name": "a", "score": "errand", "points": 1, "words": "("}]}, "a regular expression"),
        ({"rules": [{"name": "a", "score": "errand", "points": 1, "chars": -1}]}, "a whole number, at most"),
        ({"rules": [{"name": "a", "score": "errand", "points": 1, "first": 1}]}, "true or false"),
        ({"rules": [{"name": "a", "score": "errand", "points": 1, "word": "x"}]}, "conditions are"),
        ({"rules": [{"name": "tiny_answer", "points": 0}] * 2}, "is there twice"),
        ({"thresholds": {"errand": 0}}, "whole numbers from 1 on"),
        ({"lanes": {"slow": {}}}, "there are auto, fast, best"),
        ({"lanes": {"auto": {"errands": "haiku"}}}, "has no `errands`"),
        ({"lanes": {"auto": {"errand": []}}}, "a model or a list of models"),
        ({"deny": [1]}, "a model or a list of models"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_a_sentence(own: dict[str, Any], says: str) -> None:
    with pytest.raises(RulesError, match=says.replace("(", r"\(")):
        read_table(own)
    with pytest.raises(ValidationError):
        Settings(routing=own)


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_is_met_or_not(name: str) -> None:
    value: dict[str, Any] = {
        "clients": ["aider"], "tools": True, "first": False, "results": True, "images": True, "schema": True,
        "prefill": True, "max_tokens": 0, "chars": 0, "chars_from": 10**6, "diff_lines": 10**6, "steps": 10**6,
        "same_test": 9, "failed_edits": 9, "apologies": 9, "complaints": 9,
    }  # fmt: skip
    table = read_table(
        {"rules": [{"name": "only", "score": "errand", "points": 1, name: value.get(name, "nowhere to be found")}]}
    )
    subject = Subject(client="unknown", chars=5, max_tokens=9, words="w", task="t", asks="a", system="s", purpose="p")
    assert "only" not in [signal.rule for signal in table.signals(subject)]
