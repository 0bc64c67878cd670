"""The model list as Anthropic writes it: one page, always the last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC

from sidecar.dialects.listed_model import ListedModel
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


def encode_models(models: Iterable[ListedModel]) -> Json:
    page = [encode_model(model) for model in models]
    return {
        "data": page,
        "has_more": False,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }
