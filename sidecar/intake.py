"""Requests as they come in: who may ask, the body, and the exchange that it becomes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from sidecar.admission import Admission
from sidecar.bodies import Bodies, Known, Made, Read
from sidecar.clients import recognise, speaker_of
from sidecar.errors import GatewayError, invalid_request
from sidecar.exchange import Dialect, Exchange, Json, Note, Timing
from sidecar.gateway import Gateway
from sidecar.headers import client_headers, new_request_id, printable
from sidecar.limits.limiter import Limiter
from sidecar.patience import within
from sidecar.projects.project import Project, check_model
from sidecar.stretch import Stretch

BODY_SECONDS = 60.0
"""How long a body may pause on its way here; and how long it may come as slowly as it likes."""
BODY_RATE = 1_000
"""Bytes a second that it has to come with from then on, where the settings do not say otherwise."""

ADMIN_BODY_BYTES = 64 * 1024
"""Of what the owner's routes take: a switch or two."""


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    max_body_bytes: int = 64 * 1024 * 1024
    min_body_rate: int = BODY_RATE
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
    """`wire` has a model that `body` has not: the deployment of the path, or the project's default."""
    received: float
    """When its last byte was here, as `Timing` has it."""
    read: Read
    """What of `wire` was known, and where it is kept what is made of it."""

    @property
    def new(self) -> int:
        """Bytes of the body that no earlier one had."""
        return len(self.body) - (self.read.known.size if self.read.known is not None else 0)


class Intake:
    """What every endpoint begins with."""

    def __init__(
        self,
        gateway: Gateway,
        admission: Admission,
        limiter: Limiter,
        *,
        limits: ListenerLimits,
        bypass: Callable[[], bool] = lambda: False,
    ) -> None:
        """`bypass` says whether every request is to go as its client wrote it."""
        self.gateway = gateway
        self.limiter = limiter
        self.limits = limits
        self._admission = admission
        self._bodies = Bodies()
        self._bypass = bypass
        self._coming = 0
        """Requests whose bodies are on their way here."""

    async def admit(self, request: Request) -> Project:
        project = await self._admission.admit(request.scope["headers"], request.path_params.get("project"))
        request.scope["project"] = project
        return project

    async def admitted_body(self, request: Request, dialect: Dialect, *, keep: bool = True) -> Admitted:
        """Reads what is new in the body. With `keep` the conversation's next request will find it again."""
        project = await self.admit(request)
        at_work = self.gateway.in_flight + self._coming
        if at_work >= self.limits.max_in_flight:
            raise _too_many(at_work)
        self._coming += 1
        try:
            body = await read_body(request, self.limits.max_body_bytes, self.limits.min_body_rate)
        finally:
            self._coming -= 1
        received = time.perf_counter()
        stretch = Stretch()
        read = self._read_json(project, body, dialect, keep=keep)
        await stretch.pause()
        wire = read.wire
        named = request.path_params.get("deployment") or wire.get("model") or project.policy.default_model
        completed = named is not None and named != wire.get("model")
        if completed:
            wire["model"] = named
        return Admitted(project, body, wire, completed, received, read)

    def _read_json(self, project: Project, body: bytes, dialect: Dialect, *, keep: bool) -> Read:
        try:
            read = self._bodies.read(project.name, body, dialect=dialect, keep=keep)
        except orjson.JSONDecodeError as error:
            raise invalid_request(f"The body is not valid JSON: {error}.") from error
        if not isinstance(read.wire, dict):
            raise invalid_request(f"The body must be a JSON object, not {_kind_of(read.wire)}.")
        return read

    def exchange(
        self,
        request: Request,
        dialect: Dialect,
        admitted: Admitted,
        inner: Json,
        *,
        stream: bool,
        known: Known | None = None,
        made: Made | None = None,
    ) -> Exchange:
        """`known` and `made` are of `inner`, and not of the body that it was made of."""
        model = inner.get("model")
        if not isinstance(model, str) or not model:
            raise invalid_request(
                "`model` is missing: name a Claude model or an alias such as `sonnet`.", param="model"
            )
        project = admitted.project
        headers = client_headers(request.scope["headers"])
        speaker = speaker_of(headers, inner, known.made.speaker if known is not None else None)
        if made is not None:
            made.speaker = speaker
        exchange = Exchange(
            id=new_request_id(),
            dialect=dialect,
            client_headers=headers,
            query=request.scope["query_string"].decode("utf-8", "replace"),
            client_body=admitted.body,
            request=inner,
            stream=stream,
            model_asked=model,
            project=project.name,
            policy=project.policy,
            client=speaker.client,
            edited=admitted.completed,
            response_headers=self.limiter.headers(project),
            timing=Timing(admitted.received),
            bypass=headers.get("x-gateway-bypass") == "1" or self._bypass(),
            now=self._told_time(headers),
            known=known,
            made=made,
        )
        try:
            self.gateway.resolve(exchange)
        except GatewayError as error:
            raise _no_deployment(request, error) from error
        check_model(project.name, project.policy, self.gateway.catalogue.card(exchange.model))
        return exchange

    def passing(self, request: Request, project: Project, dialect: Dialect) -> Exchange:
        """What goes to Claude's API as it is, without a model and without a body."""
        headers = client_headers(request.headers.raw)
        return Exchange(
            id=new_request_id(),
            dialect=dialect,
            client_headers=headers,
            query=request.url.query,
            client_body=b"",
            request={},
            stream=False,
            model_asked="",
            project=project.name,
            policy=project.policy,
            client=recognise(headers, {}),
            response_headers=self.limiter.headers(project),
        )

    def choices(
        self,
        request: Request,
        dialect: Dialect,
        admitted: Admitted,
        inner: Sequence[Json],
        *,
        stream: bool,
        notes: Iterable[Note],
        known: Known | None = None,
        made: Made | None = None,
    ) -> list[Exchange]:
        """One exchange for each answer that a translated request wants. `known` and `made` are of each of them."""
        exchanges: list[Exchange] = []
        for index, one in enumerate(inner):
            translated = {**one, "stream": True}
            exchange = self.exchange(request, dialect, admitted, translated, stream=stream, known=known, made=made)
            if index:
                exchange.id = f"{exchanges[0].id}-{index}"
            exchange.edited = True
            exchange.choices = len(inner)
            exchange.notes.extend(notes)
            exchanges.append(exchange)
        return exchanges

    def _told_time(self, headers: Mapping[str, str]) -> float:
        """The moment that a replay says it is, in epoch seconds; 0 for now. Raises GatewayError (400)."""
        told = headers.get("x-cgw-clock") if self.limits.test_clock else None
        if told is None:
            return 0.0
        if not re.fullmatch(r"\d{1,12}(\.\d+)?", told):
            raise invalid_request("X-Cgw-Clock: decimal seconds since 1970 are expected.")
        return float(told)


