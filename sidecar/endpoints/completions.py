"""OpenAI's completions of 2020, and Mistral's route for filling in: what editors autocomplete with."""

from __future__ import annotations

import time
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from sidecar.answers import ChoicesAnswer
from sidecar.dialects import openai_completions
from sidecar.dialects.openai_completions import CompletionStream, Decoded, Shape
from sidecar.endpoints.endpoint import Endpoint
from sidecar.exchange import Exchange, Json
from sidecar.intake import Intake


class Completions:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("POST", "/completions", self.completions),
            Endpoint("POST", "/deployments/{deployment:path}/completions", self.completions),
            Endpoint("POST", "/fim/completions", self.fill_in),
        ]

    async def completions(self, request: Request) -> Response:
        return await self._answer(request, "cmpl", openai_completions.TEXT)

    async def fill_in(self, request: Request) -> Response:
        """Asked like a completion, answered like a chat: so Mistral does it, and so editors read it."""
        return await self._answer(request, "chatcmpl", openai_completions.CHAT)

    async def _answer(self, request: Request, prefix: str, shape: Shape) -> Response:
        decoded, exchanges = await self._asked(request)
        completion_id = f"{prefix}-{exchanges[0].id.removeprefix('req_')}"
        voice = CompletionVoice(decoded, shape, id=completion_id, created=int(time.time()))
        return ChoicesAnswer(self._intake.gateway, exchanges, voice, ping_seconds=self._intake.limits.ping_seconds)

    async def _asked(self, request: Request) -> tuple[Decoded, list[Exchange]]:
        admitted = await self._intake.admitted_body(request, "openai_completions", keep=False)
        decoded = openai_completions.decode(admitted.wire)
        exchanges = self._intake.choices(
            request,
            "openai_completions",
            admitted,
            [one for one in decoded.requests for _ in range(decoded.n)],
            stream=decoded.stream,
            notes=decoded.notes,
        )
        return decoded, exchanges


class CompletionVoice:
    """Claude's answers as completions: those to the first prompt first."""

    def __init__(self, decoded: Decoded, shape: Shape, *, id: str, created: int) -> None:  # noqa: A002 - the field's name on the wire
        self._decoded = decoded
        self._shape = shape
        self._id = id
        self._created = created

    def whole(self, message: Json, index: int) -> Json:
        return openai_completions.encode_message(
            message,
            shape=self._shape,
            id=self._id,
            created=self._created,
            index=index,
            echoed=self._echoed(index),
            cut=self._decoded.cut,
        )

    def streamed(self, model: str, index: int) -> CompletionStream:
        return CompletionStream(
            shape=self._shape,
            id=self._id,
            created=self._created,
            model=model,
            include_usage=self._decoded.include_usage,
            index=index,
            echoed=self._echoed(index),
            cut=self._decoded.cut,
        )

    def end(self, choices: Sequence[CompletionStream]) -> bytes:
        return openai_completions.end_of(choices)

    def _echoed(self, index: int) -> str:
        return self._decoded.echoed[index // self._decoded.n]
