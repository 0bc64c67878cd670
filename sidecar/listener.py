"""The HTTP surface: routes, bodies in, answers out. Composes dialect, admission, gateway and relay."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.admission import Admission
from sidecar.answers import ChatAnswer, NativeAnswer, error_response
from sidecar.clients import recognise
from sidecar.dialects import anthropic_messages, openai_chat
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Dialect, Exchange, Json, Timing
from sidecar.front_door import FrontDoor
from sidecar.gateway import Gateway
from sidecar.headers import client_headers, for_anyone, new_request_id, printable
from sidecar.limits.limiter import Limiter
from sidecar.live import log_refusal
from sidecar.projects.project import Project, check_model

log = logging.getLogger(__name__)

PROJECT_BASE = "/p/{project}"
BASES = ("", "/v1", PROJECT_BASE, PROJECT_BASE + "/v1")
"""Every route stands below each of these: some clients add `/v1` themselves, some do not; some clients can name their
project in the base URL only."""


BODY_SECONDS = 60.0
"""How long a body may pause on its way here."""


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    max_body_bytes: int = 64 * 1024 * 1024
    max_in_flight: int = 256
    ping_seconds: float = 10.0
    allowed_hosts: Sequence[str] = ()
    allowed_origins: Sequence[str] = ()
    open_to_others: bool = False
    """These three as in `FrontDoor`."""
    test_clock: bool = False
    """Whether `X-Cgw-Clock` is believed."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may pass, with its body read."""

    project: Project
    body: bytes
    wire: Json
    completed: bool
    """`wire` has the project's default model, where `body` has none."""
    received: float
    """When its last byte was here, as `Timing` has it."""


class Listener:
    """The endpoints, each a method from request to response."""

    def __init__(
        self,
        gateway: Gateway,
        admission: Admission,
        limiter: Limiter,
        *,
        limits: ListenerLimits,
        health: Callable[[], Json],
        more_routes: Sequence[Route] = (),
        bypass: Callable[[], bool] = lambda: False,
        refused: Callable[[str, str, int, GatewayError], None] = log_refusal,
    ) -> None:
        """`bypass` says whether every request is to go as its client wrote it; `refused` hears of those that never
        became an exchange."""
        self._gateway = gateway
        self._admission = admission
        self._limiter = limiter
        self._limits = limits
        self._health = health
        self._more_routes = more_routes
        self._bypass = bypass
        self._told = refused

    def app(self) -> Starlette:
        endpoints: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("POST", "/chat/completions", self.chat_completions),
            ("POST", "/messages", self.messages),
            ("POST", "/messages/count_tokens", self.count_tokens),
            ("GET", "/models", self.list_models),
            ("GET", "/models/{model:path}", self.show_model),
            ("GET", "/health", self.health),
        ]
        routes = [
            Route(base + path, endpoint, methods=[method]) for method, path, endpoint in endpoints for base in BASES
        ]
        routes += [Route(base, self.root, methods=["GET"]) for base in ("/", PROJECT_BASE)]
        routes += self._more_routes
        door = Middleware(
            FrontDoor,
            refusal=self._refusal,
            hosts=self._limits.allowed_hosts,
            origins=self._limits.allowed_origins,
            open_to_others=self._limits.open_to_others,
        )
        return Starlette(
            routes=routes,
            middleware=[door],
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
        return _json(self._health())

    async def chat_completions(self, request: Request) -> Response:
        admitted = await self._admitted_body(request)
        decoded = openai_chat.decode(admitted.wire)
        exchanges: list[Exchange] = []
        for index in range(decoded.n):
            inner = {**decoded.request, "stream": True}
            exchange = self._exchange(request, "openai_chat", admitted, inner, stream=decoded.stream)
            if index:
                exchange.id = f"{exchanges[0].id}-{index}"
            exchange.edited = True
            exchange.choices = decoded.n
            exchange.notes.extend(decoded.notes)
            exchanges.append(exchange)
        return ChatAnswer(
            self._gateway, exchanges, decoded, created=int(time.time()), ping_seconds=self._limits.ping_seconds
        )

    async def messages(self, request: Request) -> Response:
        admitted = await self._admitted_body(request)
        wire = admitted.wire
        exchange = self._exchange(request, "anthropic_messages", admitted, wire, stream=wire.get("stream") is True)
        return NativeAnswer(self._gateway, exchange, ping_seconds=self._limits.ping_seconds)

    async def count_tokens(self, request: Request) -> Response:
        admitted = await self._admitted_body(request)
        exchange = self._exchange(request, "anthropic_messages", admitted, admitted.wire, stream=False)
        exchange.kind = "count_tokens"
        return NativeAnswer(self._gateway, exchange, ping_seconds=self._limits.ping_seconds)

    async def list_models(self, request: Request) -> Response:
        project = await self._admit(request)
        catalogue = self._gateway.catalogue
        allows = project.policy.allows  # told of real ids: a listed card may carry an alias
        cards = [card for card in catalogue.listed() if allows(catalogue.card(card.id).id, card.line)]
        native = _dialect_of(request) == "anthropic_messages"
        return _json(
            anthropic_messages.encode_models(cards) if native else openai_chat.encode_models(cards),
            self._limiter.headers(project),
        )

    async def show_model(self, request: Request) -> Response:
        project = await self._admit(request)
        card = self._gateway.catalogue.shown(request.path_params["model"])
        check_model(project.name, project.policy, self._gateway.catalogue.card(card.id))
        native = _dialect_of(request) == "anthropic_messages"
        return _json(
            anthropic_messages.encode_model(card) if native else openai_chat.encode_model(card),
            self._limiter.headers(project),
        )

    async def _admit(self, request: Request) -> Project:
        project = await self._admission.admit(request.headers.raw, request.path_params.get("project"))
        request.state.project = project
        return project

    async def _admitted_body(self, request: Request) -> Admitted:
        project = await self._admit(request)
        if self._gateway.in_flight >= self._limits.max_in_flight:
            raise _too_many(self._gateway.in_flight)
        body = await _read(request, self._limits.max_body_bytes)
        received = time.perf_counter()
        wire = _parse(body)
        default = project.policy.default_model
        completed = default is not None and wire.get("model") is None
        if completed:
            wire["model"] = default
        return Admitted(project, body, wire, completed, received)

    def _exchange(
        self, request: Request, dialect: Dialect, admitted: Admitted, inner: Json, *, stream: bool
    ) -> Exchange:
        model = inner.get("model")
        if not isinstance(model, str) or not model:
            raise invalid_request(
                "`model` is missing: name a Claude model or an alias such as `sonnet`.", param="model"
            )
        project = admitted.project
        headers = client_headers(request.headers.raw)
        exchange = Exchange(
            id=new_request_id(),
            dialect=dialect,
            client_headers=headers,
            query=request.url.query,
            client_body=admitted.body,
            request=inner,
            stream=stream,
            model_asked=model,
            project=project.name,
            policy=project.policy,
            client=recognise(headers, inner),
            edited=admitted.completed,
            response_headers=self._limiter.headers(project),
            timing=Timing(admitted.received),
            bypass=headers.get("x-gateway-bypass") == "1" or self._bypass(),
            now=self._told_time(headers),
        )
        self._gateway.resolve(exchange)
        check_model(project.name, project.policy, self._gateway.catalogue.card(exchange.model))
        return exchange

    def _told_time(self, headers: Mapping[str, str]) -> float:
        """The moment that a replay says it is, in epoch seconds; 0 for now. Raises GatewayError (400)."""
        told = headers.get("x-cgw-clock") if self._limits.test_clock else None
        if told is None:
            return 0.0
        if not re.fullmatch(r"\d{1,12}(\.\d+)?", told):
            raise invalid_request("X-Cgw-Clock: decimal seconds since 1970 are expected.")
        return float(told)

    def _refusal(self, request: Request, error: GatewayError) -> Response:
        response = error_response(error, _dialect_of(request))
        self._told(request.method, request.url.path, response.status_code, error)
        return response

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        response = self._refusal(request, error)
        if (project := getattr(request.state, "project", None)) is not None:
            response.headers.update(self._limiter.headers(project))
        return response

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code != 405:
            message = (
                f"cgw does not serve {request.url.path}. It serves /v1/chat/completions, /v1/messages and /v1/models."
            )
            return self._refusal(request, GatewayError("not_found_error", message, code="unknown_url"))
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.method} is not what {request.url.path} takes; use {allowed}."
        response = self._refusal(
            request, GatewayError("invalid_request_error", message, status=405, code="method_not_allowed")
        )
        response.headers["allow"] = allowed
        return response


