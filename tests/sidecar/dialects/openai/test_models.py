from dataclasses import dataclass
from datetime import UTC, datetime

from openai.types import Model

from sidecar.dialects.openai import encode_model, encode_models
from tests.support.openai_schema import validate_as


@dataclass(frozen=True)
class Listed:
    id: str
    display_name: str = "Claude"
    created_at: datetime = datetime(2026, 8, 31, tzinfo=UTC)
    line: str | None = None
    lifecycle: str = "active"


def test_a_model_is_one_that_the_sdk_knows() -> None:
    wire = encode_model(Listed("claude-opus-5-5"))
    validate_as("Model", wire)
    assert Model.model_validate(wire, strict=True).to_dict() == {
        "id": "claude-opus-5-5",
        "object": "model",
        "created": 1_788_134_400,
        "owned_by": "anthropic",
    }


def test_the_list_keeps_its_order() -> None:
    wire = encode_models([Listed("opus"), Listed("claude-opus-5-5")])
    validate_as("ListModelsResponse", wire)
    assert [model["id"] for model in wire["data"]] == ["opus", "claude-opus-5-5"]