MOST_DIGITS = 18
"""Of a length; Python itself reads no number of thousands of digits."""


async def read_body(request: Request, limit: int, rate: int = BODY_RATE) -> bytes:
    """The whole body. `rate` is in bytes a second, 0 for any. Raises GatewayError: 413 as soon as it is known to be too
    large, 415 for a compressed one, 408 for one that does not go on or drips."""
    told = dict(request.scope["headers"])
    encoding = told.get(b"content-encoding", b"identity").decode("latin-1")
    if encoding.lower() != "identity":
        raise GatewayError(
            "invalid_request_error",
            f"cgw takes no compressed requests (Content-Encoding: {printable(encoding)}): send the JSON as it is.",
            status=415,
            code="unsupported_encoding",
        )
    declared = told.get(b"content-length", b"").decode("latin-1")
    if declared.isdecimal() and (len(declared) > MOST_DIGITS or int(declared) > limit):
        raise _too_large(limit)
    receive = cast("Callable[[], Coroutine[Any, Any, Message]]", request.receive)
    chunks: list[bytes] = []
    size, begun, patience = 0, 0.0, BODY_SECONDS
    try:
        while (message := await within(patience, receive()))["type"] == "http.request":
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunk if len(chunks) == 1 else b"".join(chunks)
            now = monotonic()
            begun = begun or now
            left = begun + BODY_SECONDS + size / rate - now if rate else BODY_SECONDS
            if left <= 0:
                raise _too_slow(size, now - begun, rate)
            patience = min(BODY_SECONDS, left)
    except TimeoutError as error:
        raise _silent() if patience == BODY_SECONDS else _too_slow(size, monotonic() - begun, rate) from error
    raise ClientDisconnect


def _no_deployment(request: Request, error: GatewayError) -> GatewayError:
    """On Azure's routes an unknown model is an unknown deployment, under the code that Azure's clients know."""
    deployment = request.path_params.get("deployment")
    if deployment is None or error.kind != "not_found_error":
        return error
    return GatewayError(
        "not_found_error",
        f"There is no deployment {printable(deployment)!r}: a deployment here is called like a model. {error.message}",
        code="DeploymentNotFound",
    )


def _too_many(in_flight: int) -> GatewayError:
    return GatewayError(
        "overloaded_error",
        f"cgw is answering {in_flight:,} requests already, as many as MAX_IN_FLIGHT allows.",
        status=503,
        code="too_many_requests_in_flight",
        retry_after=1.0,
    )


def _too_slow(size: int, seconds: float, rate: int) -> GatewayError:
    return GatewayError(
        "timeout_error",
        f"The request's body comes too slowly: {size:,} bytes in {seconds:.0f} s. {rate:,} a second are the least "
        "(MIN_BODY_RATE).",
        status=408,
        code="request_timeout",
    )


def _silent() -> GatewayError:
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


def _kind_of(value: object) -> str:
    names: Iterable[tuple[type, str]] = ((list, "an array"), (str, "a string"), (bool, "a boolean"), (int, "a number"))
    return next((name for kind, name in names if isinstance(value, kind)), "null" if value is None else "a number")
