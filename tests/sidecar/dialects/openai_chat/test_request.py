"""Chat completions requests as Messages requests: everything but messages and tools."""

from typing import Any

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming

from sidecar.dialects.openai.parameters import EFFORTS, NATIVE, SERVICE_TIERS
from sidecar.dialects.openai_chat import Decoded, decode
from sidecar.errors import GatewayError
from tests.support.messages_requests import assert_claude_takes

HELLO = [{"role": "user", "content": "Hello"}]
SHA_OF_ADDRESS = "b6be3cb544f77c4e76ce1a92deed71a292e7a92f67c9b554b881605112283f95"


def decoded(**fields: Any) -> Decoded:
    made = decode({"model": "claude-opus-5-5", "messages": HELLO, **fields})
    assert_claude_takes(made.request)
    return made


def noted(made: Decoded) -> dict[str, str]:
    return {note.field: note.action for note in made.notes}


def test_a_bare_question_says_nothing_more_than_it_must():
    made = decoded()
    assert made.request == {
        "model": "claude-opus-5-5",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }
    assert (made.stream, made.include_usage, made.n, made.notes, made.tool_names) == (False, False, 1, [], {})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"temperature": 1.7}, {"temperature": 1.7}, id="temperature stays for the step that knows the model"
        ),
        pytest.param(
            {"temperature": 0, "top_p": 0.5, "top_k": 5},
            {"temperature": 0, "top_p": 0.5, "top_k": 5},
            id="all sampling",
        ),
        pytest.param({"max_tokens": 5}, {"max_tokens": 5}, id="max_tokens"),
        pytest.param({"max_completion_tokens": 5.0}, {"max_tokens": 5}, id="max_completion_tokens, as a float"),
        pytest.param({"max_completion_tokens": 5, "max_tokens": 9}, {"max_tokens": 9}, id="of two limits the larger"),
        pytest.param({"stop": "END"}, {"stop_sequences": ["END"]}, id="one stop"),
        pytest.param(
            {"stop": ["a", "b", "a", "c", "d", "e"]}, {"stop_sequences": ["a", "b", "c", "d", "e"]}, id="many stops"
        ),
        pytest.param({"stop_sequences": ["a"], "stop": ["b"]}, {"stop_sequences": ["a", "b"]}, id="Claude's own stops"),
        pytest.param({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}, id="user"),
        pytest.param({"safety_identifier": "u-1"}, {"metadata": {"user_id": "u-1"}}, id="safety_identifier"),
        pytest.param({"metadata": {"user_id": "u-1"}}, {"metadata": {"user_id": "u-1"}}, id="Claude's metadata"),
        pytest.param({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, id="no thinking"),
        pytest.param({"reasoning_effort": "xhigh"}, {"output_config": {"effort": "xhigh"}}, id="effort"),
        pytest.param(
            {"reasoning_effort": "low", "output_config": {"effort": "max"}},
            {"output_config": {"effort": "max"}},
            id="Claude's own effort wins",
        ),
        pytest.param(
            {"thinking": {"type": "adaptive"}, "reasoning_effort": "none"},
            {"thinking": {"type": "adaptive"}},
            id="Claude's own thinking wins",
        ),
        pytest.param(
            {"cache_control": {"type": "ephemeral"}}, {"cache_control": {"type": "ephemeral"}}, id="automatic mark"
        ),
        pytest.param(
            {"speed": "fast", "inference_geo": "us"}, {"speed": "fast", "inference_geo": "us"}, id="Claude's extras"
        ),
        pytest.param({"service_tier": "standard_only"}, {"service_tier": "standard_only"}, id="Claude's tier"),
        pytest.param({"response_format": {"type": "text"}}, {}, id="plain text is what comes anyway"),
        pytest.param(
            {
                "frequency_penalty": 0,
                "presence_penalty": 0.0,
                "logprobs": False,
                "top_logprobs": 0,
                "logit_bias": {},
                "modalities": ["text"],
                "store": False,
                "n": 1,
                "seed": None,
                "service_tier": "auto",
                "verbosity": "medium",
                "metadata": {},
                "tools": [],
                "tool_choice": "auto",
                "parallel_tool_calls": True,
                "stop": ["", ""],
                "stream_options": {"include_usage": False, "include_obfuscation": False},
            },
            {},
            id="OpenAI's defaults",
        ),
    ],
)
def test_what_claude_has_a_word_for_is_passed_on_without_a_note(fields: dict[str, Any], expected: dict[str, Any]):
    made = decoded(**fields)
    assert {key: value for key, value in made.request.items() if key not in ("model", "messages")} == expected
    assert made.notes == []


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"seed": 7}, "dropped"),
        ({"logit_bias": {"50256": -100}}, "dropped"),
        ({"logprobs": True}, "dropped"),
        ({"top_logprobs": 3}, "dropped"),
        ({"frequency_penalty": 0.5}, "dropped"),
        ({"presence_penalty": -1}, "dropped"),
        ({"modalities": ["text", "audio"]}, "dropped"),
        ({"audio": {"voice": "alloy", "format": "mp3"}}, "dropped"),
        ({"web_search_options": {}}, "mapped"),
        ({"verbosity": "low"}, "dropped"),
        ({"min_p": 0.1}, "dropped"),
        ({"betas": ["context-1m-2025-08-07"]}, "dropped"),
        ({"stop": ["\n"]}, "dropped"),
        ({"tool_choice": "required"}, "dropped"),
        ({"store": True}, "ignored"),
        ({"prediction": {"type": "content", "content": "x"}}, "ignored"),
        ({"metadata": {"team": "blue"}}, "ignored"),
        ({"prompt_cache_key": "k"}, "ignored"),
        ({"prompt_cache_retention": "24h"}, "ignored"),
        ({"service_tier": "flex"}, "ignored"),
        ({"service_tier": "priority"}, "mapped"),
        ({"reasoning_effort": "minimal"}, "mapped"),
        ({"user": "jo@example.org"}, "mapped"),
        ({"user": "Jo <jo@example.org>"}, "mapped"),
        ({"user": "+1 (555) 010-9999"}, "mapped"),
        ({"response_format": {"type": "json_object"}}, "changed"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_claude_has_no_word_for_is_reported(fields: dict[str, Any], action: str):
    assert noted(decoded(**fields)) == {next(iter(fields)): action}


def test_every_field_that_is_lost_is_named_in_the_report():
    lost = {"seed": 1, "logit_bias": {"7": 1}, "frequency_penalty": 1, "min_p": 0.1, "mirostat": 2}
    made = decoded(**lost, store=True, prompt_cache_key="k")
    assert noted(made) == dict.fromkeys(lost, "dropped") | {"store": "ignored", "prompt_cache_key": "ignored"}


def test_options_of_a_stream_that_have_no_effect_are_reported():
    made = decoded(stream=True, stream_options={"include_usage": True, "include_obfuscation": True})
    assert noted(made) == {"stream_options.include_obfuscation": "ignored"}


def test_system_text_where_claude_has_it_comes_before_that_of_the_messages():
    made = decode({"model": "m", "system": "First.", "messages": [{"role": "system", "content": "Then."}, *HELLO]})
    assert [block["text"] for block in made.request["system"]] == ["First.", "Then."]
    assert made.notes == []
    blocks = [{"type": "text", "text": "First.", "cache_control": {"type": "ephemeral"}}]
    assert decoded(system=blocks).request["system"] == blocks


def test_an_address_never_leaves_as_a_user_id_and_a_long_name_fits():
    assert decoded(user="jo@example.org").request["metadata"] == {"user_id": SHA_OF_ADDRESS}
    assert len(decoded(user="u" * 300).request["metadata"]["user_id"]) == 64


def test_two_names_for_the_user_are_reported_only_when_they_differ():
    assert decoded(user="a", safety_identifier="a").notes == []
    made = decoded(user="a", safety_identifier="b")
    assert made.request["metadata"] == {"user_id": "a"}
    assert noted(made) == {"safety_identifier": "ignored"}


def test_streaming_and_choices_are_told_apart_from_the_request():
    made = decoded(stream=True, stream_options={"include_usage": True}, n=3)
    assert (made.stream, made.include_usage, made.n) == (True, True, 3)
    assert made.request["stream"] is True
    assert "n" not in made.request


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"temperature": 2.1}, "temperature", "0 to 2"),
        ({"temperature": "hot"}, "temperature", "expected a number, got a string"),
        ({"temperature": True}, "temperature", "got a boolean"),
        ({"top_p": 1.5}, "top_p", "0 to 1"),
        ({"max_tokens": 0}, "max_tokens", "at least 1"),
        ({"max_tokens": 1.5}, "max_tokens", "an integer"),
        ({"n": 9}, "n", "1 to 8"),
        ({"n": 0}, "n", "1 to 8"),
        ({"stream": "yes"}, "stream", "a boolean"),
        ({"stream_options": []}, "stream_options", "an object"),
        ({"stop": [1]}, "stop[0]", "a string"),
        ({"stop": {"a": 1}}, "stop", "an array"),
        ({"user": 7}, "user", "a string"),
        ({"metadata": "x"}, "metadata", "an object"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort", "minimal"),
        ({"service_tier": "gold"}, "service_tier", "flex"),
        ({"response_format": "json"}, "response_format", "an object"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "json_schema"),
        ({"thinking": True}, "thinking", "an object"),
        ({"cache_control": {"type": "forever"}}, "request.cache_control", "ephemeral"),
        ({"model": None}, "model", "a string"),
        ({"messages": []}, "messages", "at least one"),
        ({"messages": None}, "messages", "an array"),
        ({"messages": "hi"}, "messages", "an array"),
        ({"messages": ["hi"]}, "messages[0]", "an object"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "a string"),
        ({"messages": [{"role": "ai", "content": "hi"}]}, "messages[0].role", "assistant"),
        ({"messages": [*HELLO, {"role": "user", "content": 5}]}, "messages[1].content", "array of content parts"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_understood_is_a_400_that_says_where_and_why(fields: dict[str, Any], param: str, says: str):
    with pytest.raises(GatewayError) as refusal:
        decode({"model": "m", "messages": HELLO, **fields})
    assert (refusal.value.status, refusal.value.param) == (400, param)
    assert says in refusal.value.message


def test_every_own_field_of_claude_that_goes_through_is_one_that_the_sdk_knows():
    known = MessageCreateParamsNonStreaming.__optional_keys__ | MessageCreateParamsNonStreaming.__required_keys__
    assert NATIVE.keys() - {"top_k"} <= known


@pytest.mark.parametrize("effort", EFFORTS)
def test_every_effort_is_one_that_claude_takes(effort: str):
    decoded(reasoning_effort=effort)


@pytest.mark.parametrize("tier", SERVICE_TIERS)
def test_every_service_tier_is_one_that_claude_takes(tier: str):
    decoded(service_tier=tier)
