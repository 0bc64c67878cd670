"""OpenAI's chat completions."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from sidecar.answers import ChatAnswer
from sidecar.dialects import openai_chat
from sidecar.endpoints.endpoint import Endpoint
from sidecar.exchange import Exchange
from sidecar.intake import Intake


class Chat:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def endpoints(self) -> list[Endpoint]:
        return [Endpoint("POST", "/chat/completions", self.chat_completions)]

    async def chat_completions(self, request: Request) -> Response:
        admitted = await self._intake.admitted_body(request)
        decoded = openai_chat.decode(admitted.wire)
        exchanges: list[Exchange] = []
        for index in range(decoded.n):
            inner = {**decoded.request, "stream": True}
            exchange = self._intake.exchange(request, "openai_chat", admitted, inner, stream=decoded.stream)
            if index:
                exchange.id = f"{exchanges[0].id}-{index}"
            exchange.edited = True
            exchange.choices = decoded.n
            exchange.notes.extend(decoded.notes)
            exchanges.append(exchange)
        return ChatAnswer(
            self._intake.gateway,
            exchanges,
            decoded,
            created=int(time.time()),
            ping_seconds=self._intake.limits.ping_seconds,
        )
