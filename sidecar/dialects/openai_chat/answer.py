"""A complete Anthropic message as an OpenAI chat completion."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from sidecar.dialects.openai.errors import refusal_text
from sidecar.dialects.openai.server_tools import Citation, citations_in
from sidecar.dialects.openai_chat.call_forms import CallForms
from sidecar.exchange import Json, Usage

FINISH_REASONS: dict[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # The turn is not over: "stop" would pass half an answer off as the whole.
    "pause_turn": "length",
    "compaction": "length",
    "refusal": "content_filter",
}
"""Why Claude stopped -> OpenAI's `finish_reason`, for every stop reason of the SDK, the beta ones included."""


def finish_reason(stop_reason: str | None, *, legacy_functions: bool = False) -> str:
    """Clients hang or throw without one, so a reason newer than the table reads as a plain end."""
    reason = FINISH_REASONS.get(stop_reason or "", "stop")
    return "function_call" if legacy_functions and reason == "tool_calls" else reason


def encode_message(
    message: Json,
    *,
    id: str,  # noqa: A002 - the field's name on the wire
    created: int,
    tool_names: Mapping[str, str],
    custom_tools: Collection[str] = (),
    legacy_functions: bool = False,
    index: int = 0,
) -> Json:
    """One choice. `created` is in Unix seconds; the tools' arguments are those of `CallForms`."""
    forms = CallForms(tool_names, custom_tools, legacy_functions)
    return {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": message["model"],
        "choices": [
            {
                "index": index,
                "message": _assistant(message, forms),
                "logprobs": None,
                "finish_reason": finish_reason(message.get("stop_reason"), legacy_functions=legacy_functions),
            }
        ],
        "usage": usage(message.get("usage") or {}),
    }


def merge_choices(completions: Sequence[Json]) -> Json:
    """The answers to one request with `n` > 1 as one; each choice read the prompt anew, so usage adds up."""
    first = completions[0]
    choices = [choice for completion in completions for choice in completion["choices"]]
    return {**first, "choices": choices, "usage": total_usage(completion["usage"] for completion in completions)}


def usage(counted: Usage | Mapping[str, Any]) -> Json:
    """OpenAI's counters, whose prompt includes what the cache gave and took."""
    if not isinstance(counted, Usage):
        wire, counted = counted, Usage()
        counted.update(wire)
    prompt_tokens = counted.prompt_tokens
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": counted.output_tokens,
        "total_tokens": prompt_tokens + counted.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": counted.cache_read_tokens,
            "cache_write_tokens": counted.cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": counted.thinking_tokens},
    }


def total_usage(usages: Iterable[Json]) -> Json:
    return reduce(_add, usages)


def _assistant(message: Json, forms: CallForms) -> Json:
    blocks = message["content"]
    text = "".join([block["text"] for block in blocks if block["type"] == "text"])
    thinking = "".join([block["thinking"] for block in blocks if block["type"] == "thinking"])
    calls = forms.message_fields([block for block in blocks if block["type"] == "tool_use"])
    refusal = refusal_text(message.get("stop_details")) if message.get("stop_reason") == "refusal" else None
    # Null only beside something else to read, as OpenAI does it: many clients take a lone null for a crash.
    content = text if text or not (calls or refusal) else None
    assistant: Json = {"role": "assistant", "content": content, "refusal": refusal}
    if thinking:
        assistant["reasoning_content"] = thinking
    if citations := citations_in(blocks):
        assistant["annotations"] = url_citations(citations)
    return assistant | calls


def url_citations(citations: Iterable[Citation]) -> list[Json]:
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.start,
                "end_index": citation.end,
                "url": citation.url,
                "title": citation.title,
            },
        }
        for citation in citations
    ]


def _add(left: Json, right: Json) -> Json:
    return {
        name: _add(value, right[name]) if isinstance(value, dict) else value + right[name]
        for name, value in left.items()
    }
