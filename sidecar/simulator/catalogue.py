"""`GET /v1/models`: the table of models in Anthropic's `ModelInfo` shape, page by page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sidecar.simulator.models import EFFORTS, MODELS, Model, find


def _supported(value: bool) -> dict[str, bool]:
    return {"supported": value}


def model_info(model: Model) -> dict[str, Any]:
    """Anthropic's `ModelInfo` of one row."""
    modern = model.version >= (4, 5)
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": f"{model.released}T00:00:00Z",
        "lifecycle": model.lifecycle,
        "deprecated_at": model.deprecated_at and f"{model.deprecated_at}T00:00:00Z",
        "retires_at": model.retires_at and f"{model.retires_at}T00:00:00Z",
        "line": model.line,
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": model.max_tokens,
        "capabilities": {
            "batch": _supported(True),
            "citations": _supported(True),
            "code_execution": _supported(modern),
            "context_management": {
                "supported": modern,
                "clear_thinking_20251015": _supported(modern),
                "clear_tool_uses_20250919": _supported(modern),
                "compact_20260112": _supported(model.version >= (4, 6)),
            },
            "effort": {"supported": bool(model.efforts)}
            | {name: _supported(name in model.efforts) for name in EFFORTS},
            "image_input": _supported(True),
            "pdf_input": _supported(True),
            "server_tools": {
                "supported": True,
                "code_execution": _supported(True),
                "web_search": _supported(True),
            },
            "structured_outputs": _supported(modern),
            "thinking": {
                "supported": True,
                "types": {
                    name: _supported(name in model.thinking)
                    for name in ("adaptive", "between_tools", "disabled", "enabled")
                },
            },
        },
    }


def page(
    *,
    limit: int = 20,
    after_id: str | None = None,
    before_id: str | None = None,
    lifecycle: Iterable[str] = ("active", "deprecated"),
) -> dict[str, Any]:
    """One page of `GET /v1/models`. An unknown cursor raises KeyError."""
    wanted = set(lifecycle)
    rows = [model for model in MODELS if model.lifecycle in wanted]
    ids = [model.id for model in rows]
    if after_id is not None:
        start = _index(ids, after_id) + 1
        chosen, more = rows[start : start + limit], start + limit < len(rows)
    elif before_id is not None:
        end = _index(ids, before_id)
        chosen, more = rows[max(0, end - limit) : end], end - limit > 0
    else:
        chosen, more = rows[:limit], limit < len(rows)
    return {
        "data": [model_info(model) for model in chosen],
        "has_more": more,
        "first_id": chosen[0].id if chosen else None,
        "last_id": chosen[-1].id if chosen else None,
    }


def _index(ids: list[str], wanted: str) -> int:
    row = find(wanted)
    if row is None or row.id not in ids:
        raise KeyError(wanted)
    return ids.index(row.id)
