from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.clients import FINGERPRINTS, recognise, speaker_of
from sidecar.exchange import Json

COPILOT = "You are an expert AI programming assistant, working with a user"


def tools(*names: str) -> list[Json]:
    return [{"name": name, "input_schema": {"type": "object"}} for name in names]


@pytest.mark.parametrize(
    ("client", "headers", "request_"),
    [
        ("claude-code", {"x-app": "cli"}, {}),
        ("claude-code", {"x-claude-code-session-id": "1"}, {}),
        ("claude-code", {}, {"system": [{"type": "text", "text": "You are Claude Code, Anthropic's official CLI"}]}),
        ("roo", {"user-agent": "RooCode/3.30"}, {}),
        ("roo", {}, {"system": "You are Roo, a strategic workflow orchestrator"}),
        ("cursor", {"user-agent": "Cursor/1.0"}, {}),
        ("cursor", {}, {"system": "You are an AI coding assistant, powered by Claude. You operate in Cursor."}),
        ("cline", {}, {"system": "You are Cline, a highly skilled software engineer"}),
        ("cline", {}, {"tools": tools("read_files", "editor", "run_commands")}),
        ("continue", {}, {"system": "<important_rules>\n  You are in agent mode.\n</important_rules>"}),
        ("continue", {}, {"tools": tools("read_file", "edit_existing_file")}),
        ("copilot", {}, {"system": f"{COPILOT} in the VS Code editor."}),
        ("zed", {}, {"system": "You are the Zed coding agent running in the Zed editor."}),
        ("aider", {"user-agent": "litellm/1.81"}, {"system": "Act as an expert software developer.\n"}),
        ("opencode", {"x-session-affinity": "ses_1"}, {}),
        ("opencode", {}, {"system": "You are opencode.\n<env>\n  Working directory: /home/me\n</env>"}),
        ("codex", {"originator": "codex_exec", "user-agent": "codex_exec/0.169.0"}, {}),
        ("codex", {}, {"tools": tools("shell", "apply_patch")}),
        ("litellm", {"user-agent": "litellm/1.106.2"}, {}),
        ("anthropic-sdk", {"user-agent": "AsyncAnthropic/Python 2.12.0"}, {}),
        ("openai-sdk", {"user-agent": "OpenAI/Python 3.54.0"}, {}),
        ("ai-sdk", {"user-agent": "ai-sdk/openai-compatible/3.0.92"}, {}),
        ("curl", {"user-agent": "curl/8.0"}, {}),
        ("unknown", {"user-agent": "something"}, {"system": "Be kind.", "tools": tools("read_file")}),
        ("unknown", {}, {"system": 7, "tools": [{"name": None}]}),
    ],
)  # fmt: skip
def test_a_client_is_known_by_its_headers_its_words_or_its_tools(
    client: str, headers: dict[str, str], request_: Json
) -> None:
    assert recognise(headers, request_) == client


def test_every_row_says_what_to_look_for() -> None:
    assert all(row.header or row.system or row.tools for row in FINGERPRINTS)


HEADERS = [{}, {"x-app": "cli"}]
SYSTEMS = [None, "You are Cline, an assistant.", [{"type": "text", "text": "You are Roo, an assistant."}]]
TOOLS = [None, tools("shell", "apply_patch"), tools("read_file", "edit_existing_file")]
asked = st.tuples(st.sampled_from(HEADERS), st.sampled_from(SYSTEMS), st.sampled_from(TOOLS))


@given(st.lists(asked, min_size=2, max_size=8))
@settings(max_examples=150)
def test_whoever_spoke_before_the_speaker_is_who_the_request_says(
    requests: list[tuple[dict[str, str], Any, Any]],
) -> None:
    before = None
    for headers, system, tools_ in requests:
        request = {"system": system, "tools": tools_}
        before = speaker_of(headers, request, before)
        assert before.client == recognise(headers, request)
