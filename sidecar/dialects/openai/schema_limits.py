"""How much of a request Claude can be held to by schema: what is compiled for one request is limited over all its
strict tools and the form of the answer together, and one too many is a 400.

OpenAI knows no such limits and wants every property of a strict schema required, so its clients write "optional" as
"or null"; seventeen of those are one too many. Limits after the documentation of structured outputs and the API's own
messages ("Schemas contains too many parameters with union types ... limit: 16").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.dialects.openai.schemas import InexpressibleError
from sidecar.exchange import Json

MOST_TOOLS = 20
MOST_OPTIONAL = 24
"""Properties that are not required."""
MOST_UNIONS = 16
"""Values of several types: `anyOf`, or a list in `type`."""


@dataclass(slots=True)
class SchemaLimits:
    """What is left of them while a request is read."""

    tools: int = MOST_TOOLS
    optional: int = MOST_OPTIONAL
    unions: int = MOST_UNIONS

    def hold_tool(self, schema: Json) -> None:
        """Take what a strict tool with this restricted schema needs. Raises InexpressibleError, and takes nothing,
        where that is more than is left."""
        if not self.tools:
            raise InexpressibleError(f"more than {MOST_TOOLS} tools")
        self.hold(schema)
        self.tools -= 1

    def hold(self, schema: Json) -> None:
        """The same for the form of the answer."""
        optional = unions = 0
        for node in _nodes(schema):
            optional += len(node.get("properties", {}).keys() - node.get("required", ()))
            unions += "anyOf" in node or type(node.get("type")) is list
        if optional > self.optional:
            raise InexpressibleError(f"more than {MOST_OPTIONAL} optional properties in one request")
        if unions > self.unions:
            raise InexpressibleError(f"more than {MOST_UNIONS} values of several types in one request")
        self.optional -= optional
        self.unions -= unions


def _nodes(schema: Json) -> Iterator[Json]:
    """`schema` and those inside it; it is of the shape that `restricted` leaves."""
    yield schema
    for key in ("properties", "$defs", "definitions"):
        for inner in schema.get(key, {}).values():
            yield from _nodes(inner)
    for inner in [*schema.get("anyOf", ()), *schema.get("allOf", ())]:
        yield from _nodes(inner)
    if "items" in schema:
        yield from _nodes(schema["items"])
