"""The HTTP surface: what is served where, and the shape of what is refused. Composes the endpoints of each dialect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.admission import Admission
from sidecar.answers import error_response
from sidecar.batches import BatchBooks
from sidecar.endpoints.batches import Batches
from sidecar.endpoints.chat import Chat
from sidecar.endpoints.completions import Completions
from sidecar.endpoints.endpoint import Endpoint, json_response
from sidecar.endpoints.messages import Messages
from sidecar.endpoints.models import Models
from sidecar.endpoints.not_served import not_served
from sidecar.endpoints.responses import Responses
from sidecar.errors import CLIENT_LEFT, GatewayError
from sidecar.exchange import Dialect, Json
from sidecar.front_door import FrontDoor, Gate
from sidecar.gateway import Gateway
from sidecar.headers import for_anyone
from sidecar.intake import Intake, ListenerLimits
from sidecar.limits.limiter import Limiter
from sidecar.live import log_refusal
from sidecar.plain_routes import PlainFirst
from sidecar.response_shelf import ResponseShelf

log = logging.getLogger(__name__)

PROJECT_BASE = "/p/{project}"
BASES = tuple(project + base for project in ("", PROJECT_BASE) for base in ("", "/v1", "/openai", "/openai/v1"))
"""Every route stands below each of these: some clients add `/v1` themselves, some do not, those of Azure add `/openai`;
some clients can name their project in the base URL only."""


class Listener:
    """All that is served on the port, and the shape of what is refused."""

    def __init__(
        self,
        gateway: Gateway,
        admission: Admission,
        limiter: Limiter,
        *,
        limits: ListenerLimits,
        responses: ResponseShelf,
        health: Callable[[], Json],
        batch_books: BatchBooks | None = None,
        more_routes: Sequence[Route] = (),
        bypass: Callable[[], bool] = lambda: False,
        refused: Callable[[str, str, int, GatewayError], None] = log_refusal,
    ) -> None:
        """`bypass` says whether every request is to go as its client wrote it; `refused` hears of those that never
        became an exchange. Without `batch_books` there are no batches."""
        self._intake = Intake(gateway, admission, limiter, limits=limits, bypass=bypass)
        self._responses = responses
        self._health = health
        self._batch_books = batch_books
        self._more_routes = more_routes
        self._told = refused

    def app(self) -> Starlette:
        intake = self._intake
        responses = Responses(intake, self._responses)
        endpoints = [Endpoint("GET", "/health", self.health)]
        for served in (Chat(intake, responses), responses, Messages(intake), Models(intake), Completions(intake)):
            endpoints += served.endpoints()
        if self._batch_books is not None:
            endpoints += Batches(intake, self._batch_books).endpoints()
        routes = [Route(base + path, answer, methods=[method]) for method, path, answer in endpoints for base in BASES]
        routes += [Route(base, self.root, methods=["GET"]) for base in ("/", PROJECT_BASE)]
        routes += self._more_routes
        limits = self._intake.limits
        gate = Gate(hosts=limits.allowed_hosts, origins=limits.allowed_origins, open_to_others=limits.open_to_others)
        return PlainFirst(
            routes,
            is_plain=gate.is_plain,
            middleware=[Middleware(FrontDoor, refusal=self._refusal, gate=gate)],
            exception_handlers={
                GatewayError: self._refused,
                HTTPException: self._http_error,
                ClientDisconnect: _gone,
                Exception: _failed_inside,
            },
        )

    async def root(self, request: Request) -> Response:
        """Claude Code asks `HEAD /` before anything else; a person with a browser finds the way from here."""
        text = (
            f"cgw is running.\nOpenAI clients: base URL {request.base_url}v1\nAnthropic clients: {request.base_url}\n"
        )
        return Response(text, media_type="text/plain", headers=for_anyone())

    async def health(self, _: Request) -> Response:
        return json_response(self._health())

    def _refusal(self, request: Request, error: GatewayError) -> Response:
        response = error_response(error, _dialect_of(request))
        self._told(request.method, request.url.path, response.status_code, error)
        return response

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        response = self._refusal(request, error)
        if (project := request.scope.get("project")) is not None:
            response.headers.update(self._intake.limiter.headers(project))
        return response

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code != 405:
            message = not_served(request.url.path)
            return self._refusal(request, GatewayError("not_found_error", message, code="unknown_url"))
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.method} is not what {request.url.path} takes; use {allowed}."
        response = self._refusal(
            request, GatewayError("invalid_request_error", message, status=405, code="method_not_allowed")
        )
        response.headers["allow"] = allowed
        return response


def _dialect_of(request: Request) -> Dialect:
    path = _path_in_project(request.url.path)
    native = "/messages" in path or ("/models" in path and "anthropic-version" in request.headers)
    return "anthropic_messages" if native else "openai_chat"


def _path_in_project(path: str) -> str:
    """Without the base path of a project: it may be called `messages`."""
    if not path.startswith("/p/"):
        return path
    return "/" + path.removeprefix("/p/").partition("/")[2]


async def _failed_inside(request: Request, _: Exception) -> Response:
    """A bug. The server's log gets the traceback, since Starlette raises it again after this answer."""
    headers = for_anyone()
    request_id = headers["x-request-id"]
    log.error("request %s failed inside cgw", request_id)
    error = GatewayError("api_error", f"cgw failed inside; its log has the details under {request_id}.")
    response = error_response(error, _dialect_of(request))
    response.headers.update(headers)
    return response


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)
