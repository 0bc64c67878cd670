"""Thinking and effort, fitted to models of each age."""

from typing import Any

import pytest

from sidecar.exchange import Note
from sidecar.fit import fit
from sidecar.models.catalogue import Catalogue

CATALOGUE = Catalogue()
ALWAYS = {"type": "adaptive", "display": "omitted"}
SEEN = {"type": "adaptive", "display": "summarized"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "text"}]}
TOOLS = [{"name": "read", "input_schema": {"type": "object"}}]


def fitted(model: str, *, hint: str | None = None, **fields: Any) -> tuple[dict[str, Any], list[Note]]:
    request = {"model": "asked", "max_tokens": 64_000, "messages": [{"role": "user", "content": "Hello."}], **fields}
    return fit(request, CATALOGUE.card(model), api_version="2026-10-21", default_max_tokens=None, effort_hint=hint)


def wish(request: dict[str, Any]) -> tuple[Any, Any]:
    return request.get("thinking"), request.get("output_config")


def effort(level: str) -> dict[str, Any]:
    return {"output_config": {"effort": level}}


EFFORT_ALONE = {
    ("claude-opus-5-5", "medium"): (SEEN, {"effort": "medium"}),
    ("claude-fable-5-2", "max"): (SEEN, {"effort": "max"}),
    ("claude-opus-4-8", "xhigh"): (SEEN, {"effort": "xhigh"}),
    ("claude-opus-4-6", "xhigh"): (SEEN, {"effort": "high"}),
    ("claude-sonnet-4-6", "max"): (SEEN, {"effort": "max"}),
    ("claude-opus-4-5", "max"): ({"type": "enabled", "budget_tokens": 32_000}, {"effort": "high"}),
    ("claude-haiku-4-5", "low"): ({"type": "enabled", "budget_tokens": 2_048}, None),
    ("claude-sonnet-4-5", "high"): ({"type": "enabled", "budget_tokens": 16_384}, None),
}


@pytest.mark.parametrize(("model", "level"), EFFORT_ALONE)
def test_an_effort_becomes_thinking_that_can_be_seen(model: str, level: str):
    request, _ = fitted(model, **effort(level))
    assert wish(request) == EFFORT_ALONE[model, level]


def test_an_effort_that_the_model_knows_needs_no_note():
    assert fitted("claude-opus-5-5", **effort("high"))[1] == []


def test_a_lowered_effort_is_told():
    [note] = fitted("claude-opus-4-6", **effort("xhigh"))[1]
    assert (note.field, note.action) == ("output_config.effort", "changed")
    assert "high" in note.detail


def test_an_effort_that_became_a_budget_is_told_as_no_loss():
    assert {note.action for note in fitted("claude-haiku-4-5", **effort("high"))[1]} == {"mapped"}


@pytest.mark.parametrize(
    ("max_tokens", "thinking"),
    [
        (64_000, {"type": "enabled", "budget_tokens": 16_384}),
        (4_096, {"type": "enabled", "budget_tokens": 2_048}),
        (2_048, {"type": "enabled", "budget_tokens": 1_024}),
        (2_047, None),
        (100, None),
        (0, None),
    ],
)
def test_a_budget_leaves_half_of_max_tokens_to_the_answer_or_is_left_out(max_tokens: int, thinking: Any):
    request, notes = fitted("claude-haiku-4-5", max_tokens=max_tokens, **effort("high"))
    assert wish(request) == (thinking, None)
    assert request["max_tokens"] == max_tokens
    assert any(note.action == "dropped" for note in notes) == (thinking is None)


OFF = {
    "claude-opus-5-5": (ALWAYS, {"effort": "low"}),
    "claude-fable-5-2": (ALWAYS, {"effort": "low"}),
    "claude-sonnet-5-5": ({"type": "between_tools"}, None),
    "claude-haiku-5-5": ({"type": "disabled"}, None),
    "claude-opus-4-6": ({"type": "disabled"}, None),
    "claude-haiku-4-5": ({"type": "disabled"}, None),
}


@pytest.mark.parametrize("model", OFF)
def test_thinking_is_turned_off_as_far_as_the_model_lets_itself(model: str):
    assert wish(fitted(model, thinking={"type": "disabled"})[0]) == OFF[model]


@pytest.mark.parametrize("model", OFF)
def test_between_tools_is_the_same_wish(model: str):
    assert wish(fitted(model, thinking={"type": "between_tools"})[0]) == OFF[model]


def test_only_a_model_that_thinks_on_is_told_as_a_loss():
    def actions(model: str) -> set[str]:
        return {note.action for note in fitted(model, thinking={"type": "disabled"})[1]}

    assert actions("claude-opus-5-5") == {"changed"}
    assert actions("claude-sonnet-5-5") == {"mapped"}
    assert actions("claude-haiku-5-5") == set()


def test_an_effort_beside_thinking_off_stays_the_clients():
    request, _ = fitted("claude-opus-5-5", thinking={"type": "disabled"}, **effort("medium"))
    assert wish(request) == (ALWAYS, {"effort": "medium"})


@pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5"])
def test_without_thinking_there_is_no_effort_above_high(model: str):
    request, notes = fitted(model, thinking={"type": "disabled"}, **effort("max"))
    assert request["output_config"] == {"effort": "high"}
    assert "changed" in {note.action for note in notes}


BUDGETS = {
    ("claude-opus-5-5", 1_024): ({"type": "adaptive"}, {"effort": "low"}),
    ("claude-opus-4-7", 8_000): ({"type": "adaptive"}, {"effort": "medium"}),
    ("claude-sonnet-5-5", 31_999): ({"type": "adaptive"}, {"effort": "high"}),
    ("claude-opus-4-6", 5_000): ({"type": "enabled", "budget_tokens": 5_000}, None),
    ("claude-haiku-4-5", 5_000): ({"type": "enabled", "budget_tokens": 5_000}, None),
    ("claude-haiku-4-5", 10): ({"type": "enabled", "budget_tokens": 1_024}, None),
    ("claude-haiku-4-5", 64_000): ({"type": "enabled", "budget_tokens": 63_999}, None),
}


@pytest.mark.parametrize(("model", "budget"), BUDGETS)
def test_a_budget_is_kept_where_there_are_budgets_and_is_an_effort_elsewhere(model: str, budget: int):
    request, _ = fitted(model, thinking={"type": "enabled", "budget_tokens": budget})
    assert wish(request) == BUDGETS[model, budget]


def test_a_budget_without_room_for_it_is_left_out():
    request, [note] = fitted("claude-haiku-4-5", max_tokens=1_000, thinking={"type": "enabled", "budget_tokens": 1_024})
    assert "thinking" not in request
    assert (note.field, note.action) == ("thinking", "dropped")


def test_the_display_asked_for_survives_the_change_of_kind():
    thinking = {"type": "enabled", "budget_tokens": 2_000, "display": "omitted"}
    assert fitted("claude-opus-5-5", thinking=thinking)[0]["thinking"] == {"type": "adaptive", "display": "omitted"}
    request, _ = fitted("claude-haiku-4-5", thinking=SEEN)
    assert request["thinking"] == {"type": "enabled", "budget_tokens": 16_384, "display": "summarized"}


def test_adaptive_thinking_stays_as_it_is_where_it_is_known():
    assert fitted("claude-opus-5-5", thinking={"type": "adaptive"})[0]["thinking"] == {"type": "adaptive"}


class TestTheSuffixOfAModelsName:
    def test_asks_for_thinking_at_its_effort(self):
        assert wish(fitted("claude-opus-5-5", hint="max")[0]) == (SEEN, {"effort": "max"})
        assert wish(fitted("claude-haiku-4-5", hint="low")[0]) == ({"type": "enabled", "budget_tokens": 2_048}, None)

    def test_gives_way_to_what_the_request_says(self):
        assert wish(fitted("claude-opus-5-5", hint="max", **effort("low"))[0]) == (SEEN, {"effort": "low"})
        assert wish(fitted("claude-opus-5", hint="max", thinking={"type": "disabled"})[0]) == (
            {"type": "disabled"},
            None,
        )

    def test_keeps_the_form_of_answer_asked_for(self):
        form = {"type": "json_schema", "schema": {"type": "object", "additionalProperties": False}}
        request, _ = fitted("claude-opus-5-5", hint="low", output_config={"format": form})
        assert request["output_config"] == {"format": form, "effort": "low"}


class TestToolCallsThatCameBackWithoutTheirThinking:
    def request(self, *before: dict[str, Any]) -> dict[str, Any]:
        question = {"role": "user", "content": "Read."}
        return {"messages": [question, {"role": "assistant", "content": [*before, CALL]}, RESULT]}

    def test_go_on_without_a_budget(self):
        request, notes = fitted("claude-haiku-4-5", tools=TOOLS, **self.request(), **effort("high"))
        assert wish(request) == (None, None)
        assert {note.action for note in notes} == {"dropped"}

    def test_keep_the_budget_where_the_thinking_is_there(self):
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
        request, _ = fitted("claude-haiku-4-5", tools=TOOLS, **self.request(thought), **effort("high"))
        assert request["thinking"]["type"] == "enabled"

    def test_need_it_only_where_the_run_of_calls_began(self):
        thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
        again = {**CALL, "id": "toolu_2"}
        messages = [
            *self.request(thought)["messages"],
            {"role": "assistant", "content": [again]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_2", "content": "text"}]},
        ]
        request, _ = fitted("claude-haiku-4-5", tools=TOOLS, messages=messages, **effort("high"))
        assert request["thinking"]["type"] == "enabled"

    def test_are_done_with_when_the_user_speaks_again(self):
        messages = [
            *self.request()["messages"],
            {"role": "assistant", "content": "Done."},
            {"role": "user", "content": "And now?"},
        ]
        request, _ = fitted("claude-haiku-4-5", tools=TOOLS, messages=messages, **effort("high"))
        assert request["thinking"]["type"] == "enabled"

    def test_trouble_no_adaptive_model(self):
        request, _ = fitted("claude-opus-5-5", tools=TOOLS, **self.request(), **effort("high"))
        assert wish(request) == (SEEN, {"effort": "high"})
