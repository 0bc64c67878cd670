"""An editor as small as it gets: one growing conversation over OpenAI's chat completions, streamed, with tools."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp
import orjson

from sidecar.commands.demo_session import SYSTEM, TOOLS, Turn
from sidecar.exchange import Json
from sidecar.sse import EventSplitter

MODEL = "sonnet"


@dataclass(slots=True)
class Reply:
    """One streamed answer, as far as it has come. Times are seconds since the request was sent."""

    text: str = ""
    calls: list[Json] = field(default_factory=list)
    """Tool calls in OpenAI's form, arguments complete once the stream has ended."""
    model: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    first_byte: float = 0.0
    whole: float = 0.0
    error: str | None = None
    """Why there is no complete answer."""

    @property
    def names(self) -> list[str]:
        """Of the tools it calls."""
        return [call["function"]["name"] for call in self.calls]


class Editor:
    """Plays turns against a gateway. `base_url` ends in `/v1`, as the OpenAI SDKs want it."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, key: str, *, model: str = MODEL, system: str = SYSTEM
    ) -> None:
        self._session = session
        self._model = model
        self._url = f"{base_url}/chat/completions"
        self._headers = {"authorization": f"Bearer {key}"}
        self.messages: list[Json] = [{"role": "system", "content": system}]
        self.tools: Sequence[Json] = TOOLS
        self._calls: list[Json] = []

    def add(self, turn: Turn) -> None:
        """What the turn brings: the user's words, or the results of the calls in the last reply."""
        if turn.says is not None:
            self.messages.append({"role": "user", "content": turn.says})
        for call, result in zip(self._calls, turn.results, strict=True):
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": result.text})

    async def ask(self, show_text: Callable[[str], None]) -> Reply:
        """Send the conversation; `show_text` gets the answer's text as it arrives."""
        reply = Reply()
        body = {
            "model": self._model,
            "messages": self.messages,
            "tools": list(self.tools),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        sent = time.perf_counter()
        try:
            async with self._session.post(self._url, data=orjson.dumps(body), headers=self._headers) as answer:
                if answer.status == 200:
                    await self._read(answer, reply, sent, show_text)
                else:
                    reply.error = f"{answer.status}: {(await answer.json())['error']['message']}"
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
            reply.error = f"{type(error).__name__}: {error}"
        reply.whole = time.perf_counter() - sent
        self._remember(reply)
        return reply

    async def _read(
        self, answer: aiohttp.ClientResponse, reply: Reply, sent: float, show_text: Callable[[str], None]
    ) -> None:
        splitter = EventSplitter()
        async for piece in answer.content.iter_any():
            reply.first_byte = reply.first_byte or time.perf_counter() - sent
            for event in splitter.feed(piece):
                if event.data == b"[DONE]":
                    return
                if event.data:
                    _fold(orjson.loads(event.data), reply, show_text)
        reply.error = reply.error or "the stream broke off"

    def _remember(self, reply: Reply) -> None:
        message: Json = {"role": "assistant", "content": reply.text or None}
        if reply.calls:
            message["tool_calls"] = reply.calls
        self.messages.append(message)
        self._calls = reply.calls


def _fold(chunk: Json, reply: Reply, show_text: Callable[[str], None]) -> None:
    if "error" in chunk:
        reply.error = chunk["error"]["message"]
        return
    reply.model = chunk["model"]
    if usage := chunk.get("usage"):
        reply.prompt_tokens = usage["prompt_tokens"]
        reply.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"]
        reply.completion_tokens = usage["completion_tokens"]
    for choice in chunk["choices"]:
        delta = choice["delta"]
        if text := delta.get("content"):
            reply.text += text
            show_text(text)
        for piece in delta.get("tool_calls") or ():
            if piece["index"] == len(reply.calls):
                reply.calls.append(
                    {
                        "id": piece["id"],
                        "type": "function",
                        "function": {"name": piece["function"]["name"], "arguments": ""},
                    }
                )
            reply.calls[piece["index"]]["function"]["arguments"] += piece["function"].get("arguments", "")