async def _read(request: Request, limit: int) -> bytes:
    """The whole body. Raises GatewayError: 413 as soon as it is known to be too large, 415 for a compressed one, 408
    for one that does not go on."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise GatewayError(
            "invalid_request_error",
            f"cgw takes no compressed requests (Content-Encoding: {printable(encoding)}): send the JSON as it is.",
            status=415,
            code="unsupported_encoding",
        )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS) as patience:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                chunks.append(chunk)
                patience.reschedule(asyncio.get_running_loop().time() + BODY_SECONDS)
    except TimeoutError as error:
        raise _too_slow() from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_many(in_flight: int) -> GatewayError:
    return GatewayError(
        "overloaded_error",
        f"cgw is answering {in_flight:,} requests already, as many as MAX_IN_FLIGHT allows.",
        status=503,
        code="too_many_requests_in_flight",
        retry_after=1.0,
    )


def _too_slow() -> GatewayError:
    return GatewayError(
        "timeout_error",
        f"Nothing of the request's body came for {BODY_SECONDS:.0f} s.",
        status=408,
        code="request_timeout",
    )


def _too_large(limit: int) -> GatewayError:
    return GatewayError(
        "request_too_large", f"The request is larger than {limit:,} bytes (MAX_BODY_BYTES).", code="request_too_large"
    )


def _parse(body: bytes) -> Json:
    try:
        wire = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid_request(f"The body is not valid JSON: {error}.") from error
    if not isinstance(wire, dict):
        raise invalid_request(f"The body must be a JSON object, not {_kind_of(wire)}.")
    return wire


def _kind_of(value: object) -> str:
    names: Iterable[tuple[type, str]] = ((list, "an array"), (str, "a string"), (bool, "a boolean"), (int, "a number"))
    return next((name for kind, name in names if isinstance(value, kind)), "null" if value is None else "a number")


def _json(content: Json, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), media_type="application/json", headers={**(headers or {}), **for_anyone()})


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
    return Response(status_code=499)
