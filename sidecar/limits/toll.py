"""The last gate before Claude: what a project may not use or no longer pay for ends here, and what passes is counted.

Everything that never comes here (an answer from a cache, a joined request, a list of models) costs a project nothing
and is never refused for its limits.
"""

from __future__ import annotations

import contextlib

from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.limits.budgets import Budgets
from sidecar.limits.limiter import Limiter
from sidecar.models.catalogue import Catalogue
from sidecar.projects.directory import Directory
from sidecar.projects.project import check_model

BATCH = "batch"
"""The service tier of a batch's messages."""


class Toll:
    def __init__(self, directory: Directory, limiter: Limiter, budgets: Budgets, *, catalogue: Catalogue) -> None:
        self._directory = directory
        self._limiter = limiter
        self._budgets = budgets
        self._catalogue = catalogue

    async def pay(self, exchange: Exchange) -> None:
        """Count an exchange that is about to go to Claude, and tell its client how much is left.

        Raises GatewayError: 403 for a model that the project may not use, 404 for a project that is gone, 429 when a
        limit or a budget is reached. Token counts are free.
        """
        project = self._directory.project(exchange.project)
        check_model(project.name, project.policy, self._catalogue.card(exchange.model))
        if exchange.kind != "generate":
            return
        try:
            await self._limiter.count(project)
        except GatewayError as error:
            if error.code == "budget_exceeded":
                exchange.response_headers["x-should-retry"] = "false"  # both SDKs would try again within seconds
            raise
        finally:
            exchange.response_headers |= self._limiter.headers(project)

    def settle(self, exchange: Exchange) -> None:
        """Charge what the exchange used and cost; for the accountant's listeners."""
        if exchange.account is None or exchange.timing.upstream_sent is None:
            return
        account = exchange.account
        self._budgets.spend(exchange.project, exchange.started, account.bill, estimated=account.estimated)
        if exchange.usage.service_tier == BATCH:  # its tokens were used in no one's minute
            return
        with contextlib.suppress(GatewayError):  # the project was removed while Claude answered
            self._limiter.settle(self._directory.project(exchange.project), exchange.billed)
