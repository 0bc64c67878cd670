"""A conversation that goes through layers turn by turn, as a running sidecar would send it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from sidecar import pace_shelf
from sidecar.accounts.prices import Prices
from sidecar.config import Settings
from sidecar.exchange import Exchange, Json, Usage
from sidecar.fallback import Fallbacks
from sidecar.file_cache import NAMESPACE, SIZE_LIMIT_BYTES, FileCache
from sidecar.home import Home
from sidecar.memory import ConversationMemory
from sidecar.models.catalogue import Catalogue
from sidecar.pace_shelf import PaceShelf
from sidecar.pipeline import Pipeline
from sidecar.replies.replies import Replies
from sidecar.services import Services
from sidecar.store.shelves import Shelves
from tests.support.exchanges import an_exchange

BYTES_A_TOKEN = 3


class Talk:
    """Each `send` is one request that Claude accepts: `sent` is what went upstream, `exchange` what the layers left."""

    def __init__(self, home: Path, *layers: Callable[[Services], object], **settings: Any) -> None:
        catalogue = Catalogue()
        self.memory = ConversationMemory(reduce_with_thinking=bool(settings.get("reduce_with_thinking")))
        self.services = Services(
            settings=Settings(**settings),
            home=Home(home),
            catalogue=catalogue,
            prices=Prices(catalogue.same_line),
            memory=self.memory,
            shelves=(shelves := Shelves(Home(home), None)),
            files=FileCache(shelves(NAMESPACE, SIZE_LIMIT_BYTES)),
            pace=PaceShelf(shelves(pace_shelf.NAMESPACE, pace_shelf.SIZE_LIMIT_BYTES)),
            replies=Replies(shelves("replies", SIZE_LIMIT_BYTES)),
            api_version=_api_version,
            fallbacks=Fallbacks(catalogue=catalogue),
        )
        self.layers = [layer(self.services) for layer in layers]
        self._pipeline = Pipeline([self.memory, *self.layers])
        self.exchange: Exchange = an_exchange()
        self.sent: Json = {}

    def change_layers(self, *layers: Callable[[Services], object]) -> None:
        """Go on with others, that know nothing."""
        self.layers = [layer(self.services) for layer in layers]
        self._pipeline = Pipeline([self.memory, *self.layers])

    def send(self, request: Json, *, client: str = "unknown", **fields: Any) -> Json:
        self.lose(request, client=client, **fields)
        self.exchange.usage = Usage(input_tokens=len(orjson.dumps(self.sent)) // BYTES_A_TOKEN)
        self.memory.accepted(self.exchange)
        return self.sent

    def lose(self, request: Json, *, client: str = "unknown", **fields: Any) -> Json:
        """A request that Claude never answers."""
        request = orjson.loads(orjson.dumps(request))
        self.exchange = exchange = an_exchange(
            request=request, client=client, conversation="c", **{"project": "web"} | fields
        )
        asyncio.run(self._pipeline.request(exchange))
        assert not exchange.failed_addons
        self.sent = request
        if exchange.prompt is not None:
            self.sent = exchange.prompt.assemble(request, takes_mid_system=True)
        return self.sent

    def close(self) -> None:
        self.services.shelves.close()

    @property
    def decided(self) -> list[str]:
        return [str(decision) for decision in self.exchange.decisions]

    @property
    def noted(self) -> list[str]:
        return [str(note) for note in self.exchange.notes]


async def _api_version() -> str:
    return "2026-10-21"


def texts(request: Json) -> list[str]:
    """All texts of a request's messages, tool results' too, in order."""
    found: list[str] = []
    for message in request["messages"]:
        found += _texts(message["content"])
    return found


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    found: list[str] = []
    for block in content:
        if block["type"] == "text":
            found.append(block["text"])
        elif block["type"] == "tool_result":
            found += _texts(block.get("content") or [])
    return found


def user(*content: Any) -> Json:
    """A user's message: texts, and blocks as they are."""
    return {"role": "user", "content": [_block(one) for one in content]}


def assistant(*content: Any) -> Json:
    return {"role": "assistant", "content": [_block(one) for one in content]}


def call(call_id: str, name: str = "read_file", **arguments: Any) -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, content: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def _block(one: Any) -> Json:
    return {"type": "text", "text": one} if isinstance(one, str) else one
