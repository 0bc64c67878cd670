"""JSON Schemas as Claude's structured outputs take them: a subset, in which every object is closed.

What the subset has no word for is either told to the model in the description, and no longer enforced, or (where
the meaning would change: open objects, recursion) not expressible at all. Rules after the anthropic SDK's own
`transform_schema` and the documentation of structured outputs.
"""

from __future__ import annotations

import json
from typing import Any

from sidecar.exchange import Json

DEEPEST = 64
"""Levels; deeper ones are taken for an attack rather than a schema."""

STRING_FORMATS = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_WITHOUT_MEANING = frozenset({"$schema", "$id", "$comment", "$anchor"})
_DEFINITIONS = ("$defs", "definitions")


class InexpressibleError(ValueError):
    """The schema says something that structured outputs cannot hold; the text says what."""


def restricted(schema: Json) -> tuple[Json, set[str]]:
    """`schema` within the subset, and the keywords that are now only words in a description.

    Closing an object that was left open unsaid loses nothing: what fits the closed one fits the other.
    Raises InexpressibleError.
    """
    loosened: set[str] = set()
    narrowed = _node(schema, loosened, 0)
    _refuse_recursion(narrowed)
    return (schema if narrowed == schema else narrowed), loosened


def _node(schema: object, loosened: set[str], depth: int) -> Json:
    if type(schema) is not dict:
        raise InexpressibleError("a schema that is not an object")
    if depth > DEEPEST:
        raise InexpressibleError(f"more than {DEEPEST} levels")
    rest = {key: value for key, value in schema.items() if key not in _WITHOUT_MEANING}
    made: Json = {}
    for key in _DEFINITIONS:
        if key in rest:
            made[key] = _nodes(rest.pop(key), loosened, depth)
    if (ref := rest.pop("$ref", None)) is not None:
        if type(ref) is not str or not ref.startswith(("#/$defs/", "#/definitions/")):
            raise InexpressibleError(f"a reference to {str(ref)[:60]!r}")
        return made | {"$ref": ref}
    _shape(rest, made, loosened, depth)
    for key in ("description", "title"):
        if type(rest.get(key)) is str:
            made[key] = rest.pop(key)
    if rest:
        loosened.update(rest)
        unenforced = ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in rest.items())
        made["description"] = (made["description"] + "\n\n" if "description" in made else "") + f"{{{unenforced}}}"
    return {key: made[key] for key in schema if key in made} | made


def _nodes(schemas: object, loosened: set[str], depth: int) -> Json:
    if type(schemas) is not dict:
        raise InexpressibleError("properties or definitions that are not an object")
    return {name: _node(schema, loosened, depth + 1) for name, schema in schemas.items()}


def _shape(rest: Json, made: Json, loosened: set[str], depth: int) -> None:
    """Move what decides the shape of a value from `rest` to `made`."""
    literals = [key for key in ("enum", "const") if key in rest]
    for key in literals:
        values = rest[key] if key == "enum" else [rest[key]]
        if type(values) is not list or not values or any(isinstance(value, (dict, list)) for value in values):
            raise InexpressibleError(f"{key} of anything but strings, numbers, booleans and null")
        made[key] = rest.pop(key)
    kinds = rest.pop("type", None)
    if combinator := next((key for key in ("anyOf", "oneOf", "allOf") if key in rest), None):
        _variants(combinator, rest, made, loosened, depth)
    elif kinds is not None:
        made["type"] = kinds
        for kind in kinds if type(kinds) is list else [kinds]:
            if type(kind) is not str or kind not in _TYPES:
                raise InexpressibleError(f"type {str(kind)[:60]!r}")
            if (form := _FORMS.get(kind)) is not None:
                form(rest, made, loosened, depth)
    elif not literals:
        raise InexpressibleError("a value of any type")


def _variants(key: str, rest: Json, made: Json, loosened: set[str], depth: int) -> None:
    variants = rest.pop(key)
    if type(variants) is not list or not variants:
        raise InexpressibleError(f"{key} without variants")
    if "properties" in rest or rest.pop("additionalProperties", False) is not False:
        raise InexpressibleError(f"properties beside {key}")
    nodes = [_node(variant, loosened, depth + 1) for variant in variants]
    if key == "allOf" and any("$ref" in node for node in nodes):
        if len(nodes) > 1:
            raise InexpressibleError("allOf with a reference")
        made.update(nodes[0])
        rest.pop("description", None)  # a reference stands alone
        return
    made["allOf" if key == "allOf" else "anyOf"] = nodes


def _object(rest: Json, made: Json, loosened: set[str], depth: int) -> None:
    properties = _nodes(rest.pop("properties", {}), loosened, depth)
    closed = rest.pop("additionalProperties", None)
    if closed not in (None, False) or "patternProperties" in rest or (closed is None and not properties):
        raise InexpressibleError("an object with keys that are not named in the schema")
    made["properties"] = properties
    made["additionalProperties"] = False
    if (required := rest.pop("required", None)) is not None:
        if type(required) is not list or not all(type(name) is str for name in required):
            raise InexpressibleError("required keys that are not a list of names")
        made["required"] = required


def _array(rest: Json, made: Json, loosened: set[str], depth: int) -> None:
    if (items := rest.pop("items", None)) is not None:
        made["items"] = _node(items, loosened, depth + 1)
    if rest.get("minItems") in (0, 1):
        made["minItems"] = rest.pop("minItems")


def _string(rest: Json, made: Json, _loosened: set[str], _depth: int) -> None:
    named = rest.get("format")
    if type(named) is str and named in STRING_FORMATS:
        made["format"] = rest.pop("format")


_FORMS = {"object": _object, "array": _array, "string": _string}


def _refuse_recursion(schema: Json) -> None:
    """Raises InexpressibleError when a definition refers to itself, directly or through others."""
    definitions = {f"#/{key}/{name}": node for key in _DEFINITIONS for name, node in schema.get(key, {}).items()}
    above: list[str] = []
    checked: set[str] = set()

    def follow(node: Any) -> None:
        for ref in _references(node):
            if ref in above:
                raise InexpressibleError("a definition that refers to itself")
            if ref in checked:
                continue
            if ref not in definitions or len(above) > DEEPEST:
                raise InexpressibleError(f"a reference to {ref[:60]!r}, which is not to be found at the top")
            above.append(ref)
            follow(definitions[ref])
            above.pop()
            checked.add(ref)

    follow({key: value for key, value in schema.items() if key not in _DEFINITIONS})


def _references(node: Any) -> set[str]:
    if type(node) is dict:
        own = {node["$ref"]} if type(node.get("$ref")) is str else set()
        return own.union(*map(_references, node.values()))
    if type(node) is list:
        return set().union(*map(_references, node))
    return set()
