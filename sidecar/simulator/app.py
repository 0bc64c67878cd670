"""The HTTP surface: Anthropic's routes, and the control routes for tests in other processes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.simulator import catalogue, models
from sidecar.simulator.answers import Failure, Raw, step_from_json
from sidecar.simulator.batches import BatchApi
from sidecar.simulator.composing import fresh_id
from sidecar.simulator.delivery import DeliveryResponse
from sidecar.simulator.errors import ApiError
from sidecar.simulator.wire import error_body

if TYPE_CHECKING:
    from sidecar.simulator.ledger import Row
    from sidecar.simulator.simulator import Simulator

LIMITS = {"requests": 4_000, "input-tokens": 2_000_000, "output-tokens": 400_000, "tokens": 2_400_000}
"""A minute's rate limits, as the `anthropic-ratelimit-*` headers report them; they are never enforced."""
_RESET = "2026-11-22T12:00:00Z"


def make_app(simulator: Simulator) -> Starlette:
    """The routes over one simulator."""
    api, control, batches = Api(simulator), Control(simulator), BatchApi(simulator)
    of_batches = [
        ("POST", "", batches.create),
        ("GET", "", batches.page),
        ("GET", "/{batch}", batches.retrieve),
        ("DELETE", "/{batch}", batches.delete),
        ("POST", "/{batch}/cancel", batches.cancel),
        ("GET", "/{batch}/results", batches.results),
    ]
    return Starlette(
        routes=[
            *(
                Route(f"/v1/messages/batches{path}", api.answered(endpoint), methods=[method])
                for method, path, endpoint in of_batches
            ),
            Route("/v1/messages", api.messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", api.count_tokens, methods=["POST"]),
            Route("/v1/models", api.models, methods=["GET"]),
            Route("/v1/models/{model_id}", api.model, methods=["GET"]),
            Route("/_simulator/ledger", control.ledger, methods=["GET", "DELETE"]),
            Route("/_simulator/script", control.script, methods=["POST", "DELETE"]),
            Route("/_simulator/clock", control.clock, methods=["GET", "POST"]),
            Route("/_simulator/cache", control.cache, methods=["DELETE"]),
        ],
        exception_handlers={404: _no_such_route, 405: _no_such_route},
    )


Endpoint = Callable[[Request, "Row", str], Awaitable[Response]]
"""Answers a request of a workspace, and closes its row."""


class Api:
    """Anthropic's routes."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def messages(self, http: Request) -> Response:
        return await self._answered(http, self._message)

    async def count_tokens(self, http: Request) -> Response:
        return await self._answered(http, self._count)

    async def models(self, http: Request) -> Response:
        return await self._answered(http, self._model_page)

    async def model(self, http: Request) -> Response:
        return await self._answered(http, self._one_model)

    def answered(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """A route for an endpoint that stands elsewhere."""

        async def route(http: Request) -> Response:
            return await self._answered(http, endpoint)

        return route

    async def _answered(self, http: Request, endpoint: Endpoint) -> Response:
        """Opens the request's row, checks its key and turns every ApiError into Anthropic's shape."""
        simulator = self._simulator
        headers = dict(http.headers)
        try:
            body = await _body(http, simulator.max_body_bytes)
        except ClientDisconnect:
            simulator.ledger.close(self._row(http, b"", headers), cancelled="before the first byte")
            return Response(status_code=400)
        row = self._row(http, body or b"", headers)
        try:
            return await endpoint(http, row, simulator.authorize(headers, too_large=body is None))
        except ApiError as error:
            refused = error_body(error.status, error.message, row.request_id)
            simulator.refuse(row, error.status, refused["error"])
            return JSONResponse(refused, error.status, _headers(row))

    def _row(self, http: Request, body: bytes, headers: dict[str, str]) -> Row:
        now = self._simulator.clock.now()
        request_id = fresh_id("req", now, id(http))
        return self._simulator.ledger.open(
            time=now,
            path=http.url.path,
            query=http.url.query,
            body=body,
            headers=headers,
            request_id=request_id,
        )

    async def _message(self, http: Request, row: Row, workspace: str) -> Response:
        simulator = self._simulator
        turn = simulator.accept(row, workspace)
        step = simulator.step_for(turn)
        if isinstance(step, Failure):
            return DeliveryResponse(simulator.fail(turn, step, row, _headers(row)).run)
        if isinstance(step, Raw):
            return simulator.send_raw(turn, step, row)
        return DeliveryResponse(simulator.deliver(turn, step, row, _headers(row)).run)

    async def _count(self, http: Request, row: Row, workspace: str) -> Response:
        turn = self._simulator.accept(row, workspace, counting=True)
        self._simulator.ledger.close(row, status=200, model=turn.request["model"])
        return JSONResponse({"input_tokens": turn.prompt_tokens}, headers=_headers(row))

    async def _model_page(self, http: Request, row: Row, workspace: str) -> Response:
        query = http.query_params
        try:
            limit = int(query.get("limit", "20"))
            if not 1 <= limit <= 1000:
                raise ApiError("limit: Input should be between 1 and 1000")
            lifecycle = query.getlist("lifecycle") + query.getlist("lifecycle[]") or ["active", "deprecated"]
            page = catalogue.page(
                limit=limit,
                after_id=query.get("after_id"),
                before_id=query.get("before_id"),
                lifecycle=lifecycle,
            )
        except ValueError as error:
            raise ApiError("limit: Input should be a valid integer") from error
        except KeyError as error:
            raise ApiError(f"unknown cursor: {error.args[0]}") from error
        self._simulator.ledger.close(row, status=200)
        return JSONResponse(page, headers=_headers(row))

    async def _one_model(self, http: Request, row: Row, workspace: str) -> Response:
        model = models.find(http.path_params["model_id"])
        if model is None:
            raise ApiError(f"model: {http.path_params['model_id']}", 404)
        self._simulator.ledger.close(row, status=200)
        return JSONResponse(catalogue.model_info(model), headers=_headers(row))


class Control:
    """What tests in other processes do with the simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def ledger(self, http: Request) -> Response:
        ledger = self._simulator.ledger
        if http.method == "DELETE":
            ledger.clear()
        totals = ledger.totals
        sums = {
            name: str(getattr(totals, name)) if name == "cost" else getattr(totals, name) for name in totals.__slots__
        }
        return JSONResponse({"rows": [row.as_json() for row in ledger.rows], "totals": sums})

    async def script(self, http: Request) -> Response:
        if http.method == "DELETE":
            self._simulator.scripted.clear()
            return JSONResponse({})
        try:
            wanted = await http.json()
            steps = [step_from_json(step) for step in wanted["steps"]]
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": f"not a script: {error}"}, 400)
        if "when" in wanted:
            for step in steps:
                self._simulator.when(str(wanted["when"]), step, times=wanted.get("times"))
        else:
            self._simulator.script(*steps)
        return JSONResponse({"waiting": self._simulator.scripted.waiting})

    async def clock(self, http: Request) -> Response:
        clock = self._simulator.clock
        if http.method == "POST":
            wanted: dict[str, Any] = await http.json()
            if "set" in wanted:
                clock.set(float(wanted["set"]))
            if "advance" in wanted:
                clock.advance(float(wanted["advance"]))
            if wanted.get("run"):
                clock.run()
        return JSONResponse({"now": clock.now()})

    async def cache(self, http: Request) -> Response:
        self._simulator.cache.clear()
        return JSONResponse({})


async def _body(http: Request, limit: int) -> bytes | None:
    """The whole body, or None when it is longer than the API takes. Raises ClientDisconnect."""
    pieces, size = [], 0
    async for piece in http.stream():
        size += len(piece)
        if size <= limit:
            pieces.append(piece)
    return b"".join(pieces) if size <= limit else None


def _headers(row: Row) -> dict[str, str]:
    headers = {"request-id": row.request_id, "anthropic-organization-id": "00000000-0000-4000-8000-000000000000"}
    for name, limit in LIMITS.items():
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(limit - 1)
        headers[f"anthropic-ratelimit-{name}-reset"] = _RESET
    return headers


async def _no_such_route(http: Request, error: Exception) -> Response:
    request_id = fresh_id("req", http.url.path)
    return JSONResponse(error_body(404, "Not found", request_id), 404, {"request-id": request_id})
