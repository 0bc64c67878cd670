"""The model list, in the dialect of who asks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sidecar.dialects import anthropic_messages, openai
from sidecar.endpoints.endpoint import Endpoint, json_response
from sidecar.errors import invalid_request
from sidecar.intake import Intake
from sidecar.models.catalogue import Resolution
from sidecar.projects.policy import Policy
from sidecar.projects.project import check_model


class Models:
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/models", self.list_models),
            Endpoint("GET", "/models/{model:path}", self.show_model),
        ]

    async def list_models(self, request: Request) -> Response:
        project = await self._intake.admit(request)
        catalogue = self._intake.gateway.catalogue
        cards = [card for card in catalogue.listed() if _may_ask(project.policy, catalogue.resolve(card.id))]
        if _is_native(request):
            listed = anthropic_messages.encode_models(cards, **_page(request))
        else:
            listed = openai.encode_models(cards)
            if "client_version" in request.query_params:  # Codex, which has a list of its own and complains without
                listed["models"] = []
        return json_response(listed, self._intake.limiter.headers(project))

    async def show_model(self, request: Request) -> Response:
        project = await self._intake.admit(request)
        catalogue = self._intake.gateway.catalogue
        card = catalogue.shown(request.path_params["model"])
        resolution = catalogue.resolve(card.id)
        if not _may_ask(project.policy, resolution):
            check_model(project.name, project.policy, resolution.card)
        native = _is_native(request)
        return json_response(
            anthropic_messages.encode_model(card) if native else openai.encode_model(card),
            self._intake.limiter.headers(project),
        )


def _may_ask(policy: Policy, resolution: Resolution) -> bool:
    """Whether the name may be asked for: one that leaves the model to us is answered by whatever may be used."""
    return resolution.wish is not None or policy.allows(resolution.card.id, resolution.card.line)


MOST = 1_000
"""Models on one page."""


def _page(request: Request) -> dict[str, Any]:
    """Raises GatewayError (400)."""
    query = request.query_params
    page: dict[str, Any] = {name: query[name] for name in ("after_id", "before_id") if query.get(name)}
    if (limit := query.get("limit")) is not None:
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST:
            raise invalid_request(f"limit: a number from 1 to {MOST:,} is expected.", param="limit")
        page["limit"] = int(limit)
    return page


def _is_native(request: Request) -> bool:
    return "anthropic-version" in request.headers
