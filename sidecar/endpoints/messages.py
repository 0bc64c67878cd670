"""Anthropic's own API."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sidecar.answers import NativeAnswer
from sidecar.endpoints.endpoint import Endpoint
from sidecar.intake import Intake


class Messages:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("POST", "/messages", self.messages),
            Endpoint("POST", "/messages/count_tokens", self.count_tokens),
        ]

    async def messages(self, request: Request) -> Response:
        admitted = await self._intake.admitted_body(request, "anthropic_messages")
        wire = admitted.wire
        known, made = admitted.read.of("messages")
        exchange = self._intake.exchange(
            request, "anthropic_messages", admitted, wire, stream=wire.get("stream") is True, known=known, made=made
        )
        return NativeAnswer(self._intake.gateway, exchange, ping_seconds=self._intake.limits.ping_seconds)

    async def count_tokens(self, request: Request) -> Response:
        admitted = await self._intake.admitted_body(request, "anthropic_messages", keep=False)
        exchange = self._intake.exchange(request, "anthropic_messages", admitted, admitted.wire, stream=False)
        exchange.kind = "count_tokens"
        return NativeAnswer(self._intake.gateway, exchange, ping_seconds=self._intake.limits.ping_seconds)
