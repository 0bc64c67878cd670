"""One row of what is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response

from sidecar.exchange import Json
from sidecar.headers import for_anyone


class Endpoint(NamedTuple):
    method: str
    path: str
    """Below each of the listener's bases; with Starlette's parameters."""
    answer: Callable[[Request], Awaitable[Response]]


def json_response(content: Json, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that has no exchange behind it."""
    return Response(orjson.dumps(content), media_type="application/json", headers={**(headers or {}), **for_anyone()})
