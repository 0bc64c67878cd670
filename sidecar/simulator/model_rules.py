"""Rules about settings: what each model takes of `max_tokens`, thinking, effort, sampling, tools and output formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sidecar.simulator.models import Model
from sidecar.simulator.shapes import refuse

FORCING = frozenset({"any", "tool"})
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_MIN_BUDGET = 1024
_MAX_USER_ID = 512
_UNSUPPORTED = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
}
"""JSON schema keywords that strict schemas do not take, by type."""


def check_settings(request: dict[str, Any], model: Model, *, counting: bool) -> None:
    """Raises ApiError for the first setting the model does not take."""
    _check_thinking(request, model)
    _check_effort(request, model)
    _check_tools(request, model)
    _check_format(request)
    _check_speed(request, model)
    if not counting:
        _check_max_tokens(request, model)
        _check_sampling(request, model)
        _check_words(request)


def _check_max_tokens(request: dict[str, Any], model: Model) -> None:
    wanted, thinking = request["max_tokens"], request.get("thinking") or {}
    if wanted < 0:
        raise refuse("max_tokens", "Input should be greater than or equal to 0")
    if wanted > model.max_tokens:
        most = f"{model.max_tokens}, which is the maximum allowed number of output tokens for {request['model']}"
        raise refuse("max_tokens", f"{wanted} > {most}")
    if wanted == 0:
        _check_pre_warming(request)
    elif thinking.get("type") == "enabled" and thinking["budget_tokens"] >= wanted:
        raise refuse("", "`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_pre_warming(request: dict[str, Any]) -> None:
    conflicts = {
        "stream": bool(request.get("stream")),
        "thinking.type 'enabled'": (request.get("thinking") or {}).get("type") == "enabled",
        "output_config.format": bool((request.get("output_config") or {}).get("format")),
        "a forced tool_choice": (request.get("tool_choice") or {}).get("type") in FORCING,
    }
    for name, present in conflicts.items():
        if present:
            raise refuse("max_tokens", f"0 only populates the prompt cache and cannot be combined with {name}")


def _check_thinking(request: dict[str, Any], model: Model) -> None:
    thinking = request.get("thinking")
    if thinking is None:
        return
    kind = thinking["type"]
    if kind not in model.thinking:
        advice = "enabled" if "adaptive" not in model.thinking else "adaptive"
        raise refuse("", f'"thinking.type.{kind}" is not supported for this model. Use "thinking.type.{advice}".')
    if kind == "enabled" and thinking["budget_tokens"] < _MIN_BUDGET:
        raise refuse("thinking.enabled.budget_tokens", f"Input should be greater than or equal to {_MIN_BUDGET}")


def _check_effort(request: dict[str, Any], model: Model) -> None:
    effort = (request.get("output_config") or {}).get("effort")
    if effort is None:
        return
    if not model.efforts:
        raise refuse("", "This model does not support the effort parameter.")
    if effort not in model.efforts:
        known = ", ".join(f"'{name}'" for name in model.efforts)
        raise refuse("output_config.effort", f"'{effort}' is not supported on this model. Use one of {known}.")


def _check_sampling(request: dict[str, Any], model: Model) -> None:
    """The rules of API version 2023-06-01; the newer one knows no sampling fields at all."""
    temperature, top_p, top_k = (request.get(name) for name in ("temperature", "top_p", "top_k"))
    for name, value in (("temperature", temperature), ("top_p", top_p)):
        if value is not None and not 0 <= value <= 1:
            raise refuse(name, "range: 0..1")
    if not model.takes_sampling:
        for name, value, default in (("temperature", temperature, 1), ("top_p", top_p, 1), ("top_k", top_k, None)):
            if value is not None and value != default:
                raise refuse("", f"`{name}` is deprecated for this model.")
    if (request.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        if temperature is not None and temperature != 1:
            raise refuse("", "`temperature` may only be set to 1 when thinking is enabled.")
        if top_k is not None:
            raise refuse("", "`top_k` must be unset when thinking is enabled.")
    if temperature is not None and top_p is not None:
        raise refuse("", "`temperature` and `top_p` cannot both be specified for this model. Please use only one.")


def _check_tools(request: dict[str, Any], model: Model) -> None:
    tools, choice = request.get("tools") or [], request.get("tool_choice")
    names = [tool["name"] for tool in tools if "name" in tool]
    if len(set(names)) != len(names):
        raise refuse("tools", "Tool names must be unique.")
    for index, tool in enumerate(tools):
        if tool.get("strict") and "input_schema" in tool:
            check_strict_schema(tool["input_schema"], f"tools.{index}.custom")
    if choice is None:
        return
    if not tools:
        raise refuse("tool_choice", "tool_choice may only be specified while providing tools")
    if choice["type"] == "tool" and choice["name"] not in names:
        raise refuse("", f"Tool '{choice['name']}' not found in provided tools")
    if choice["type"] in FORCING:
        if not model.takes_forced_tools:
            raise refuse("tool_choice", f"forced tool use ('{choice['type']}') is not supported for this model")
        if (request.get("thinking") or {}).get("type") == "enabled":
            raise refuse("", "Thinking may not be enabled when tool_choice forces tool use.")


def _check_format(request: dict[str, Any]) -> None:
    wanted = (request.get("output_config") or {}).get("format")
    if wanted is not None:
        check_strict_schema(wanted["schema"], "output_config.format.schema")


def check_strict_schema(schema: Any, path: str) -> None:
    """Strict schemas close every object and leave out what constrained decoding cannot promise."""
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise refuse(path, "For 'object' type, 'additionalProperties' must be explicitly set to false")
    refused = [keyword for keyword in _UNSUPPORTED.get(str(kind), ()) if keyword in schema]
    if kind == "array" and schema.get("minItems", 0) not in (0, 1):
        raise refuse(path, "For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    if refused:
        raise refuse(path, f"For '{kind}' type, properties {', '.join(refused)} are not supported")
    for inner in _inner_schemas(schema):
        check_strict_schema(inner, path)


def _inner_schemas(schema: dict[str, Any]) -> Iterator[Any]:
    yield schema.get("items")
    for keyword in ("properties", "$defs"):
        if isinstance(named := schema.get(keyword), dict):
            yield from named.values()
    for keyword in ("anyOf", "allOf", "oneOf"):
        if isinstance(listed := schema.get(keyword), list):
            yield from listed


def _check_speed(request: dict[str, Any], model: Model) -> None:
    if request.get("speed") == "fast" and model.fast_price is None:
        raise refuse("speed", "'fast' is not supported for this model")


def _check_words(request: dict[str, Any]) -> None:
    for sequence in request.get("stop_sequences") or ():
        if not sequence.strip():
            raise refuse("stop_sequences", "each stop sequence must contain non-whitespace")
    user_id = (request.get("metadata") or {}).get("user_id")
    if user_id is None:
        return
    if len(user_id) > _MAX_USER_ID:
        raise refuse("metadata.user_id", f"String should have at most {_MAX_USER_ID} characters")
    if _EMAIL.search(user_id):
        raise refuse("metadata.user_id", "user_id appears to contain an email address")
