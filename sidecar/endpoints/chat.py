"""OpenAI's chat completions."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sidecar.answers import ChoicesAnswer
from sidecar.dialects import openai_chat
from sidecar.dialects.openai_chat import ChatStream, Decoded
from sidecar.endpoints.endpoint import Endpoint
from sidecar.endpoints.responses import Responses
from sidecar.exchange import Json
from sidecar.intake import Admitted, Intake
from sidecar.stretch import LONG, Stretch, apart

SHORT_BODIES: Final = 128
"""That are remembered."""


class Chat:
    def __init__(self, intake: Intake, responses: Responses) -> None:
        self._intake = intake
        self._responses = responses
        self._short: OrderedDict[bytes, Decoded] = OrderedDict()
        """What the newest short bodies say: one that comes again is most often answered from the cache."""

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("POST", "/chat/completions", self.chat_completions),
            Endpoint("POST", "/deployments/{deployment:path}/chat/completions", self.chat_completions),
        ]

    async def chat_completions(self, request: Request) -> Response:
        admitted = await self._intake.admitted_body(request, "openai_chat")
        stretch = Stretch()
        decoded = await self._decoded(admitted)
        await stretch.pause()
        known, made = admitted.read.known, admitted.read.made
        exchanges = self._intake.choices(
            request,
            "openai_chat",
            admitted,
            [decoded.request] * decoded.n,
            stream=decoded.stream,
            notes=decoded.notes,
            known=known and known.inside(decoded.known),
            made=made,
        )
        voice = ChatVoice(decoded, id=f"chatcmpl-{exchanges[0].id.removeprefix('req_')}", created=int(time.time()))
        return ChoicesAnswer(self._intake.gateway, exchanges, voice, ping_seconds=self._intake.limits.ping_seconds)

    async def _decoded(self, admitted: Admitted) -> Decoded:
        """Cursor sends bodies of the Responses API here, and reads the answer as a chat completion."""
        wire = admitted.wire
        if wire.get("messages") or not ("input" in wire or wire.get("previous_response_id")):
            known, made = admitted.read.of("messages")
            if made is None and not admitted.completed:
                return self._decoded_short(admitted.body, wire)
            before = known.made.resumption if known is not None and known.beside else None
            given = wire, before, known.messages if known is not None else 0
            long = admitted.new > LONG
            decoded = await apart(admitted.new, openai_chat.decode, *given) if long else openai_chat.decode(*given)
            if made is not None:
                made.resumption = decoded.resumption
            return decoded
        response = await self._responses.decoded(admitted)
        return Decoded(
            request=response.request,
            notes=response.notes,
            tool_names=response.tool_names,
            stream=response.stream,
            include_usage=response.include_usage,
            n=1,
            custom_tools=response.custom_tools,
            known=response.known,
        )

    def _decoded_short(self, body: bytes, wire: Json) -> Decoded:
        if (decoded := self._short.get(body)) is not None:
            self._short.move_to_end(body)
            return decoded
        decoded = self._short[body] = openai_chat.decode(wire)
        if len(self._short) > SHORT_BODIES:
            self._short.popitem(last=False)
        return decoded


class ChatVoice:
    """Claude's answers as chat completions."""

    def __init__(self, decoded: Decoded, *, id: str, created: int) -> None:  # noqa: A002 - the field's name on the wire
        self._decoded = decoded
        self._id = id
        self._created = created

    def whole(self, message: Json, index: int) -> Json:
        return openai_chat.encode_message(
            message,
            id=self._id,
            created=self._created,
            tool_names=self._decoded.tool_names,
            custom_tools=self._decoded.custom_tools,
            legacy_functions=self._decoded.legacy_functions,
            index=index,
        )

    def streamed(self, model: str, index: int) -> ChatStream:
        return ChatStream(
            id=self._id,
            created=self._created,
            model=model,
            include_usage=self._decoded.include_usage,
            tool_names=self._decoded.tool_names,
            custom_tools=self._decoded.custom_tools,
            legacy_functions=self._decoded.legacy_functions,
            index=index,
        )

    def end(self, choices: Sequence[ChatStream]) -> bytes:
        return openai_chat.end_of(choices)
