"""OpenAI's SDK as the judge of answers: what its own reader makes of our bytes."""

from __future__ import annotations

from typing import Any

import orjson
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from sidecar.exchange import Json
from tests.support.openai_schema import validate_as


def chunks_of(answer: bytes) -> list[Json]:
    """The chunks of a stream that ended with `[DONE]`."""
    *chunks, done = told(answer)
    assert done == "[DONE]"
    return [orjson.loads(chunk) for chunk in chunks]


def told(answer: bytes) -> list[str]:
    """The data of each event, as the SDK cuts the stream."""
    return [event.data for event in SSEDecoder().iter_bytes(iter([answer]))]


def checked(chunks: list[Json]) -> list[Json]:
    """The chunks, once the SDK's types and OpenAI's published schema have accepted each."""
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk, strict=True)
        validate_as("CreateChatCompletionStreamResponse", chunk)
    return chunks


def checked_completion(completion: Json) -> Json:
    """The same for a whole answer."""
    ChatCompletion.model_validate(completion, strict=True)
    validate_as("CreateChatCompletionResponse", completion)
    return completion


def accumulated(chunks: list[Json]) -> Json:
    """The completion that the SDK adds the chunks up to."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    return state.current_completion_snapshot.to_dict(mode="json")
