"""Single fields: limits, sampling, the choice of tools, the form of the answer."""

from __future__ import annotations

import json
from numbers import Real
from typing import Any

from sidecar.fit.draft import Draft

SAMPLING_ENDS = "2026-10-21"
"""From this API version on `temperature`, `top_p` and `top_k` are refused on every model, even at their defaults."""

SAMPLING_DEFAULTS: dict[str, Any] = {"temperature": 1, "top_p": 1, "top_k": None}

LEAST_TOP_P_THINKING = 0.95
"""The lowest `top_p` beside thinking."""

DEFAULT_LIMIT = 64_000
"""`max_tokens` where nobody says: thinking counts in, and less cuts answers off in mid-thought."""


def fit_max_tokens(draft: Draft, default: int | None) -> None:
    """The client's own number is kept, but for one above what the model can."""
    most, asked = draft.card.max_tokens, draft.get("max_tokens")
    if asked is None:
        wanted = default if default is not None else DEFAULT_LIMIT
        draft["max_tokens"] = wanted if most is None else min(wanted, most)
    elif most is not None and asked > most:
        draft["max_tokens"] = most
        draft.note("max_tokens", "mapped", f"{most}, the most that {draft.card.id} writes")


def fit_sampling(draft: Draft, api_version: str) -> None:
    if SAMPLING_DEFAULTS.keys().isdisjoint(draft.request):
        return
    for field, default in SAMPLING_DEFAULTS.items():
        if draft.get(field) in (None, default):
            draft.drop(field)
    if not draft.card.takes_sampling or api_version >= SAMPLING_ENDS:
        who = f"Claude's API {api_version}" if draft.card.takes_sampling else draft.card.id
        for field in SAMPLING_DEFAULTS:
            _leave_out(draft, field, f"{who} takes none")
        return
    _clamp_temperature(draft)
    if draft.thinking in {"enabled", "adaptive"}:
        for field in ("temperature", "top_k"):
            _leave_out(draft, field, "thinking goes without")
        if _is_number(draft.get("top_p")) and draft.get("top_p") < LEAST_TOP_P_THINKING:
            _leave_out(draft, "top_p", f"beside thinking at least {LEAST_TOP_P_THINKING}")
    elif "temperature" in draft.request:
        _leave_out(draft, "top_p", "not both it and temperature")


def _clamp_temperature(draft: Draft) -> None:
    """OpenAI's scale ends at 2, Anthropic's at 1."""
    temperature = draft.get("temperature")
    if _is_number(temperature) and not 0 <= temperature <= 1:
        draft["temperature"] = min(max(temperature, 0), 1)
        draft.note("temperature", "changed", f"{draft.get('temperature')}; Claude's scale goes from 0 to 1")
        if draft.get("temperature") == SAMPLING_DEFAULTS["temperature"]:
            draft.drop("temperature")


def _leave_out(draft: Draft, field: str, why: str) -> None:
    if field in draft.request:
        draft.note(field, "dropped", why)
        draft.drop(field)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def fit_tool_choice(draft: Draft) -> None:
    """A tool call that the model cannot be forced to is asked for in words."""
    choice = draft.get("tool_choice") or {}
    kind = choice.get("type")
    if kind not in {"any", "tool"}:
        return
    if draft.card.takes_forced_tool_choice and draft.thinking != "enabled":
        return
    free = {"type": "auto"}
    if "disable_parallel_tool_use" in choice:
        free["disable_parallel_tool_use"] = choice["disable_parallel_tool_use"]
    draft["tool_choice"] = free
    wanted = f"the tool `{choice.get('name')}`" if kind == "tool" else "at least one of your tools"
    draft.instruct(f"Answer this turn by calling {wanted}, not with text alone.")
    why = "beside a budget of thinking" if draft.card.takes_forced_tool_choice else f"by {draft.card.id}"
    draft.note("tool_choice", "changed", f"auto, and a sentence that asks for the call; force is refused {why}")


def fit_format(draft: Draft) -> None:
    """A form of answer that the model cannot be held to is asked for in words."""
    wanted = draft.output("format")
    if wanted is None or draft.card.structured_outputs:
        return
    draft.set_output("format", None)
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    draft.instruct(
        "Answer with one JSON value and nothing around it, no code fence either. It must be valid under this JSON "
        f"schema:\n{json.dumps(schema, ensure_ascii=False, separators=(',', ':'))}"
    )
    draft.note("output_config.format", "changed", f"a sentence that asks for it; {draft.card.id} cannot be held to it")


def fit_strict_tools(draft: Draft) -> None:
    if draft.card.structured_outputs:
        return
    tools = draft.get("tools") or []
    strict = [index for index, tool in enumerate(tools) if "strict" in tool]
    if not strict:
        return
    draft["tools"] = [{name: value for name, value in tool.items() if name != "strict"} for tool in tools]
    asked = [f"tools[{index}].strict" for index in strict if tools[index]["strict"]]
    if asked:
        draft.note(asked[0], "dropped", f"{draft.card.id} cannot be held to a schema ({len(asked)} tools)")
