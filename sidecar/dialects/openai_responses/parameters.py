"""The fields of a Responses request beside its input and tools."""

from __future__ import annotations

from typing import Any, Final

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.parameters import (
    NATIVE,
    Fields,
    Parameters,
    Reader,
    read_effort,
    read_max_tokens,
    read_metadata,
    read_service_tier,
    read_stream,
    read_stream_options,
    read_user,
    within,
)
from sidecar.dialects.openai.reading import array, flag, mapping, text
from sidecar.dialects.openai.response_format import read_response_format
from sidecar.errors import invalid_request

WITHOUT_EFFECT: Final[dict[str, tuple[Any, ...]]] = {
    "prompt_cache_key": (),
    "prompt_cache_retention": (),
    "prompt_cache_options": (),
    "access_programs": (),
    "client_metadata": (),
}

NOT_HONOURED: Final[dict[str, tuple[Any, ...]]] = {
    "context_management": ([],),
    "image": (),
    "max_tool_calls": (),
    "moderation": (),
    "top_logprobs": (0,),
}

READ_ELSEWHERE: Final = frozenset({
    "input", "instructions", "model", "tools", "tool_choice", "parallel_tool_calls", "previous_response_id", "store",
})  # fmt: skip

REFUSED: Final = {
    "background": "answers come while the client waits: leave it out, and use `stream` for long ones",
    "conversation": "conversations are not kept here: use `previous_response_id`, or send all items in `input`",
    "prompt": "prompts kept at OpenAI cannot be reached from here: send `instructions` and `input`",
    "background_options": "answers come while the client waits: leave it out",
}
"""Fields whose absence would change what the client gets into something else, and what to do instead."""

ENCRYPTED: Final = "reasoning.encrypted_content"

INCLUDED_ANYWAY: Final = frozenset({
    ENCRYPTED, "web_search_call.action.sources", "web_search_call.results", "code_interpreter_call.outputs",
})  # fmt: skip
"""Values of `include` that are honoured, or that say what comes anyway."""


def _refuse(_: Parameters, key: str, value: object, __: Notes) -> None:
    if value not in (False, {}):
        raise invalid_request(f"{key}: {REFUSED[key]}.", param=key)


def _include(_: Parameters, key: str, value: object, notes: Notes) -> None:
    for index, wanted in enumerate(array(value, key)):
        if text(wanted, f"{key}[{index}]") not in INCLUDED_ANYWAY:
            notes.add(f"{key}[{index}]", "dropped", f"{wanted[:60]} is not there to be included")


def _reasoning(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    wanted = mapping(value, key)
    if wanted.get("effort") is not None:
        read_effort(parameters, f"{key}.effort", wanted["effort"], notes)
    summary = wanted.get("summary") or wanted.get("generate_summary")
    if summary is not None:
        text(summary, f"{key}.summary")
        parameters.request.setdefault("thinking", {"type": "adaptive", "display": "summarized"})
    if wanted.get("context") not in (None, "auto", "all_turns"):
        notes.add(f"{key}.context", "dropped", "Claude sees the thinking that the request has")
    if wanted.get("mode") not in (None, "standard"):
        notes.add(f"{key}.mode", "dropped", "Claude has no such setting")
    for name in wanted.keys() - {"effort", "summary", "generate_summary", "context", "mode"}:
        if wanted[name] is not None:
            notes.add(f"{key}.{name}", "dropped", "not known to Claude")


def _text(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    wanted = mapping(value, key)
    if wanted.get("format") is not None:
        form, parameters.instruction = read_response_format(wanted["format"], f"{key}.format", parameters.limits, notes)
        if form is not None:
            parameters.request.setdefault("output_config", {}).setdefault("format", form)
    if wanted.get("verbosity") not in (None, "medium"):
        notes.add(f"{key}.verbosity", "dropped", "Claude has no such setting")


def _truncation(_: Parameters, key: str, value: object, notes: Notes) -> None:
    if text(value, key) == "auto":
        notes.add(key, "dropped", "a conversation that is too long for the model is refused, not cut")
    elif value != "disabled":
        raise invalid_request(f"{key}: there are auto and disabled, not {str(value)[:60]!r}.", param=key)


def _flag(_: Parameters, key: str, value: object, __: Notes) -> None:
    flag(value, key)


FIELDS: Final = Fields(
    readers=dict[str, Reader](
        {
            "max_output_tokens": read_max_tokens,
            "temperature": within(0, 2),
            "top_p": within(0, 1),
            "stream": read_stream,
            "stream_options": read_stream_options,
            "user": read_user,
            "safety_identifier": read_user,
            "metadata": read_metadata,
            "service_tier": read_service_tier,
            "reasoning": _reasoning,
            "text": _text,
            "truncation": _truncation,
            "include": _include,
        }
    )
    | dict.fromkeys(REFUSED, _refuse)
    | NATIVE,
    without_effect=WITHOUT_EFFECT,
    not_honoured=NOT_HONOURED,
    read_elsewhere=READ_ELSEWHERE,
)
