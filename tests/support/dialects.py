"""One question asked in each language that cgw speaks, over plain HTTP; and what is heard, in the same words of each.

A question is written once, as a chat completions body. `ROADS` says how each dialect asks it and how its answer reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from sidecar.dialects import openai_chat
from sidecar.fit import fit
from sidecar.models.catalogue import Catalogue

Json = dict[str, Any]
MODEL = "claude-sonnet-5-5"
API_VERSION = "2026-10-21"
CATALOGUE = Catalogue()


@dataclass(slots=True)
class Heard:
    """What a client got. `status` is HTTP's; `error` also one that came inside a stream."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """(name, arguments) in order."""
    finish: str | None = None
    reasoning: str = ""
    pages: list[str] = field(default_factory=list)
    """URLs that the answer cites."""
    prompt_tokens: int = 0
    output_tokens: int = 0
    status: int = 200
    error: str | None = None
    report: str = ""


@dataclass(frozen=True, slots=True)
class Road:
    """How one dialect asks, streamed or not."""

    name: str
    path: str
    ask: Callable[[Json], Json]
    hear: Callable[[Json, Heard], None]
    """Reads a whole answer."""
    follow: Callable[[list[tuple[str, Json]], Heard], None]
    """Reads the events of a stream: (name, data)."""
    stream: bool = False

    @property
    def dialect(self) -> str:
        return self.name.removesuffix("_stream")

    def send(self, client: httpx2.Client, base: str, key: str, question: Json) -> Heard:
        model = question["model"]
        body = self.ask(question) | ({"stream": True} if self.stream else {})
        if self.stream and self.dialect in ("chat", "azure", "completions"):
            body["stream_options"] = {"include_usage": True}
        answer = client.post(base + self.path.format(model=model), json=body, headers=self._headers(key))
        heard = Heard(status=answer.status_code, report=answer.headers.get("x-gateway-report", ""))
        if answer.status_code != 200:
            heard.error = answer.json()["error"]["message"]
        elif self.stream:
            self.follow(list(events_of(answer.text)), heard)
        else:
            self.hear(answer.json(), heard)
        return heard

    def _headers(self, key: str) -> dict[str, str]:
        return {"api-key": key} if self.dialect == "azure" else {"x-api-key": key}


def events_of(text: str) -> Iterator[tuple[str, Json]]:
    for chunk in text.replace("\r\n", "\n").split("\n\n"):
        name, data = "", []
        for line in chunk.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
        if data and data != ["[DONE]"]:
            yield name, json.loads("\n".join(data))


# Chat completions, Azure's too.


def _chat(question: Json) -> Json:
    return question


def _azure(question: Json) -> Json:
    return {name: value for name, value in question.items() if name != "model"}


def _hear_chat(answer: Json, heard: Heard) -> None:
    [choice, *_] = answer["choices"]
    message = choice["message"]
    heard.text, heard.finish = message.get("content") or "", choice["finish_reason"]
    heard.reasoning = message.get("reasoning_content") or ""
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    calls += [message["function_call"]] if message.get("function_call") else []
    heard.calls = [(call["name"], json.loads(call["arguments"])) for call in calls]
    heard.pages = [one["url_citation"]["url"] for one in message.get("annotations") or ()]
    _openai_usage(answer["usage"], heard)


def _follow_chat(events: list[tuple[str, Json]], heard: Heard) -> None:
    calls: dict[int, list[str]] = {}
    for _, chunk in events:
        if "error" in chunk:
            heard.error = chunk["error"]["message"]
            return
        if chunk.get("usage"):
            _openai_usage(chunk["usage"], heard)
        for choice in chunk["choices"]:
            if choice["index"]:
                continue
            delta = choice["delta"]
            heard.text += delta.get("content") or ""
            heard.reasoning += delta.get("reasoning_content") or ""
            heard.finish = choice["finish_reason"] or heard.finish
            heard.pages += [one["url_citation"]["url"] for one in delta.get("annotations") or ()]
            pieces = list(delta.get("tool_calls") or ())
            pieces += [{"index": 0, "function": delta["function_call"]}] if delta.get("function_call") else []
            for piece in pieces:
                call = calls.setdefault(piece["index"], ["", ""])
                call[0] += piece["function"].get("name") or ""
                call[1] += piece["function"].get("arguments") or ""
    heard.calls = [(name, json.loads(arguments)) for name, arguments in calls.values()]


