"""A value that conforms to a JSON schema, as a model bound to structured output returns one."""

from __future__ import annotations

from typing import Any

_FORMATS = {
    "date-time": "2026-11-22T12:00:00Z",
    "time": "12:00:00Z",
    "date": "2026-11-22",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_DEEPEST = 32


def instance_of(schema: Any) -> Any:
    """A value that is valid under `schema`, within the keywords that structured outputs take."""
    return _instance(schema, schema, 0)


def _instance(schema: Any, root: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return {}
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if schema.get("enum"):
        return schema["enum"][0]
    if "$ref" in schema:
        return _instance(_resolve(schema["$ref"], root), root, depth + 1)
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            return _instance(_shallowest(schema[keyword]), root, depth + 1)
    if schema.get("allOf"):
        return _instance(_merged(schema, root), root, depth + 1)
    return _by_type(schema, root, depth)


def _by_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    match kind:
        case "object":
            properties = schema.get("properties") or {}
            wanted = schema.get("required", ()) if depth > 2 else properties
            return {name: _instance(properties.get(name, {"type": "string"}), root, depth + 1) for name in wanted}
        case "array":
            count = max(schema.get("minItems", 0), 1 if depth <= 2 and "items" in schema else 0)
            return [_instance(schema.get("items", {"type": "string"}), root, depth + 1) for _ in range(count)]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _string(schema)


def _number(schema: dict[str, Any]) -> Any:
    value = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 1)
    value = min(value, schema.get("maximum", value))
    step = schema.get("multipleOf")
    return value if not step else -(-value // step) * step


def _string(schema: dict[str, Any]) -> str:
    text = _FORMATS.get(schema.get("format", ""), "text")
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema["maxLength"]] if "maxLength" in schema else text


def _resolve(reference: str, root: Any) -> Any:
    target = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            target = target.get(step.replace("~1", "/").replace("~0", "~"), {})
    return target


def _shallowest(options: list[Any]) -> Any:
    """The option that ends a recursion soonest: null, then a plain type, then whatever comes first."""
    return min(options, key=lambda option: (option.get("type") != "null", "$ref" in option, "properties" in option))


def _merged(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        whole = _resolve(part["$ref"], root) if "$ref" in part else part
        properties = {**merged.get("properties", {}), **whole.get("properties", {})}
        required = [*merged.get("required", ()), *whole.get("required", ())]
        merged = {**merged, **whole}
        if properties:
            merged["properties"], merged["required"] = properties, required
    return merged
