"""Message batches: kept in memory, checked as they come, answered when their results are asked for.

A batch is `in_progress` until it is looked at for the first time, and `ended` from then on: nobody has to wait. Its
messages neither read nor write the prompt cache, and are billed at half the price.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sidecar.simulator.answers import Answer
from sidecar.simulator.caching import Reading
from sidecar.simulator.composing import compose, fresh_id
from sidecar.simulator.errors import ApiError
from sidecar.simulator.ledger import bill
from sidecar.simulator.wire import Terms, error_body, message_body

if TYPE_CHECKING:
    from sidecar.simulator.ledger import Row
    from sidecar.simulator.simulator import Simulator, Turn

HALF = Decimal("0.5")
LIFETIME = timedelta(hours=24)


@dataclass(slots=True)
class Batch:
    id: str
    workspace: str
    created: datetime
    turns: list[tuple[str, Turn | ApiError]]
    status: str = "in_progress"
    cancelled: datetime | None = None
    lines: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self, base_url: str) -> dict[str, Any]:
        done = self.status == "ended"
        kinds = [line["result"]["type"] for line in self.lines]
        counts = {kind: kinds.count(kind) for kind in ("succeeded", "errored", "canceled", "expired")}
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": self.status,
            "request_counts": {"processing": 0 if done else len(self.turns), **counts},
            "created_at": _written(self.created),
            "expires_at": _written(self.created + LIFETIME),
            "ended_at": _written(self.created) if done else None,
            "archived_at": None,
            "cancel_initiated_at": _written(self.cancelled) if self.cancelled else None,
            "results_url": f"{base_url}v1/messages/batches/{self.id}/results" if done else None,
        }


class BatchApi:
    """The six endpoints."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._batches: dict[str, Batch] = {}

    async def create(self, http: Request, row: Row, workspace: str) -> Response:
        wanted = json.loads(row.body)
        requests = wanted.get("requests")
        if not isinstance(requests, list) or not requests:
            raise ApiError("requests: List should have at least 1 item after validation, not 0")
        turns: list[tuple[str, Turn | ApiError]] = []
        for index, request in enumerate(requests):
            if set(request) != {"custom_id", "params"}:
                raise ApiError(f"requests.{index}: custom_id and params are required")
            try:
                one = replace(row, body=json.dumps(request["params"]).encode())
                turns.append((request["custom_id"], self._simulator.accept(one, workspace)))
            except ApiError as error:
                turns.append((request["custom_id"], error))
        batch = Batch(fresh_id("msgbatch", row.number), workspace, self._now(), turns)
        self._batches[batch.id] = batch
        return self._told(http, row, batch)

    async def page(self, http: Request, row: Row, workspace: str) -> Response:
        mine = [batch for batch in reversed(self._batches.values()) if batch.workspace == workspace]
        ids = [batch.id for batch in mine]
        query, limit = http.query_params, int(http.query_params.get("limit", "20"))
        start = ids.index(query["after_id"]) + 1 if "after_id" in query else 0
        shown = mine[start : start + limit]
        self._simulator.ledger.close(row, status=200)
        return JSONResponse({
            "data": [batch.as_json(str(http.base_url)) for batch in shown],
            "has_more": start + limit < len(mine),
            "first_id": shown[0].id if shown else None,
            "last_id": shown[-1].id if shown else None,
        })  # fmt: skip

    async def retrieve(self, http: Request, row: Row, workspace: str) -> Response:
        batch = self._batch(http, workspace)
        self._process(batch)
        return self._told(http, row, batch)

    async def cancel(self, http: Request, row: Row, workspace: str) -> Response:
        batch = self._batch(http, workspace)
        if batch.status == "in_progress":
            batch.cancelled, batch.status = self._now(), "canceling"
        return self._told(http, row, batch)

    async def delete(self, http: Request, row: Row, workspace: str) -> Response:
        batch = self._batch(http, workspace)
        if batch.status != "ended":
            raise ApiError("The batch is still being processed: cancel it first.")
        del self._batches[batch.id]
        self._simulator.ledger.close(row, status=200)
        return JSONResponse({"id": batch.id, "type": "message_batch_deleted"})

    async def results(self, http: Request, row: Row, workspace: str) -> Response:
        batch = self._batch(http, workspace)
        if batch.status != "ended":
            raise ApiError("The batch has no results yet.", 404)
        self._simulator.ledger.close(row, status=200)
        lines = [json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in batch.lines]
        return Response("".join(lines), media_type="application/x-jsonl")

    def _process(self, batch: Batch) -> None:
        if batch.status == "ended":
            return
        batch.status = "ended"
        batch.lines = list(self._answered(batch))

    def _answered(self, batch: Batch) -> Iterator[dict[str, Any]]:
        for number, (custom_id, turn) in enumerate(batch.turns):
            result: dict[str, Any]
            if batch.cancelled is not None:
                result = {"type": "canceled"}
            elif isinstance(turn, ApiError):
                refused = error_body(turn.status, turn.message, fresh_id("req", batch.id, number))
                result = {"type": "errored", "error": refused}
            else:
                result = {"type": "succeeded", "message": self._message(turn, fresh_id("msg", batch.id, number))}
            yield {"custom_id": custom_id, "result": result}

    def _message(self, turn: Turn, message_id: str) -> dict[str, Any]:
        step = self._simulator.step_for(turn)
        reading = Reading(turn.prompt_tokens, 0, 0, 0)
        message = compose(turn.request, step if isinstance(step, Answer) else Answer(""), turn.model, message_id)
        body = message_body(message, Terms(reading))
        body["usage"]["service_tier"] = "batch"
        self._simulator.batch_cost += HALF * bill(turn.model, reading, message.output_tokens, speed=None, geo=None)
        return body

    def _batch(self, http: Request, workspace: str) -> Batch:
        batch = self._batches.get(http.path_params["batch"])
        if batch is None or batch.workspace != workspace:
            raise ApiError("There is no such batch.", 404)
        return batch

    def _told(self, http: Request, row: Row, batch: Batch) -> Response:
        self._simulator.ledger.close(row, status=200)
        return JSONResponse(batch.as_json(str(http.base_url)))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._simulator.clock.now(), UTC)


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
