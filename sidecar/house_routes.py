"""What the owner may ask of a sidecar as a whole: to read its settings anew, and to hand its port to a new process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.errors import GatewayError
from sidecar.house import Asked, House


class HouseRoutes:
    def __init__(self, check: Callable[[Request], None], house: House) -> None:
        """`check` raises GatewayError for whoever is not the owner."""
        self._check = check
        self._house = house

    def routes(self) -> Sequence[Route]:
        return [
            Route("/admin/reload", self.reload, methods=["POST"]),
            Route("/admin/restart", self.restart, methods=["POST"]),
        ]

    async def reload(self, request: Request) -> Response:
        """As `Reloadable.reload`."""
        return await self._asked(request, self._house.reload)

    async def restart(self, request: Request) -> Response:
        """As `Handover`."""
        return await self._asked(request, self._house.restart)

    async def _asked(self, request: Request, asked: Asked | None) -> Response:
        self._check(request)
        if asked is None:
            raise GatewayError(
                "invalid_request_error",
                "This sidecar cannot do that while it runs: stop it with `cgw down`, and start it anew.",
                status=501,
                code="not_supported",
            )
        return Response(orjson.dumps(await asked()), media_type="application/json")
