"""OpenAI's SDK as the judge of responses: what its own reader makes of our bytes."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
from openai._streaming import SSEDecoder
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from sidecar.exchange import Json
from tests.support.openai_schema import validate_as

ENDINGS = ("response.completed", "response.incomplete", "response.failed")


@cache
def _events() -> TypeAdapter[Any]:
    return TypeAdapter(ResponseStreamEvent)


def events_of(answer: bytes) -> list[Json]:
    """The events of a stream, each under the name that its data has too."""
    events = []
    for event in SSEDecoder().iter_bytes(iter([answer])):
        told = orjson.loads(event.data)
        assert event.event == told["type"]
        events.append(told)
    return events


def checked_events(answer: bytes) -> list[Json]:
    """The events, once the SDK's types and OpenAI's published schema have accepted each, and their order is whole."""
    events = events_of(answer)
    for event in events:
        _events().validate_python(event, strict=True)
        validate_as("ResponseStreamEvent", event)
    assert [event["sequence_number"] for event in events] == [*range(len(events))]
    return events


def checked_response(response: Json) -> Json:
    """The same for a whole response."""
    Response.model_validate(response, strict=True)
    validate_as("Response", response)
    return response


def spelled(events: list[Json]) -> list[Json]:
    """What the pieces of each item add up to: the item as it was added, and all that came for it afterwards."""
    items: dict[int, Json] = {}
    for event in events:
        kind = event["type"].removeprefix("response.")
        item = items.get(event.get("output_index", -1), {})
        match kind:
            case "output_item.added":
                items[event["output_index"]] = orjson.loads(orjson.dumps(event["item"]))
            case "content_part.added":
                assert event["content_index"] == len(item["content"])
                item["content"].append(dict(event["part"], **({"annotations": []} if "text" in event["part"] else {})))
            case "output_text.delta":
                item["content"][event["content_index"]]["text"] += event["delta"]
            case "output_text.annotation.added":
                annotations = item["content"][event["content_index"]]["annotations"]
                assert event["annotation_index"] == len(annotations)
                annotations.append(event["annotation"])
            case "refusal.delta":
                item["content"][event["content_index"]]["refusal"] += event["delta"]
            case "reasoning_summary_part.added":
                item["summary"].append(dict(event["part"]))
            case "reasoning_summary_text.delta":
                item["summary"][event["summary_index"]]["text"] += event["delta"]
            case "function_call_arguments.delta":
                item["arguments"] += event["delta"]
            case "custom_tool_call_input.delta":
                item["input"] += event["delta"]
    return [items[index] for index in sorted(items)]
