"""The four ways to ask: in either dialect, streamed or not, with the real SDKs; and what is heard, the same of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
import openai
import orjson

from sidecar.dialects import openai_chat
from sidecar.simulator.answers import Answer, RedactedThinking, Text, Thinking, ToolCall
from tests.support.sidecar import RunningSidecar

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION: Any = {
    "model": "sonnet",
    "max_tokens": 4000,
    "reasoning_effort": "high",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "The weather in Köln?"}],
    "tools": [WEATHER],
}
NATIVE_QUESTION: Any = openai_chat.decode(QUESTION).request | {"model": "claude-sonnet-5-5"}
RICH = Answer(
    (
        Thinking("Köln, they say. " * 4),
        RedactedThinking(),
        Text("I look it up. " * 3),
        ToolCall("get_weather", {"city": "Köln", "days": [1, 2]}),
        ToolCall("get_weather", {"city": "Bonn"}),
    )
)
"""An answer with everything in it."""


class Heard(NamedTuple):
    """What a client got, whichever way it came."""

    text: str
    reasoning: str
    calls: tuple[tuple[str, str, Any], ...]
    finish: str | None
    prompt_tokens: int
    output_tokens: int


def chat(gateway: RunningSidecar) -> Heard:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as sdk:
        answer = sdk.chat.completions.create(**QUESTION)
    message = answer.choices[0].message
    called: list[Any] = message.tool_calls or []
    calls = tuple((call.id, call.function.name, orjson.loads(call.function.arguments)) for call in called)
    assert answer.usage is not None
    return Heard(
        message.content or "",
        getattr(message, "reasoning_content", ""),
        calls,
        answer.choices[0].finish_reason,
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )


def chat_stream(gateway: RunningSidecar) -> Heard:
    text = reasoning = ""
    finish, usage = None, None
    calls: dict[int, list[str]] = {}
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as sdk:
        chunks: Any = sdk.chat.completions.create(**QUESTION, stream=True, stream_options={"include_usage": True})
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or ():
                    if call.id:
                        calls[call.index] = [call.id, call.function.name, ""]
                    calls[call.index][2] += call.function.arguments or ""
    told = tuple((call_id, name, orjson.loads(arguments)) for call_id, name, arguments in calls.values())
    assert usage is not None
    return Heard(text, reasoning, told, finish, usage.prompt_tokens, usage.completion_tokens)


def _native(message: Any) -> Heard:
    finish = {"tool_use": "tool_calls", "end_turn": "stop"}[message.stop_reason]
    usage = message.usage
    prompt = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    return Heard(
        "".join(block.text for block in message.content if block.type == "text"),
        "".join(block.thinking for block in message.content if block.type == "thinking"),
        tuple((block.id, block.name, block.input) for block in message.content if block.type == "tool_use"),
        finish,
        prompt,
        usage.output_tokens,
    )


def messages(gateway: RunningSidecar) -> Heard:
    question = {name: value for name, value in NATIVE_QUESTION.items() if name != "stream"}
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk:
        return _native(sdk.messages.create(**question))


def messages_stream(gateway: RunningSidecar) -> Heard:
    question = {name: value for name, value in NATIVE_QUESTION.items() if name != "stream"}
    with (
        anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as sdk,
        sdk.messages.stream(**question) as stream,
    ):
        return _native(stream.get_final_message())


WAYS: list[Callable[[RunningSidecar], Heard]] = [chat, chat_stream, messages, messages_stream]
