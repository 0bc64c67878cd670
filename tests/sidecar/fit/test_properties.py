"""What holds for every conversation, whatever the model and whatever is asked of it."""

import copy
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.dialects.openai_chat import decode
from sidecar.exchange import Json
from sidecar.fit import fit
from sidecar.fit.thinking import lacks_thinking
from sidecar.models.catalogue import Catalogue, ModelCard
from sidecar.simulator.thinking_rules import ResponseMemory
from sidecar.simulator.validation import validate
from tests.support.messages_requests import assert_claude_takes

CATALOGUE = Catalogue()
CARDS = [card for card in CATALOGUE.listed() if card.id.startswith("claude-")]
TAKES_SAMPLING = CATALOGUE.card("claude-sonnet-4-6")
NAMES = ["read", "write"]
TOOLS = [{"type": "function", "function": {"name": name, "strict": name == "read"}} for name in NAMES]
CLOSED = {"type": "object", "properties": {"n": {"type": "integer"}}}

words = st.sampled_from(["hello", " two words \n", "ünï"]) | st.text(min_size=1, max_size=6)
systems = st.builds(lambda said: {"role": "system", "content": said}, words)
said = st.builds(lambda text: [{"role": "user", "content": text}], words)


def _call(number: int, name: str) -> Json:
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}


def _calls(names: list[str], text: str | None) -> list[Json]:
    calls = [_call(number, name) for number, name in enumerate(names)]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "a result"} for call in calls]
    return [{"role": "assistant", "content": text, "tool_calls": calls}, *results]


rounds = st.one_of(
    said,
    st.builds(_calls, st.lists(st.sampled_from(NAMES), min_size=1, max_size=3), st.none() | words),
    st.builds(lambda text, answer: [{"role": "assistant", "content": text}, *answer], words, said),
    st.lists(systems, min_size=1, max_size=2),
)
conversations = st.lists(rounds, min_size=1, max_size=6).map(
    lambda parts: [{"role": "user", "content": "Begin."}, *(message for part in parts for message in part)]
)
choices = st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "read"}}])
wishes = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.sampled_from([0, 0.3, 1, 1.7]),
        "top_p": st.sampled_from([0.2, 0.97, 1]),
        "max_tokens": st.sampled_from([1, 1_500, 20_000, 100_000, 1_000_000]),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "thinking": st.sampled_from(
            [
                {"type": "adaptive"},
                {"type": "disabled"},
                {"type": "between_tools"},
                {"type": "enabled", "budget_tokens": 5_000},
                {"type": "enabled", "budget_tokens": 50_000, "display": "omitted"},
            ]
        ),
        "tool_choice": choices,
        "parallel_tool_calls": st.booleans(),
        "response_format": st.sampled_from(
            [
                {"type": "json_object"},
                {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object", "properties": {}}}},
                {"type": "json_schema", "json_schema": {"name": "x", "schema": CLOSED}},
            ]
        ),
    },
)
cards = st.sampled_from(CARDS)
versions = st.sampled_from(["2023-06-01", "2026-10-21"])
hints = st.sampled_from([None, "low", "max"])


def decoded(conversation: list[Json], wish: Json) -> Json:
    return decode({"model": "m", "messages": conversation, "tools": TOOLS, **wish}).request


def fitted(request: Json, card: ModelCard, version: str = "2026-10-21", hint: str | None = None) -> Json:
    return fit(request, card, api_version=version, default_max_tokens=None, effort_hint=hint)[0]


