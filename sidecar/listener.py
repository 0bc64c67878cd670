"""The HTTP surface: routes, bodies in, answers out. Composes dialect, admission, gateway and relay."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.admission import Admission
from sidecar.answers import ChatAnswer, NativeAnswer, error_response
from sidecar.clients import recognise
from sidecar.dialects import anthropic_messages, openai_chat
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Dialect, Exchange, Json
from sidecar.gateway import Gateway
from sidecar.headers import client_headers

BASES = ("", "/v1")
"""Every route stands below each of these: some clients add `/v1` themselves, some do not."""

GREETING = {"x-gateway": "claude-gateway"}


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    max_body_bytes: int = 64 * 1024 * 1024
    ping_seconds: float = 10.0


class Listener:
    """The endpoints, each a method from request to response."""

    def __init__(
        self, gateway: Gateway, admission: Admission, *, limits: ListenerLimits, health: Callable[[], Json]
    ) -> None:
        self._gateway = gateway
        self._admission = admission
        self._limits = limits
        self._health = health

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
        routes.append(Route("/", self.root, methods=["GET"]))
        return Starlette(
            routes=routes,
            exception_handlers={GatewayError: _gateway_error, HTTPException: _http_error, ClientDisconnect: _gone},
        )

    async def root(self, request: Request) -> Response:
        """Claude Code asks `HEAD /` before anything else; a person with a browser finds the way from here."""
        text = (
            f"cgw is running.\nOpenAI clients: base URL {request.base_url}v1\nAnthropic clients: {request.base_url}\n"
        )
        return Response(text, media_type="text/plain", headers=GREETING)

    async def health(self, _: Request) -> Response:
        return _json(self._health())

    async def chat_completions(self, request: Request) -> Response:
        body, wire = await self._admitted_body(request)
        decoded = openai_chat.decode(wire)
        exchanges = []
        for _ in range(decoded.n):
            inner = {**decoded.request, "stream": True}
            exchange = _exchange(request, "openai_chat", body, inner, stream=decoded.stream)
            exchange.edited = True
            exchange.notes.extend(decoded.notes)
            self._gateway.resolve(exchange)
            exchanges.append(exchange)
        return ChatAnswer(
            self._gateway, exchanges, decoded, created=int(time.time()), ping_seconds=self._limits.ping_seconds
        )

    async def messages(self, request: Request) -> Response:
        body, wire = await self._admitted_body(request)
        exchange = _exchange(request, "anthropic_messages", body, wire, stream=wire.get("stream") is True)
        self._gateway.resolve(exchange)
        return NativeAnswer(self._gateway, exchange, ping_seconds=self._limits.ping_seconds)

    async def count_tokens(self, request: Request) -> Response:
        body, wire = await self._admitted_body(request)
        exchange = _exchange(request, "anthropic_messages", body, wire, stream=False)
        exchange.kind = "count_tokens"
        self._gateway.resolve(exchange)
        return NativeAnswer(self._gateway, exchange, ping_seconds=self._limits.ping_seconds)

    async def list_models(self, request: Request) -> Response:
        self._admission.check(request.headers.raw)
        cards = self._gateway.catalogue.listed()
        native = _dialect_of(request) == "anthropic_messages"
        return _json(anthropic_messages.encode_models(cards) if native else openai_chat.encode_models(cards))

    async def show_model(self, request: Request) -> Response:
        self._admission.check(request.headers.raw)
        card = self._gateway.catalogue.shown(request.path_params["model"])
        native = _dialect_of(request) == "anthropic_messages"
        return _json(anthropic_messages.encode_model(card) if native else openai_chat.encode_model(card))

    async def _admitted_body(self, request: Request) -> tuple[bytes, Json]:
        self._admission.check(request.headers.raw)
        body = await _read(request, self._limits.max_body_bytes)
        return body, _parse(body)


def _exchange(request: Request, dialect: Dialect, body: bytes, inner: Json, *, stream: bool) -> Exchange:
    model = inner.get("model")
    if not isinstance(model, str) or not model:
        raise invalid_request("`model` is missing: name a Claude model or an alias such as `sonnet`.", param="model")
    headers = client_headers(request.headers.raw)
    return Exchange(
        id=f"req_{uuid.uuid4().hex}",
        dialect=dialect,
        client_headers=headers,
        query=request.url.query,
        client_body=body,
        request=inner,
        stream=stream,
        model_asked=model,
        client=recognise(headers, inner),
    )


async def _read(request: Request, limit: int) -> bytes:
    """The whole body. Raises GatewayError (413) as soon as it is known to be too large."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


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


def _json(content: Json, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json", headers=GREETING)


def _dialect_of(request: Request) -> Dialect:
    native = "/messages" in request.url.path or (
        "/models" in request.url.path and "anthropic-version" in request.headers
    )
    return "anthropic_messages" if native else "openai_chat"


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return error_response(error, _dialect_of(request))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.method} is not what {request.url.path} takes; use {allowed}."
        refusal = GatewayError("invalid_request_error", message, status=405, code="method_not_allowed")
    else:
        message = f"cgw does not serve {request.url.path}. It serves /v1/chat/completions, /v1/messages and /v1/models."
        refusal = GatewayError("not_found_error", message, code="unknown_url")
    return error_response(refusal, _dialect_of(request))


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)
