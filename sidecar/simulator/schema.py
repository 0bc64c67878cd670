"""The shape of a Messages request: every field the API knows, nested ones included. All others are refused.

From the request types of Anthropic's SDK 2.12. Fields of a beta are taken when its header is sent.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

from sidecar.simulator.shapes import (
    Check,
    anything,
    array,
    boolean,
    integer,
    mapping,
    matching,
    nullable,
    number,
    one_of,
    record,
    refuse,
    string,
    tagged,
    text_or,
)

OLDER, NEWER = "2023-06-01", "2026-10-21"
VERSIONS = ("2023-01-01", OLDER, NEWER)

TOOL_NAME = matching(r"[a-zA-Z0-9_-]{1,128}")
TOOL_ID = matching(r"[a-zA-Z0-9_-]+")


def _base64(value: Any, path: str) -> None:
    string(value, path)
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise refuse(path, "Invalid base64 data") from error
    if not value:
        raise refuse(path, "String should have at least 1 character")


def _https(value: Any, path: str) -> None:
    string(value, path)
    if not value.startswith("https://"):
        raise refuse(path, "Only HTTPS URLs are supported.")


def _object_schema(value: Any, path: str) -> None:
    mapping(value, path)
    if "type" not in value:
        raise refuse(f"{path}.type", "Field required")
    one_of("object")(value["type"], f"{path}.type")


_SCOPED: ContextVar[bool] = ContextVar("the beta of scopes was sent", default=False)
SCOPE_BETA = "prompt-caching-scope"


def _scope(value: Any, path: str) -> None:
    """Claude Code sends it, with its beta."""
    if not _SCOPED.get():
        raise refuse(path, "Extra inputs are not permitted")
    string(value, path)


CACHE_CONTROL = nullable(
    tagged({"ephemeral": record({"type": anything}, {"ttl": one_of("5m", "1h"), "scope": _scope})})
)
MARKABLE: dict[str, Check] = {"cache_control": CACHE_CONTROL}


def _open_record(value: Any, path: str) -> None:
    """Server tools and blocks of betas: whatever they hold, but a name is a string and a mark is a mark."""
    mapping(value, path)
    for name, check in (("name", string), *MARKABLE.items()):
        if name in value:
            check(value[name], f"{path}.{name}")


CALLED: dict[str, Check] = {**MARKABLE, "caller": mapping}
CITATIONS = nullable(record({}, {"enabled": boolean}))

FILE_SOURCE = record({"type": anything, "file_id": string})
IMAGE_TYPE = one_of("image/jpeg", "image/png", "image/gif", "image/webp")
IMAGE_SOURCE = tagged(
    {
        "base64": record({"type": anything, "media_type": IMAGE_TYPE, "data": _base64}),
        "url": record({"type": anything, "url": _https}),
        "file": FILE_SOURCE,
    }
)
TEXT = record({"type": anything, "text": string}, {**MARKABLE, "citations": nullable(array(mapping))})
IMAGE = record({"type": anything, "source": IMAGE_SOURCE}, {**MARKABLE, "transformations": mapping})
DOCUMENT_SOURCE = tagged(
    {
        "base64": record({"type": anything, "media_type": one_of("application/pdf"), "data": _base64}),
        "text": record({"type": anything, "media_type": one_of("text/plain"), "data": string}),
        "content": record({"type": anything, "content": text_or(array(tagged({"text": TEXT, "image": IMAGE})))}),
        "url": record({"type": anything, "url": _https}),
        "file": FILE_SOURCE,
    }
)
DOCUMENT = record(
    {"type": anything, "source": DOCUMENT_SOURCE},
    {**MARKABLE, "citations": CITATIONS, "context": nullable(string), "title": nullable(string)},
)
SEARCH_RESULT = record(
    {"type": anything, "content": array(tagged({"text": TEXT})), "source": string, "title": string},
    {**MARKABLE, "citations": CITATIONS},
)
RESULT_CONTENT = tagged(
    {
        "text": TEXT,
        "image": IMAGE,
        "document": DOCUMENT,
        "search_result": SEARCH_RESULT,
        "tool_reference": record({"type": anything, "tool_name": string}, MARKABLE),
        "browser_state": mapping,
    }
)
TOOL_RESULT = record(
    {"type": anything, "tool_use_id": TOOL_ID},
    {**MARKABLE, "content": text_or(array(RESULT_CONTENT)), "is_error": boolean, "toolset_name": nullable(string)},
)
TOOL_USE = record(
    {"type": anything, "id": TOOL_ID, "name": TOOL_NAME, "input": mapping},
    {**CALLED, "toolset_name": nullable(string)},
)
SERVER_RESULT = record({"type": anything, "tool_use_id": string, "content": anything}, CALLED)
SERVER_RESULTS = (
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "advisor_tool_result",
)
CONTENT = tagged(
    {
        "text": TEXT,
        "image": IMAGE,
        "document": DOCUMENT,
        "search_result": SEARCH_RESULT,
        "thinking": record({"type": anything, "thinking": string, "signature": string}),
        "redacted_thinking": record({"type": anything, "data": string}),
        "tool_use": TOOL_USE,
        "tool_result": TOOL_RESULT,
        "server_tool_use": record({"type": anything, "id": string, "name": string, "input": mapping}, CALLED),
        "container_upload": record({"type": anything, "file_id": string}, MARKABLE),
        **dict.fromkeys(SERVER_RESULTS, SERVER_RESULT),
        **dict.fromkeys(("mcp_tool_use", "mcp_tool_result", "compaction"), _open_record),
    }
)
SYSTEM_TEXT = text_or(array(tagged({"text": TEXT})))

CUSTOM_TOOL = record(
    {"name": TOOL_NAME, "input_schema": _object_schema},
    {
        **MARKABLE,
        "type": anything,
        "description": string,
        "allowed_callers": array(string),
        "defer_loading": boolean,
        "eager_input_streaming": nullable(boolean),
        "input_examples": array(mapping),
        "strict": boolean,
    },
)
SERVER_TOOLS = (
    "bash_20241022",
    "bash_20250124",
    "text_editor_20241022",
    "text_editor_20250124",
    "text_editor_20250429",
    "text_editor_20250728",
    "computer_20241022",
    "computer_20250124",
    "computer_20251124",
    "browser_toolset_20260801",
    "computer_toolset_20260801",
    "memory_20250818",
    "code_execution_20250522",
    "code_execution_20250825",
    "code_execution_20260120",
    "code_execution_20260521",
    "web_search_20250305",
    "web_search_20260209",
    "web_search_20260318",
    "web_fetch_20250910",
    "web_fetch_20260209",
    "web_fetch_20260309",
    "web_fetch_20260318",
    "tool_search_tool_bm25_20251119",
    "tool_search_tool_regex_20251119",
    "advisor_20260301",
    "mcp_toolset",
)
TOOL = tagged({"custom": CUSTOM_TOOL, **dict.fromkeys(SERVER_TOOLS, _open_record)}, untagged="custom")
PARALLEL: dict[str, Check] = {"disable_parallel_tool_use": boolean}
TOOL_CHOICE = tagged(
    {
        "auto": record({"type": anything}, PARALLEL),
        "any": record({"type": anything}, PARALLEL),
        "tool": record({"type": anything, "name": string}, PARALLEL),
        "none": record({"type": anything}),
    }
)
DISPLAY: dict[str, Check] = {"display": nullable(one_of("summarized", "omitted"))}
THINKING = tagged(
    {
        "adaptive": record({"type": anything}, DISPLAY),
        "enabled": record({"type": anything, "budget_tokens": integer}, DISPLAY),
        "disabled": record({"type": anything}),
        "between_tools": record({"type": anything}),
    }
)
OUTPUT_CONFIG: dict[str, Check] = {
    "effort": nullable(one_of("low", "medium", "high", "xhigh", "max")),
    "format": nullable(tagged({"json_schema": record({"type": anything, "schema": mapping})})),
}
COUNTED: dict[str, Check] = {
    "cache_control": CACHE_CONTROL,
    "speed": nullable(one_of("standard", "fast")),
    "system": SYSTEM_TEXT,
    "thinking": THINKING,
    "tool_choice": TOOL_CHOICE,
    "tools": array(TOOL),
}
"""Optional fields of `count_tokens`, and of `messages` too."""
GENERATED: dict[str, Check] = {
    **COUNTED,
    "container": nullable(anything),
    "diagnostics": nullable(record({}, {"previous_message_id": nullable(string)})),
    "inference_geo": nullable(one_of("us", "global")),
    "metadata": record({}, {"user_id": nullable(string)}),
    "service_tier": one_of("auto", "standard_only"),
    "stop_sequences": array(string),
    "stream": boolean,
}
SAMPLING: dict[str, Check] = {"temperature": number, "top_p": number, "top_k": integer}
"""Known to the older API version only."""
BETA_FIELDS = {
    "context_management": "context-management-",
    "mcp_servers": "mcp-client-",
    "fallbacks": "server-side-fallback-",
    "fallback_credit_token": "fallback-credit-",
    "compaction": "compact-",
    "thread": "message-threads-",
    "billing_policy": "user-profiles-billing-",
}
"""Top-level fields of betas, and how the beta's name begins."""
BETA_OUTPUT_FIELDS = {"task_budget": "task-budgets-"}
BETA_SYSTEM_FIELDS = {
    "output_config": "mid-conversation-output-config-",
    "clear_at": "mid-conversation-system-clear-at-",
}


def request_shape(version: str, betas: Collection[str], *, counting: bool) -> Check:
    """The check for one request under this API version and these betas."""
    output = OUTPUT_CONFIG | _of_betas(BETA_OUTPUT_FIELDS, betas)
    spoken = {"role": one_of("user", "assistant", "system"), "content": text_or(array(CONTENT))}
    message = record(spoken, _of_betas(BETA_SYSTEM_FIELDS, betas))
    required: dict[str, Check] = {"model": string, "messages": array(message)}
    optional = COUNTED if counting else GENERATED
    optional = optional | {"output_config": record({}, output)} | _of_betas(BETA_FIELDS, betas)
    if not counting:
        required["max_tokens"] = integer
        if version != NEWER:
            optional |= SAMPLING
    shape, scoped = record(required, optional), any(beta.startswith(SCOPE_BETA) for beta in betas)

    def check(value: Any, path: str) -> None:
        token = _SCOPED.set(scoped)
        try:
            shape(value, path)
        finally:
            _SCOPED.reset(token)

    return check


def _of_betas(fields: dict[str, str], betas: Collection[str]) -> dict[str, Check]:
    return {name: anything for name, prefix in fields.items() if any(beta.startswith(prefix) for beta in betas)}
