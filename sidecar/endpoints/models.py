"""The model list, in the dialect of who asks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sidecar.dialects import anthropic_messages, openai
from sidecar.endpoints.endpoint import Endpoint, json_response
from sidecar.intake import Intake
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
        allows = project.policy.allows  # told of real ids: a listed card may carry an alias
        cards = [card for card in catalogue.listed() if allows(catalogue.card(card.id).id, card.line)]
        native = _is_native(request)
        return json_response(
            anthropic_messages.encode_models(cards) if native else openai.encode_models(cards),
            self._intake.limiter.headers(project),
        )

    async def show_model(self, request: Request) -> Response:
        project = await self._intake.admit(request)
        card = self._intake.gateway.catalogue.shown(request.path_params["model"])
        check_model(project.name, project.policy, self._intake.gateway.catalogue.card(card.id))
        native = _is_native(request)
        return json_response(
            anthropic_messages.encode_model(card) if native else openai.encode_model(card),
            self._intake.limiter.headers(project),
        )


def _is_native(request: Request) -> bool:
    return "anthropic-version" in request.headers
