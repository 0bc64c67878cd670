import orjson
from anthropic.types import RawMessageStreamEvent
from hypothesis import given
from pydantic import TypeAdapter

from sidecar.dialects.anthropic_messages import stream_of
from sidecar.exchange import Json
from sidecar.sse import EventSplitter
from tests.support.messages import messages

EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


@given(messages())
def test_every_event_is_one_that_the_sdk_knows(message: Json) -> None:
    message = {**message, "content": [part for part in message["content"] if part["type"] != "block_of_tomorrow"]}
    for event in stream_of(message):
        EVENT.validate_json(event.data, strict=False)


@given(messages())
def test_the_bytes_say_what_the_events_say(message: Json) -> None:
    events = stream_of(message)
    assert EventSplitter().feed(b"".join(event.raw for event in events)) == events


@given(messages())
def test_the_order_is_that_of_a_live_stream(message: Json) -> None:
    wire = [orjson.loads(event.data) for event in stream_of(message)]
    assert wire[0]["type"] == "message_start"
    assert wire[0]["message"]["content"] == []
    assert wire[0]["message"]["stop_reason"] is None
    assert [event["type"] for event in wire[-2:]] == ["message_delta", "message_stop"]
    assert wire[-2]["delta"]["stop_reason"] == message["stop_reason"]
    open_block = None
    for event in wire[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert open_block is None
                open_block = event["index"]
            case "content_block_stop":
                assert open_block == event["index"]
                open_block = None
            case _:
                assert open_block == event["index"]
    assert open_block is None


def test_the_message_that_is_told_is_not_changed() -> None:
    message = {
        "type": "message",
        "content": [{"type": "text", "text": "hi", "citations": [{"type": "char_location"}]}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    before = orjson.dumps(message)
    stream_of(message)
    assert orjson.dumps(message) == before
