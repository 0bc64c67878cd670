"""`response_format`: what Claude can be held to, and what it can only be asked for.

Claude's structured outputs want a schema in which every object names its keys, so "any JSON object" and schemas
with open objects cannot be enforced: the model is asked for them in so many words, and the client is told.
"""

from __future__ import annotations

import json

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import mapping, mapping_of, text
from sidecar.dialects.openai.schema_limits import SchemaLimits
from sidecar.dialects.openai.schemas import InexpressibleError, restricted
from sidecar.errors import invalid_request
from sidecar.exchange import Json

ANY_OBJECT = "Answer with exactly one JSON object and nothing else: no words before or after it, no code fence."
BY_SCHEMA = "Answer with exactly one JSON value and nothing else: no words before or after it, no code fence."


def read_response_format(
    value: object, path: str, limits: SchemaLimits, notes: Notes
) -> tuple[Json | None, str | None]:
    """Claude's `output_config.format`, or the sentence that asks for it instead; both None for plain text."""
    wanted = mapping(value, path)
    match wanted.get("type"):
        case "text":
            return None, None
        case "json_object":
            notes.add(path, "changed", "Claude is asked for a JSON object, but not held to it")
            return None, ANY_OBJECT
        case "json_schema":
            if "schema" in wanted:  # the flat form of the Responses API
                return _by_schema(wanted, path, limits, notes)
            return _by_schema(mapping_of(wanted, "json_schema", path), f"{path}.json_schema", limits, notes)
        case kind:
            raise invalid_request(
                f"{path}.type: there are text, json_object and json_schema, not {str(kind)[:60]!r}.",
                param=f"{path}.type",
            )


def _by_schema(wanted: Json, path: str, limits: SchemaLimits, notes: Notes) -> tuple[Json | None, str | None]:
    if wanted.get("schema") is None:
        notes.add(path, "changed", "Claude is asked for a JSON object, but not held to it")
        return None, ANY_OBJECT
    schema = mapping(wanted["schema"], f"{path}.schema")
    try:
        narrowed, loosened = restricted(schema)
        limits.hold(narrowed)
    except InexpressibleError as fault:
        notes.add(
            f"{path}.schema", "changed", f"asked for, not enforced: Claude's structured outputs cannot hold {fault}"
        )
        return None, f"{BY_SCHEMA} It must be valid by this JSON Schema:\n{json.dumps(schema, ensure_ascii=False)}"
    if loosened:
        notes.add(f"{path}.schema", "changed", f"told, not enforced: {', '.join(sorted(loosened))}")
    for key, word in (("name", "title"), ("description", "description")):
        if wanted.get(key) is not None and word not in narrowed and "$ref" not in narrowed:
            narrowed = narrowed | {word: text(wanted[key], f"{path}.{key}")}
    return {"type": "json_schema", "schema": narrowed}, None
