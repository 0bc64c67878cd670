"""Every living model, asked for every feature in OpenAI's words. The simulator judges: it refuses as Claude does."""

import http.client
import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from sidecar.dialects.openai_chat import decode
from sidecar.exchange import Json
from sidecar.fit import fit
from sidecar.models.catalogue import Catalogue
from sidecar.simulator.server import RunningSimulator
from tests.support.messages_requests import assert_claude_takes

CATALOGUE = Catalogue()
MODELS = [card.id for card in CATALOGUE.listed() if card.id.startswith("claude-")]
VERSIONS = ["2023-06-01", "2026-10-21"]

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKMSAwIG9iago8PC9UeXBlL0NhdGFsb2c+PgplbmRvYmoKdHJhaWxlcgo8PC9Sb290IDEgMCBSPj4KJSVFT0YK"

HELLO = {"role": "user", "content": "Hello."}
READ = {
    "type": "function",
    "function": {
        "name": "read",
        "description": "Reads a file.",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}},
            "required": ["path"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a"}'}}
LOOP = [HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "text"}
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "x", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}

FEATURES: dict[str, Json] = {
    "a question": {},
    "a low limit": {"max_tokens": 1},
    "a high limit": {"max_tokens": 1_000_000},
    "temperature 0": {"temperature": 0},
    "temperature 1": {"temperature": 1},
    "temperature 2": {"temperature": 2},
    "temperature and top_p": {"temperature": 0.2, "top_p": 0.5},
    "top_p and top_k": {"top_p": 0.5, "top_k": 4},
    "no reasoning": {"reasoning_effort": "none"},
    "minimal reasoning": {"reasoning_effort": "minimal"},
    "low reasoning": {"reasoning_effort": "low"},
    "high reasoning": {"reasoning_effort": "high"},
    "very high reasoning": {"reasoning_effort": "xhigh"},
    "the most reasoning": {"reasoning_effort": "max"},
    "the most reasoning, switched off": {"reasoning_effort": "max", "thinking": {"type": "disabled"}},
    "reasoning within a low limit": {"reasoning_effort": "high", "max_tokens": 1_000},
    "reasoning at a temperature": {"reasoning_effort": "high", "temperature": 0, "top_p": 0.3, "top_k": 4},
    "adaptive thinking": {"thinking": {"type": "adaptive"}},
    "thinking between tools": {"thinking": {"type": "between_tools"}},
    "a budget": {"thinking": {"type": "enabled", "budget_tokens": 2_000}},
    "a budget above the limit": {"thinking": {"type": "enabled", "budget_tokens": 9_000}, "max_tokens": 4_000},
    "tools": {"tools": [READ]},
    "a required call": {"tools": [READ], "tool_choice": "required"},
    "a named call": {"tools": [READ], "tool_choice": {"type": "function", "function": {"name": "read"}}},
    "a required call with reasoning": {"tools": [READ], "tool_choice": "required", "reasoning_effort": "medium"},
    "one call at most": {"tools": [READ], "parallel_tool_calls": False},
    "no call": {"tools": [READ], "tool_choice": "none"},
    "results": {"tools": [READ], "messages": [*LOOP, RESULT]},
    "results with reasoning": {"tools": [READ], "messages": [*LOOP, RESULT], "reasoning_effort": "high"},
    "results and a required call": {"tools": [READ], "messages": [*LOOP, RESULT], "tool_choice": "required"},
    "results without tools": {"messages": [*LOOP, RESULT]},
    "a form of answer": {"response_format": FORM},
    "a form of answer with reasoning": {"response_format": FORM, "reasoning_effort": "high"},
    "a form of answer begun": {"response_format": FORM, "messages": [HELLO, {"role": "assistant", "content": "{"}]},
    "an answer begun": {"messages": [HELLO, {"role": "assistant", "content": "Once upon "}]},
    "an answer begun with reasoning": {
        "messages": [HELLO, {"role": "assistant", "content": "Once"}],
        "reasoning_effort": "low",
    },
    "an answer begun without a word": {"messages": [HELLO, {"role": "assistant", "content": " "}]},
    "a system message at the end": {"messages": [HELLO, {"role": "system", "content": "Be brief."}]},
    "a system message behind an answer": {
        "messages": [
            HELLO,
            {"role": "assistant", "content": "Yes?"},
            {"role": "developer", "content": "Be brief."},
            HELLO,
        ]
    },
    "a system message between turns of the user": {"messages": [HELLO, {"role": "system", "content": "Hm."}, HELLO]},
    "a system message among results": {
        "tools": [READ],
        "messages": [*LOOP, {"role": "system", "content": "Hm."}, RESULT, {"role": "system", "content": "So."}, HELLO],
    },
    "a system message and a required call": {
        "tools": [READ],
        "messages": [HELLO, {"role": "system", "content": "Hm."}],
        "tool_choice": "required",
    },
    "a picture": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
            }
        ]
    },
    "a PDF": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
                    }
                ],
            }
        ]
    },
    "stop sequences and a user": {"stop": ["END"], "user": "u-1"},
}

REFUSED_UNFITTED = {
    "a high limit": "claude-opus-5-5",
    "temperature 0": "claude-opus-5-5",
    "temperature 2": "claude-haiku-4-5",
    "no reasoning": "claude-opus-5-5",
    "very high reasoning": "claude-opus-4-6",
    "low reasoning": "claude-haiku-4-5",
    "a budget": "claude-opus-5-5",
    "adaptive thinking": "claude-haiku-4-5",
    "thinking between tools": "claude-opus-5",
    "a required call": "claude-sonnet-5-5",
    "an answer begun": "claude-sonnet-5",
    "a system message at the end": "claude-sonnet-5-5",
    "a system message behind an answer": "claude-opus-5-5",
}
"""A model for each feature of which the simulator must say no to the request as it was, or it proves nothing."""


@pytest.fixture(scope="module")
def claude() -> Iterator[http.client.HTTPConnection]:
    with RunningSimulator() as simulator:
        connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=30)
        connection.key = simulator.api_key  # type: ignore[attr-defined]
        yield connection
        connection.close()


def answered(claude: Any, request: Json, version: str) -> tuple[int, str]:
    headers = {"x-api-key": claude.key, "anthropic-version": version, "content-type": "application/json"}
    claude.request("POST", "/v1/messages", json.dumps(request), headers)
    response = claude.getresponse()
    return response.status, response.read().decode()


def asked_for(feature: str) -> Json:
    return decode({"model": "any", "messages": [HELLO], **FEATURES[feature]}).request


@pytest.mark.parametrize("feature", FEATURES)
def test_every_model_takes_every_feature(claude: http.client.HTTPConnection, feature: str):
    refused = {}
    for model, version in product(MODELS, VERSIONS):
        request, _ = fit(asked_for(feature), CATALOGUE.card(model), api_version=version, default_max_tokens=None)
        assert_claude_takes(request)
        status, body = answered(claude, request, version)
        if status != 200:
            refused[model, version] = body
    assert refused == {}


@pytest.mark.parametrize("feature", REFUSED_UNFITTED)
def test_the_simulator_refuses_what_was_not_fitted(claude: http.client.HTTPConnection, feature: str):
    request = {"max_tokens": 20_000, **asked_for(feature), "model": REFUSED_UNFITTED[feature]}
    assert answered(claude, request, "2023-06-01")[0] == 400
