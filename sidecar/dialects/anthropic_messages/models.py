"""The model list as Anthropic writes it, page by page where a client asks for pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from sidecar.dialects.listed_model import ListedModel
from sidecar.errors import invalid_request
from sidecar.exchange import Json


def encode_model(model: ListedModel) -> Json:
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": model.created_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "line": model.line,
        "lifecycle": model.lifecycle,
    }


def encode_models(
    models: Iterable[ListedModel],
    *,
    limit: int | None = None,
    after_id: str | None = None,
    before_id: str | None = None,
) -> Json:
    """One page; all of them where no `limit` is given. Raises GatewayError (400) for a cursor that is no model's id."""
    rows = list(models)
    if after_id is not None:
        rows = rows[_position(rows, after_id, "after_id") + 1 :]
    if before_id is not None:
        rows = rows[: _position(rows, before_id, "before_id")]
    size = len(rows) if limit is None else limit
    page = [encode_model(model) for model in (rows[-size:] if before_id is not None and size else rows[:size])]
    return {
        "data": page,
        "has_more": len(page) < len(rows),
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def _position(rows: list[ListedModel], cursor: str, name: str) -> int:
    for index, row in enumerate(rows):
        if row.id == cursor:
            return index
    raise invalid_request(f"{name}: there is no model {cursor[:80]!r} in this list.", param=name)
