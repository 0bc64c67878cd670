"""The model list as OpenAI writes it."""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.dialects.listed_model import ListedModel
from sidecar.exchange import Json


def encode_model(model: ListedModel) -> Json:
    return {
        "id": model.id,
        "object": "model",
        "created": int(model.created_at.timestamp()),
        "owned_by": "anthropic",
    }


def encode_models(models: Iterable[ListedModel]) -> Json:
    return {"object": "list", "data": [encode_model(model) for model in models]}
