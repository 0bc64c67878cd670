"""OpenAI's Responses API."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sidecar.dialects import openai_responses
from sidecar.dialects.openai_responses import Decoded, Stored
from sidecar.endpoints.endpoint import Endpoint, json_response
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Json
from sidecar.intake import Admitted, Intake
from sidecar.response_shelf import ResponseShelf
from sidecar.responses_answer import ResponsesAnswer
from sidecar.stretch import LONG, Stretch, apart

INSTEAD: Final = {
    "input_tokens": "Count with Claude's own /v1/messages/count_tokens, or read `usage` of an answer.",
    "compact": "Send the whole conversation: Claude's prompt cache keeps it cheap. Once it is too long for the model, "
    "ask for a summary by /v1/responses and go on from that.",
}
"""What stands below /responses and is no id, and what to do instead."""

MOST_LISTED: Final = 100
USUALLY_LISTED: Final = 20


class Responses:
    def __init__(self, intake: Intake, shelf: ResponseShelf) -> None:
        self._intake = intake
        self._shelf = shelf

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("POST", "/responses", self.create),
            Endpoint("GET", "/responses/{response_id}", self.show),
            Endpoint("DELETE", "/responses/{response_id}", self.delete),
            Endpoint("GET", "/responses/{response_id}/input_items", self.list_input),
            Endpoint("POST", "/responses/{response_id}/cancel", self.cancel),
            *(Endpoint("POST", f"/responses/{word}", self.refuse) for word in INSTEAD),
        ]

    async def create(self, request: Request) -> Response:
        admitted = await self._intake.admitted_body(request, "openai_responses")
        stretch = Stretch()
        decoded = await self.decoded(admitted)
        await stretch.pause()
        inner = {**decoded.request, "stream": True}
        known, made = admitted.read.of("input")
        exchange = self._intake.exchange(
            request,
            "openai_responses",
            admitted,
            inner,
            stream=decoded.stream,
            known=known and known.inside(decoded.known),
            made=made,
        )
        exchange.edited = True
        exchange.notes.extend(decoded.notes)
        return ResponsesAnswer(
            self._intake.gateway,
            exchange,
            decoded,
            keep=partial(self._keep, exchange.project, decoded),
            ping_seconds=self._intake.limits.ping_seconds,
        )

    async def decoded(self, admitted: Admitted) -> Decoded:
        """A request with all that it refers to. Raises GatewayError for what is not kept."""
        project, wire, now = admitted.project.name, admitted.wire, time.time()
        before = openai_responses.previous_response_id(wire)
        history = await self._shelf.history(project, before, now) if before is not None else []
        told = wire.get("input")
        if isinstance(told, list) and (references := openai_responses.references_in(told)):
            found = await self._shelf.referred_to(project, references, now)
            wire = {**wire, "input": openai_responses.resolved(told, found)}
            return openai_responses.decode(wire, history)
        known, made = admitted.read.of("input")
        earlier = known.made.resumption if known is not None and known.beside and not history else None
        given = wire, history, earlier, known.messages if known is not None else 0
        long = admitted.new > LONG
        decoded = (
            await apart(admitted.new, openai_responses.decode, *given) if long else openai_responses.decode(*given)
        )
        if made is not None:
            made.resumption = decoded.resumption
        return decoded

    async def _keep(self, project: str, decoded: Decoded, response: Json) -> None:
        if decoded.store:
            self._shelf.keep(project, Stored(response, decoded.input))
            await self._shelf.settled()

    async def show(self, request: Request) -> Response:
        stored = await self._stored(request)
        if request.query_params.get("stream") == "true":
            raise invalid_request(
                "stream: only answers in the background can be streamed later, and cgw has none; leave it out.",
                param="stream",
            )
        return json_response(stored.response)

    async def delete(self, request: Request) -> Response:
        project = await self._intake.admit(request)
        response_id = request.path_params["response_id"]
        await self._shelf.delete(project.name, response_id, time.time())
        return json_response({"id": response_id, "object": "response", "deleted": True})

    async def list_input(self, request: Request) -> Response:
        items = openai_responses.input_items(await self._stored(request))
        asked = request.query_params
        order = asked.get("order", "desc")
        if order not in ("asc", "desc"):
            raise invalid_request(f"order: there are asc and desc, not {order[:40]!r}.", param="order")
        if order == "desc":
            items.reverse()
        if (after := asked.get("after")) is not None:
            places = [index for index, item in enumerate(items) if item["id"] == after]
            if not places:
                raise invalid_request(f"after: there is no item {after[:80]!r} in this list.", param="after")
            items = items[places[0] + 1 :]
        limit = _limit(asked.get("limit"))
        page = items[:limit]
        return json_response(
            {
                "object": "list",
                "data": page,
                "first_id": page[0]["id"] if page else None,
                "last_id": page[-1]["id"] if page else None,
                "has_more": len(items) > limit,
            }
        )

    async def cancel(self, request: Request) -> Response:
        await self._intake.admit(request)
        raise invalid_request(
            "Only answers in the background can be cancelled, and cgw has none: close the connection instead, which "
            "ends the answer at once.",
            code="not_cancellable",
        )

    async def refuse(self, request: Request) -> Response:
        await self._intake.admit(request)
        path = request.url.path
        raise GatewayError(
            "not_found_error",
            f"cgw does not serve {path}. {INSTEAD[path.rpartition('/')[2]]}",
            code="unknown_url",
        )

    async def _stored(self, request: Request) -> Stored:
        project = await self._intake.admit(request)
        return await self._shelf.find(project.name, request.path_params["response_id"], time.time())


def _limit(told: str | None) -> int:
    if told is None:
        return USUALLY_LISTED
    if not told.isdecimal() or not 1 <= int(told[:9]) <= MOST_LISTED:
        raise invalid_request(f"limit: a number from 1 to {MOST_LISTED} is expected, not {told[:40]!r}.", param="limit")
    return int(told)