@given(conversations, wishes, cards, versions, hints)
def test_every_request_becomes_one_that_the_sdks_types_and_the_simulated_claude_allow(
    conversation, wish, card, version, hint
):
    request = fitted(decoded(conversation, wish), card, version, hint)
    assert_claude_takes(request)
    if request.get("thinking", {}).get("type") != "enabled" or not lacks_thinking(request["messages"]):
        validate(request, {"anthropic-version": version}, ResponseMemory())  # the other has its second chance
    assert 0 < request["max_tokens"] <= card.max_tokens
    thinking = request.get("thinking")
    if thinking is not None:
        assert thinking["type"] in card.thinking
    if thinking is not None and thinking["type"] == "enabled":
        assert 1_024 <= thinking["budget_tokens"] < request["max_tokens"]
    effort = request.get("output_config", {}).get("effort")
    assert effort is None or effort in card.efforts
    if not card.takes_sampling or version > "2023-06-01":
        assert not {"temperature", "top_p", "top_k"} & request.keys()
    if request.get("tool_choice", {}).get("type") in ("any", "tool"):
        assert card.takes_forced_tool_choice
    if not card.takes_prefill:
        assert request["messages"][-1]["role"] != "assistant"
    roles = [message["role"] for message in request["messages"]]
    for before, role, after in zip(["assistant", *roles], roles, [*roles[1:], "assistant"], strict=False):
        if role == "system":
            assert card.takes_mid_system
            assert (before, after) == ("user", "assistant")


@given(conversations, wishes, cards, versions, hints)
@example(
    [{"role": "user", "content": "Begin."}],
    {"temperature": 1.7},
    CATALOGUE.card("claude-sonnet-4-6"),
    "2023-06-01",
    None,
)
def test_fitting_what_is_fitted_changes_nothing(conversation, wish, card, version, hint):
    once = fitted(decoded(conversation, wish), card, version, hint)
    assert fitted(once, card, version, hint) is once


@given(conversations, wishes, cards, versions, hints)
def test_the_request_of_the_client_stays_as_it_was(conversation, wish, card, version, hint):
    request = decoded(conversation, wish)
    untouched = copy.deepcopy(request)
    fitted(request, card, version, hint)
    assert request == untouched


@given(conversations, wishes, cards, versions, hints)
def test_what_a_request_does_not_say_is_as_good_as_said_with_nothing(conversation, wish, card, version, hint):
    request = decoded(conversation, wish)
    nothing = {"thinking": None, "tool_choice": None, "top_k": None}
    spelled = {**nothing, **request}
    assert _said(fitted(spelled, card, version, hint)) == fitted(request, card, version, hint)


def _said(request: Json) -> Json:
    return {field: value for field, value in request.items() if value is not None}


def _blocks(messages: list[Json]) -> list[tuple[str, Any]]:
    return [(message["role"], block) for message in messages for block in message["content"]]


def _marked(conversation: list[Json]) -> list[Json]:
    """With cache marks as opencode puts them: on the system message and on the newest one."""
    mark = {"cache_control": {"type": "ephemeral"}}
    system = {"role": "system", "content": "Be brief.", **mark}
    return [system, *conversation[:-1], {**conversation[-1], **mark}]


def _unmarked(messages: list[Json]) -> list[Json]:
    return [
        {
            **message,
            "content": [{k: v for k, v in block.items() if k != "cache_control"} for block in message["content"]],
        }
        for message in messages
    ]


@given(conversations, wishes, cards, st.lists(choices, min_size=1, max_size=3))
def test_what_an_earlier_request_carried_a_later_one_carries_the_same(conversation, wish, card, turn_choices):
    before: list[Json] | None = None
    asked = 0
    head: tuple[Any, Any] | None = None
    for length, message in enumerate(conversation[1:], start=1):
        # A request ends where the assistant's answer begins.
        if message["role"] != "assistant" or conversation[length - 1]["role"] == "assistant":
            continue
        choice = turn_choices[length % len(turn_choices)]
        request = decoded(_marked(conversation[:length]), {**wish, "tool_choice": choice})
        whole = fitted(request, card)
        assert head in (None, (whole["tools"], whole["system"]))
        head = whole["tools"], whole["system"]
        now = _unmarked(whole["messages"])
        if before is not None:
            # Only the end of the newest turn may say more than it will later on: what is asked of the model in words.
            assert now[: len(before) - 1] == before[:-1]
            last = _blocks(before[-1:])
            last = last[:-asked] if asked else last
            assert _blocks(now[len(before) - 1 : len(before)])[: len(last)] == last
        before, asked = now, _asked_for_in_words(request, card)


def _asked_for_in_words(request: Json, card: ModelCard) -> int:
    fields = {name: value for name, value in request.items() if name != "tool_choice"}
    plain = fitted(fields, card)["messages"]
    return len(_blocks(fitted(request, card)["messages"])) - len(_blocks(plain))
