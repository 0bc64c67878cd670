"""OpenAI's published schema, which lies beside the checkout and not in it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

PUBLISHED = Path(__file__).parents[3] / "shared" / "openai-schema" / "openai-subset.json"


def validate_as(name: str, value: object) -> None:
    """Raises ValidationError where `value` is not a `name` of OpenAI's; skips the test where the schema is missing."""
    if not PUBLISHED.exists():
        pytest.skip(f"OpenAI's published schema is not at {PUBLISHED}: nothing was checked against it")
    _validator(name).validate(value)


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    published = json.loads(PUBLISHED.read_text())
    return jsonschema.Draft202012Validator(
        {"$ref": f"#/components/schemas/{name}", "components": published["components"]}
    )