def _openai_usage(usage: Json, heard: Heard) -> None:
    heard.prompt_tokens, heard.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]


# Messages.

NATIVE_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "refusal": "content_filter",
}


def _messages(question: Json) -> Json:
    """The same in Claude's own words, as a client that knows the model would say it."""
    decoded = openai_chat.decode(question)
    card = CATALOGUE.resolve(question["model"]).card
    fitted, _ = fit(decoded.request, card, api_version=API_VERSION, default_max_tokens=4_000)
    return {**{name: value for name, value in fitted.items() if name != "stream"}, "model": card.id}


def _hear_messages(answer: Json, heard: Heard) -> None:
    for block in answer["content"]:
        if block["type"] == "text":
            heard.text += block["text"]
            heard.pages += [citation["url"] for citation in block.get("citations") or ()]
        elif block["type"] == "thinking":
            heard.reasoning += block["thinking"]
        elif block["type"] == "tool_use":
            heard.calls.append((block["name"], block["input"]))
    heard.finish = NATIVE_FINISH[answer["stop_reason"]]
    _native_usage(answer["usage"], heard)


def _follow_messages(events: list[tuple[str, Json]], heard: Heard) -> None:
    calls: dict[int, list[str]] = {}
    for name, event in events:
        assert name == event["type"]
        match event:
            case {"type": "error"}:
                heard.error = event["error"]["message"]
                return
            case {"type": "content_block_start", "content_block": {"type": "tool_use", "name": str(called)}}:
                calls[event["index"]] = [called, ""]
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": str(text)}}:
                heard.text += text
            case {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": str(text)}}:
                heard.reasoning += text
            case {"type": "content_block_delta", "delta": {"type": "citations_delta", "citation": citation}}:
                heard.pages.append(citation["url"])
            case {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": str(text)}}:
                if event["index"] in calls:
                    calls[event["index"]][1] += text
            case {"type": "message_delta"}:
                heard.finish = NATIVE_FINISH[event["delta"]["stop_reason"]]
                _native_usage(event["usage"], heard)
    heard.calls = [(called, json.loads(text or "{}")) for called, text in calls.values()]


def _native_usage(usage: Mapping[str, Any], heard: Heard) -> None:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    heard.prompt_tokens = sum(usage.get(name) or 0 for name in names)
    heard.output_tokens = usage["output_tokens"]


# Responses.


def _responses(question: Json) -> Json:
    asked: Json = {"model": question["model"], "input": list(_items(question["messages"])), "store": False}
    if question.get("tools"):
        asked["tools"] = [
            {"type": "function", "strict": False, **tool["function"]} if tool.get("type") == "function" else tool
            for tool in question["tools"]
        ]
    names = {
        "max_tokens": "max_output_tokens",
        "parallel_tool_calls": "parallel_tool_calls",
        "temperature": "temperature",
    }
    for ours, theirs in names.items():
        if ours in question:
            asked[theirs] = question[ours]
    if (choice := question.get("tool_choice")) is not None:
        asked["tool_choice"] = choice if isinstance(choice, str) else {"type": "function", **choice["function"]}
    if (form := question.get("response_format")) is not None:
        asked["text"] = {"format": {"type": form["type"], **form.get("json_schema", {})}}
    if (effort := question.get("reasoning_effort")) is not None:
        asked["reasoning"] = {"effort": effort, "summary": "auto"}
    return asked


def _items(messages: list[Json]) -> Iterator[Json]:
    for message in messages:
        if message["role"] == "tool":
            content = message.get("content")
            output = content if isinstance(content, str) else [_part(part) for part in content or ()]
            yield {"type": "function_call_output", "call_id": message["tool_call_id"], "output": output or ""}
            continue
        content = message.get("content")
        if content:
            said = content if isinstance(content, str) else [_part(part) for part in content]
            yield {"type": "message", "role": message["role"], "content": said}
        for call in message.get("tool_calls") or ():
            yield {"type": "function_call", "call_id": call["id"], **call["function"]}


def _part(part: Json) -> Json:
    match part:
        case {"type": "text"}:
            return {"type": "input_text", "text": part["text"]}
        case {"type": "image_url"}:
            return {"type": "input_image", "image_url": part["image_url"]["url"], "detail": "auto"}
        case {"type": "file"}:
            return {"type": "input_file", **part["file"]}
    raise AssertionError(part)


def _hear_response(answer: Json, heard: Heard) -> None:
    for item in answer["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                heard.text += part.get("text", "")
                heard.pages += [one["url"] for one in part.get("annotations") or () if one["type"] == "url_citation"]
        elif item["type"] == "function_call":
            heard.calls.append((item["name"], json.loads(item["arguments"])))
        elif item["type"] == "reasoning":
            parts = [*item.get("summary", ()), *(item.get("content") or ())]
            heard.reasoning += "".join(part["text"] for part in parts)
    reason = (answer.get("incomplete_details") or {}).get("reason")
    finish = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason or "", "stop")
    if any(item["type"] == "message" and any(part["type"] == "refusal" for part in item["content"])
           for item in answer["output"]):  # fmt: skip
        finish = "content_filter"
    heard.finish = "tool_calls" if heard.calls and finish == "stop" else finish
    heard.prompt_tokens, heard.output_tokens = answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]


def _follow_response(events: list[tuple[str, Json]], heard: Heard) -> None:
    numbers = [event["sequence_number"] for _, event in events]
    assert numbers == sorted(set(numbers))
    spelled = ""
    for name, event in events:
        assert name == event["type"]
        match event:
            case {"type": "error"}:
                heard.error = event["message"]
            case {"type": "response.failed"}:
                heard.error = event["response"]["error"]["message"]
            case {"type": "response.output_text.delta"}:
                spelled += event["delta"]
            case {"type": "response.completed" | "response.incomplete"}:
                _hear_response(event["response"], heard)
                assert heard.text == spelled
    heard.text = spelled


# Completions.


def _completions(question: Json) -> Json:
    [message] = question["messages"]
    names = ("model", "max_tokens", "stop", "n", "temperature")
    return {"prompt": message["content"], **{name: question[name] for name in names if name in question}}


def _hear_completion(answer: Json, heard: Heard) -> None:
    heard.text, heard.finish = answer["choices"][0]["text"], answer["choices"][0]["finish_reason"]
    _openai_usage(answer["usage"], heard)


def _follow_completion(events: list[tuple[str, Json]], heard: Heard) -> None:
    for _, chunk in events:
        if "error" in chunk:
            heard.error = chunk["error"]["message"]
            return
        if chunk.get("usage"):
            _openai_usage(chunk["usage"], heard)
        for choice in chunk["choices"]:
            if not choice["index"]:
                heard.text += choice["text"]
                heard.finish = choice["finish_reason"] or heard.finish


_WHOLE = (
    Road("chat", "/v1/chat/completions", _chat, _hear_chat, _follow_chat),
    Road("azure", "/openai/deployments/{model}/chat/completions?api-version=v", _azure, _hear_chat, _follow_chat),
    Road("messages", "/v1/messages", _messages, _hear_messages, _follow_messages),
    Road("responses", "/v1/responses", _responses, _hear_response, _follow_response),
    Road("completions", "/v1/completions", _completions, _hear_completion, _follow_completion),
)

ROADS = tuple(
    Road(road.name + ("_stream" if stream else ""), road.path, road.ask, road.hear, road.follow, stream)
    for road in _WHOLE
    for stream in (False, True)
)
