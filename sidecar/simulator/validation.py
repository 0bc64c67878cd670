"""What the API refuses, in the order it looks: version, shape, model, conversation, settings, thinking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar.simulator.conversation_rules import check_conversation
from sidecar.simulator.errors import ApiError
from sidecar.simulator.model_rules import check_settings
from sidecar.simulator.models import Model, find
from sidecar.simulator.schema import VERSIONS, request_shape
from sidecar.simulator.shapes import refuse
from sidecar.simulator.thinking_rules import ResponseMemory, check_thinking


def validate(request: Any, headers: Mapping[str, str], memory: ResponseMemory, *, counting: bool = False) -> Model:
    """The model of a request that the API would take. Raises ApiError (400, or 404 for a model that is not there)."""
    version = headers.get("anthropic-version")
    if version is None:
        raise refuse("anthropic-version", "header is required")
    if version not in VERSIONS:
        raise refuse("anthropic-version", f'"{version}" is not a valid version')
    betas = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",")]
    request_shape(version, betas, counting=counting)(request, "")
    model = find(request["model"])
    if model is None or model.lifecycle == "retired":
        raise ApiError(f"model: {request['model']}", 404)
    check_conversation(request, model, version)
    check_settings(request, model, counting=counting)
    check_thinking(request, model, memory)
    return model
