"""What is said of the interceptor."""

from __future__ import annotations

from sidecar.config import Settings
from sidecar.interception.telling import state_line, welcome


def test_the_start_says_who_pays() -> None:
    said = welcome(Settings(intercept=True))
    assert "http://127.0.0.1:4344" in said
    assert "api.openai.com and api.anthropic.com" in said
    assert "your Anthropic API key pays" in said
    assert "subscription's token (sk-ant-oat...) go on to Anthropic unchanged" in said


def test_and_says_so_too_where_the_key_pays_for_what_a_subscription_would() -> None:
    said = welcome(Settings(intercept=True, intercept_subscriptions=True))
    assert "INTERCEPT_SUBSCRIPTIONS is on" in said
    assert "unchanged" not in said


def test_no_port_is_named_before_it_is_known() -> None:
    assert "a free port" in welcome(Settings(intercept=True, intercept_port=0))


def test_its_state_is_one_line() -> None:
    told = {"state": "running", "url": "http://127.0.0.1:4344", "hosts": ["a.example", "b.example"]}
    assert state_line(told) == "Interceptor: running at http://127.0.0.1:4344 for a.example, b.example."
    assert "(exit code 1)" in str(state_line(told | {"state": "restarting", "error": "exit code 1"}))


def test_what_its_user_should_know_stands_below() -> None:
    told = {"state": "running", "url": "http://127.0.0.1:4344", "hosts": ["a.example"], "warning": "A program asked."}
    assert str(state_line(told)).splitlines() == [
        "Interceptor: running at http://127.0.0.1:4344 for a.example.",
        "A program asked.",
    ]


def test_one_that_nobody_asked_for_is_not_spoken_of() -> None:
    assert state_line({"state": "off"}) is None
    assert state_line({}) is None  # an older sidecar
