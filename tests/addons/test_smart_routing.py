"""The layer that chooses the model, with the memory of conversations before it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addons.smart_routing import SmartRouting
from sidecar import own_router
from sidecar.exchange import Json
from sidecar.projects.policy import Policy
from sidecar.user_files import UserFileError
from tests.support.talks import Talk, assistant, call, result, user

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"
AGENT = [{"type": "text", "text": "You are an agent that works on a repository. " * 40}]
TOOLS = [{"name": "read_file", "input_schema": {"type": "object"}}]
COMPLEX = "Design the architecture for a zero-downtime migration to OAuth."
TITLE = {
    "system": [{"type": "text", "text": "You are a title generator. You output ONLY a thread title."}],
    "messages": [user("fix the flaky test")],
}


def chat(*messages: Json, **fields: Any) -> Json:
    return {"model": "auto", "system": AGENT, "tools": TOOLS, "messages": list(messages), **fields}


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    talk = Talk(tmp_path, SmartRouting)
    yield talk
    talk.close()


def routed(talk: Talk, request: Json, **fields: Any) -> tuple[str, str]:
    talk.send(request, **{"wish": "auto", "model_asked": "auto", **fields})
    return talk.exchange.model, talk.exchange.route_reason


def test_errands_complex_tasks_and_the_rest_go_to_their_models(talk: Talk) -> None:
    assert routed(talk, TITLE) == (HAIKU, "errand")
    assert routed(talk, chat(user("Add a flag --quiet."))) == (SONNET, "ordinary")
    assert routed(talk, chat(user(COMPLEX))) == (OPUS, "complex")


def test_a_decision_is_told_with_signals_costs_and_the_alternative(talk: Talk) -> None:
    routed(talk, TITLE)
    route = talk.exchange.route
    assert route is not None
    assert [model for model, _ in route.costs] == [HAIKU, SONNET, OPUS]
    assert route.stay == SONNET
    assert "signals=title.system +100" in route.header()
    decision = talk.exchange.decisions[0]
    assert decision.layer == "smart_routing"
    assert decision.numbers["move_micro_usd"] < decision.numbers["stay_micro_usd"]


def test_a_named_model_is_kept_unless_the_project_says_otherwise(talk: Talk) -> None:
    named = {"wish": None, "model_asked": "opus", "model": OPUS}
    routed(talk, TITLE, **named)
    assert (talk.exchange.model, talk.exchange.route) == (OPUS, None)
    wants = Policy(switches={"route_named_models": True})
    assert routed(talk, TITLE, **named, policy=wants) == (HAIKU, "errand")


@pytest.mark.parametrize("off", [{"client_headers": {"x-gateway-routing": "off"}}, {"holdout": True}])
def test_routing_can_be_left_out_of_a_request(talk: Talk, off: dict[str, Any]) -> None:
    if "holdout" in off:
        talk.memory._holdout_percent = 100.0
        off = {}
    routed(talk, TITLE, **off)
    assert talk.exchange.route is None


def test_a_conversation_keeps_its_model_when_it_speaks_of_hard_things_later(talk: Talk) -> None:
    first = [user("Add a flag --quiet.")]
    assert routed(talk, chat(*first))[0] == SONNET
    more = [*first, assistant("Done."), user(COMPLEX)]
    assert routed(talk, chat(*more)) == (SONNET, "sticky")


def test_a_changed_answer_does_not_begin_another_conversation(talk: Talk) -> None:
    assert routed(talk, chat(user(COMPLEX)))[0] == OPUS
    assert routed(talk, chat(user(COMPLEX), assistant("A plan."), user("Go on."))) == (OPUS, "sticky")
    rewritten = chat(
        user(COMPLEX), assistant("A plan, told otherwise."), user("Go on."), assistant("Done."), user("ok")
    )
    assert routed(talk, rewritten) == (OPUS, "sticky")


def test_a_conversation_never_goes_on_in_another_project(talk: Talk) -> None:
    assert routed(talk, chat(user(COMPLEX)), project="one")[0] == OPUS
    goes_on = chat(user(COMPLEX), assistant("A plan."), user("Go on."))
    assert routed(talk, goes_on, project="two") == (SONNET, "ordinary")


def test_an_errand_inside_a_conversation_changes_nothing_of_it(talk: Talk) -> None:
    said = [user(COMPLEX), assistant("A plan.")]
    assert routed(talk, chat(said[0]))[0] == OPUS
    summary = "Your task is to create a detailed summary of the conversation so far."
    assert routed(talk, chat(*said, user(summary))) == (HAIKU, "errand")
    assert routed(talk, chat(*said, user("Go on."))) == (OPUS, "sticky")


@pytest.mark.parametrize(
    "trouble",
    [
        [user("That is wrong, it still fails.")],
        [user(result("1", "FAILED tests/test_a.py::test_b - assert 1 == 2"))],
        [user("ok"), assistant("I apologize for that."), user("ok"), assistant("I'm sorry about that."), user("ok")],
        [user(result("1", "String to replace not found in file.")), assistant(call("3")),
         user(result("3", "String to replace not found in file."))],
    ],
)  # fmt: skip
def test_trouble_that_can_be_seen_moves_a_conversation_up(talk: Talk, trouble: list[Json]) -> None:
    begun = [user("Fix test_b."), assistant(call("0"))]
    failing = [user(result("0", "FAILED tests/test_a.py::test_b - assert 1 == 2")), assistant("Changed.", call("1"))]
    assert routed(talk, chat(begun[0]))[0] == SONNET
    assert routed(talk, chat(*begun, failing[0]))[0] == SONNET
    if trouble[0]["content"][0]["type"] == "text":
        failing[1] = assistant("Changed.")
    assert routed(talk, chat(*begun, *failing, *trouble)) == (OPUS, "trouble")
    assert "$" in str(talk.exchange.decisions[0]) or talk.exchange.decisions[0].numbers["move_micro_usd"]
    assert routed(talk, chat(*begun, *failing, *trouble, assistant("Done."), user("Thanks."))) == (OPUS, "sticky")


def test_a_model_stays_inside_a_tool_loop_with_signed_thinking(talk: Talk) -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"}
    loop = [user("Fix it."), assistant(thinking, call("1")), user(result("1", "FAILED a.py::b"))]
    assert routed(talk, chat(loop[0]))[0] == SONNET
    assert routed(talk, chat(*loop)) == (SONNET, "tool loop")
    further = [*loop, assistant(thinking, call("2")), user(result("2", "FAILED a.py::b"))]
    assert routed(talk, chat(*further)) == (SONNET, "tool loop")
    assert routed(talk, chat(*further, assistant("Hm."), user("Still failing."))) == (OPUS, "trouble")


def test_no_model_is_chosen_that_the_project_may_not_use(talk: Talk) -> None:
    assert routed(talk, TITLE, policy=Policy(models=("sonnet", "opus"))) == (SONNET, "errand")
    assert routed(talk, chat(user(COMPLEX)), policy=Policy(denied=("opus",))) == (SONNET, "complex")
    assert routed(talk, chat(user("hi there")), policy=Policy(models=("haiku",)))[0] == HAIKU


def test_fast_and_best_shift_the_lanes(talk: Talk) -> None:
    assert routed(talk, chat(user("Add a flag.")), wish="best")[0] == OPUS
    assert routed(talk, chat(user("Add a flag.")), wish="fast")[0] == HAIKU
    assert routed(talk, chat(user("Add a flag.")))[0] == SONNET
    assert routed(talk, TITLE, wish="best")[0] == HAIKU


def test_what_was_decided_outlives_the_process(tmp_path: Path) -> None:
    talk = Talk(tmp_path, SmartRouting)
    assert routed(talk, chat(user(COMPLEX)))[0] == OPUS
    talk.close()
    again = Talk(tmp_path, SmartRouting)
    assert routed(again, chat(user(COMPLEX), assistant("A plan."), user("Go on."))) == (OPUS, "sticky")
    again.close()


def test_a_conversation_leaves_a_model_that_its_project_may_not_use_any_more(talk: Talk) -> None:
    assert routed(talk, chat(user(COMPLEX)))[0] == OPUS
    goes_on = [user(COMPLEX), assistant("A plan."), user("Go on.")]
    assert routed(talk, chat(*goes_on), policy=Policy(denied=("opus",))) == (SONNET, "complex")
    further = [*goes_on, assistant("Done."), user("Thanks.")]
    assert routed(talk, chat(*further)) == (SONNET, "sticky")


@pytest.mark.parametrize("lists", [[SONNET], [SONNET, HAIKU]])
def test_a_conversation_leaves_a_model_that_anthropic_no_longer_offers(talk: Talk, lists: list[str]) -> None:
    assert routed(talk, chat(user(COMPLEX)))[0] == OPUS
    talk.services.catalogue.update({"id": name, "created_at": "2026-01-01T00:00:00Z"} for name in lists)
    assert routed(talk, chat(user(COMPLEX), assistant("A plan."), user("Go on."))) == (SONNET, "complex")


def router(folder: Path, body: str) -> Path:
    file = folder / "router.py"
    file.write_text(f"def route(question):\n    {body}\n", encoding="utf-8")
    return file


def test_a_router_of_the_users_own_has_the_last_word(tmp_path: Path) -> None:
    body = "return 'opus' if 'sql' in question.words and question.proposal.reason == 'ordinary' else None"
    talk = Talk(tmp_path, SmartRouting, router=router(tmp_path, body))
    assert routed(talk, chat(user("Tune this SQL."))) == (OPUS, "own router")
    assert routed(talk, chat(user("Add a flag."))) == (SONNET, "ordinary")
    talk.close()


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('no')",
        "raise SystemExit(question.words)",
        "return 'gpt-nobody\\r\\nx: y'",
        "return question.words * 1000",
        "return ''",
        "return question",
        "return 7",
        "return 'fable'",
        "__import__('time').sleep(0.2) or 1; return 'opus'",
    ],
)
def test_a_router_that_fails_or_names_what_may_not_be_used_changes_nothing(
    tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(own_router, "PATIENCE_SECONDS", 0.02)
    talk = Talk(tmp_path, SmartRouting, router=router(tmp_path, body))
    allowed = Policy(denied=("fable",))
    assert routed(talk, chat(user("Add a flag.")), policy=allowed) == (SONNET, "ordinary")
    talk.close()
    assert "your router" in caplog.text
    assert "an agent that works on" not in caplog.text
    assert len(caplog.messages[0]) < 200


def test_a_router_that_hangs_is_asked_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(own_router, "PATIENCE_SECONDS", 0.01)
    hangs = threading.Event()
    monkeypatch.setattr(own_router, "hangs", hangs, raising=False)
    body = "__import__('sidecar.own_router').own_router.hangs.wait()"
    talk = Talk(tmp_path, SmartRouting, router=router(tmp_path, body))
    for number in range(own_router.MOST_HANGING + 2):
        assert routed(talk, chat(user(f"Add a flag {number}."))) == (SONNET, "ordinary")
    assert sum("asked no more" in message for message in caplog.messages) == 1
    hangs.set()
    talk.close()


def test_an_asynchronous_router_is_not_waited_for_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_router, "PATIENCE_SECONDS", 0.01)
    file = tmp_path / "later.py"
    file.write_text("import asyncio\nasync def route(question):\n    await asyncio.sleep(3600)\n", encoding="utf-8")
    talk = Talk(tmp_path, SmartRouting, router=file)
    assert routed(talk, chat(user("Add a flag."))) == (SONNET, "ordinary")
    talk.close()


def test_a_router_may_be_asynchronous_and_a_conversation_leaves_a_model_whose_window_it_outgrew(tmp_path: Path) -> None:
    file = tmp_path / "later.py"
    file.write_text("async def route(question):\n    return 'claude-haiku-4-5'\n", encoding="utf-8")
    talk = Talk(tmp_path, SmartRouting, router=file)
    first = user("Add a flag.")
    assert routed(talk, chat(first)) == ("claude-haiku-4-5", "own router")
    large = [first, assistant("Done."), user("Now read this: " + "lorem ipsum " * 100_000)]
    assert routed(talk, chat(*large)) == (SONNET, "ordinary")
    talk.close()


def test_a_router_file_without_its_function_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    with pytest.raises(UserFileError, match=r"has no function `route\(question\)`"):
        Talk(tmp_path, SmartRouting, router=tmp_path / "empty.py")
