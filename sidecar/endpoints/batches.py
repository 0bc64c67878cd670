"""Anthropic's message batches, passed through."""

from __future__ import annotations

import re
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sidecar.batches import BatchBooks, Tally
from sidecar.endpoints.endpoint import Endpoint
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Exchange, Json
from sidecar.intake import Intake
from sidecar.passthrough import ChangedPassthrough, Passthrough
from sidecar.projects.project import DEFAULT, check_model
from sidecar.upstream import Upstream

PATH: Final = "/messages/batches"

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")
"""Nothing that would lead to another path of Claude's API: `..` goes there with our key."""

RESULTS_URL: Final = re.compile(rb'("results_url"\s*:\s*")[^"]*(/v1/messages/batches/)')
"""The one thing in a batch that is changed on its way: SDKs fetch the results where it says, with the key that they
have, which is ours and not Anthropic's."""


class Batches:
    def __init__(self, intake: Intake, books: BatchBooks) -> None:
        self._intake = intake
        self._gateway = intake.gateway
        self._books = books

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("POST", PATH, self.create),
            Endpoint("GET", PATH, self.list_all),
            Endpoint("GET", PATH + "/{batch}", self.one),
            Endpoint("DELETE", PATH + "/{batch}", self.one),
            Endpoint("POST", PATH + "/{batch}/cancel", self.one),
            Endpoint("GET", PATH + "/{batch}/results", self.results),
        ]

    async def create(self, request: Request) -> Response:
        """To the limits of its project a batch is one request, whatever is in it."""
        admitted = await self._intake.admitted_body(request, "anthropic_messages", keep=False)
        project = admitted.project
        models = _models_of(admitted.wire)
        for model in models:
            check_model(project.name, project.policy, self._gateway.catalogue.resolve(model).card)
        exchange = self._intake.exchange(request, "anthropic_messages", admitted, {"model": models[0]}, stream=False)
        await self._gateway.pay(exchange)

        async def made(body: bytes) -> bytes:
            self._books.made(orjson.loads(body)["id"], project.name)
            return _here(request, body)

        return ChangedPassthrough(self._gateway.upstream, exchange, *_way(request), made)

    async def list_all(self, request: Request) -> Response:
        exchange = await self._asked(request)

        async def own(body: bytes) -> bytes:
            if exchange.project != DEFAULT:
                told = orjson.loads(body)
                names = [await self._books.project_of(batch["id"]) for batch in told["data"]]
                batches = zip(told["data"], names, strict=True)
                told["data"] = [batch for batch, name in batches if name == exchange.project]
                body = orjson.dumps(told)
            return _here(request, body)

        return ChangedPassthrough(self._gateway.upstream, exchange, *_way(request), own)

    async def one(self, request: Request) -> Response:
        async def same(body: bytes) -> bytes:
            return _here(request, body)

        exchange = await self._asked(request)
        return ChangedPassthrough(self._gateway.upstream, exchange, *_way(request), same)

    async def results(self, request: Request) -> Response:
        exchange = await self._asked(request)
        return Results(self._gateway.upstream, exchange, *_way(request), self._books, request.path_params["batch"])

    async def _asked(self, request: Request) -> Exchange:
        """Raises GatewayError (404) for a batch of another project's. The owner's project sees them all."""
        project = await self._intake.admit(request)
        batch = request.path_params.get("batch")
        if batch is not None and not ID.fullmatch(batch):
            raise GatewayError("not_found_error", "This is no id of a batch.")
        if batch is not None and project.name != DEFAULT and await self._books.project_of(batch) != project.name:
            raise GatewayError("not_found_error", f"The project {project.name} has no batch of this id.")
        return self._intake.passing(request, project, "anthropic_messages")


class Results(Passthrough):
    """The results of a batch: lines as they come, counted as they pass."""

    def __init__(
        self, upstream: Upstream, exchange: Exchange, method: str, path: str, books: BatchBooks, batch: str
    ) -> None:
        super().__init__(upstream, exchange, method, path)
        self._books = books
        self._batch = batch
        self._tally: Tally = books.tally(exchange)

    def passed(self, chunk: bytes) -> None:
        self._tally.feed(chunk)

    async def ended(self) -> None:
        await self._books.settle(self._batch, self._exchange, self._tally)


def _way(request: Request) -> tuple[str, str]:
    """Method and path at Claude's API."""
    return request.method, f"/v1{PATH}{request.url.path.partition(PATH)[2]}"


def _here(request: Request, body: bytes) -> bytes:
    """Where results are fetched is below the base that this request came by."""
    base = str(request.base_url).rstrip("/") + request.url.path.partition(PATH)[0].removesuffix("/v1")
    return RESULTS_URL.sub(lambda found: found[1] + base.encode() + found[2], body)


def _models_of(wire: Json) -> list[str]:
    """Each once. Raises GatewayError (400): without them nobody knows whether the project may use them."""
    requests = wire.get("requests")
    if not isinstance(requests, list) or not requests:
        raise invalid_request("requests: a batch needs at least one request.", param="requests")
    models: dict[str, None] = {}
    for index, one in enumerate(requests):
        params = one.get("params") if isinstance(one, dict) else None
        model = params.get("model") if isinstance(params, dict) else None
        if not isinstance(model, str):
            raise invalid_request(f"requests.{index}.params.model: Field required", param=f"requests.{index}")
        models[model] = None
    return list(models)
