"""OpenAI's published schema, which lies beside the checkout and not in it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

PUBLISHED = Path(__file__).parents[3] / "shared" / "openai-schema" / "openai-subset.json"


def validate_as(name: str, value: object) -> None:
    """Raises ValidationError where `value` is not a `name` of OpenAI's; skips the test where the schema is missing."""
    _validator(name).validate(value)


def fields_of(name: str) -> set[str]:
    """The fields that an object of this name may have; skips the test where the schema is missing."""
    return _fields(_components()["schemas"][name])


def _fields(schema: Any) -> set[str]:
    found = set(schema.get("properties", ()))
    if "$ref" in schema:
        found |= fields_of(schema["$ref"].rpartition("/")[2])
    return found.union(*map(_fields, schema.get("allOf", ())))


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": _components()})


@cache
def _components() -> Any:
    if not PUBLISHED.exists():
        pytest.skip(f"OpenAI's published schema is not at {PUBLISHED}: nothing was checked against it")
    return json.loads(PUBLISHED.read_text())["components"]
