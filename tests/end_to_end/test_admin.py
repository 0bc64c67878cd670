"""The owner's routes: what they tell, to whom, and what Prometheus makes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar

ADMIN_KEY = "the-owner-s-key"
DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"


class Owner:
    def __init__(self, gateway: RunningSidecar) -> None:
        self.gateway = gateway

    def get(self, path: str, key: str = ADMIN_KEY, **params: str) -> httpx2.Response:
        return httpx2.get(self.gateway.url + path, params=params, headers={"x-api-key": key}, timeout=60)

    def ask(self, **body: Any) -> httpx2.Response:
        plain = {"model": "sonnet", "messages": [{"role": "user", "content": "hello"}]}
        headers = {"authorization": f"Bearer {self.gateway.key}"}
        return httpx2.post(f"{self.gateway.url}/v1/chat/completions", json=plain | body, headers=headers, timeout=60)

    def settled(self, requests: int) -> dict[str, Any]:
        """`/admin/usage` once so many requests are in it."""
        for _ in range(600):
            told: dict[str, Any] = json.loads(self.get("/admin/usage", by="model").text, parse_float=Decimal)
            if told["total"]["requests"] >= requests:
                return told
            time.sleep(0.05)
        raise TimeoutError(told)


@pytest.fixture
def owner(tmp_path: Path, running_simulator: RunningSimulator) -> Iterator[Owner]:
    with RunningSidecar(tmp_path, running_simulator, admin_api_key=ADMIN_KEY) as gateway:
        yield Owner(gateway)


def test_usage_is_the_bill(owner: Owner, claude: Simulator) -> None:
    for model in ("sonnet", "haiku", "haiku"):
        owner.ask(model=model)
    told = owner.settled(3)
    assert told["total"]["cost_usd"] * 10**6 == claude.ledger.totals.cost
    assert [(line["model"], line["requests"]) for line in told["lines"]] == [
        ("claude-sonnet-5-5", 1),
        ("claude-haiku-5-5", 2),
    ]


def test_usage_as_csv_by_any_grouping_and_in_any_time(owner: Owner, claude: Simulator) -> None:
    owner.ask()
    owner.settled(1)
    for by, name in (
        ("day", time.strftime("%Y-")),
        ("model", "claude-"),
        ("project", "default"),
        ("client", "unknown"),
    ):
        answer = owner.get("/admin/usage", by=by, format="csv", since="1h")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        head, line = answer.text.splitlines()
        assert head.startswith(f"{by},requests,")
        assert line.startswith(name)
    assert owner.get("/admin/usage", by="layer", format="csv").text == "layer,requests,saved_usd\r\n"
    assert owner.get("/admin/usage", until="1h").json()["total"]["requests"] == 0
    assert owner.get("/admin/usage", project="another").json()["total"]["requests"] == 0


@pytest.mark.parametrize(
    ("params", "said"),
    [({"by": "colour"}, "day, model, project"), ({"since": "soon"}, "7d, 24h"), ({"format": "pdf"}, "json, csv")],
)
def test_what_cannot_be_asked_is_a_400_that_says_what_can(owner: Owner, params: dict[str, str], said: str) -> None:
    answer = owner.get("/admin/usage", **params)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/admin/usage", "/admin/metrics", "/admin/health"])
def test_only_the_admin_key_opens(owner: Owner, path: str) -> None:
    for key in ("", "wrong", owner.gateway.key, ADMIN_KEY + "x"):
        refused = owner.get(path, key=key)
        assert refused.status_code == 401
        assert "ADMIN_API_KEY" in refused.json()["error"]["message"]
    bearer = httpx2.get(owner.gateway.url + path, headers={"authorization": f"Bearer {ADMIN_KEY}"}, timeout=60)
    assert bearer.status_code in (200, 503)


def test_without_an_admin_key_the_gateway_s_own_opens(gateway: RunningSidecar) -> None:
    assert Owner(gateway).get("/admin/usage", key=gateway.key).status_code == 200


def test_health_says_how_the_stores_are_and_the_open_route_only_whether(owner: Owner) -> None:
    owner.ask()
    owner.settled(1)
    told = owner.get("/admin/health")
    assert told.status_code == 200
    assert told.json()["ledger"]["state"] == "ok"
    assert "ledger.sqlite3" in told.json()["ledger"]["where"]
    public = httpx2.get(owner.gateway.url + "/health").json()["ledger"]
    assert public == {"state": "ok", "pending": 0, "written": 1, "dropped": 0}


def test_a_lost_database_fails_no_answer_and_is_shown(
    tmp_path: Path, running_simulator: RunningSimulator, claude: Simulator
) -> None:
    with RunningSidecar(tmp_path, running_simulator, database_url="postgresql://127.0.0.1:9/none") as gateway:
        owner = Owner(gateway)
        assert owner.ask().status_code == 200
        for _ in range(600):
            public = httpx2.get(gateway.url + "/health", timeout=60).json()["ledger"]
            if public["state"] == "degraded":
                break
            time.sleep(0.05)
        assert public == {"state": "degraded", "pending": 1, "written": 0, "dropped": 0}
        health = owner.get("/admin/health", key=gateway.key)
        assert health.status_code == 503
        assert "cannot be used" in health.json()["ledger"]["error"]
        unread = owner.get("/admin/usage", key=gateway.key)
        assert unread.status_code == 503
        assert "postgresql" in unread.json()["error"]["message"]
        assert "gateway_ledger_up 0.0" in owner.get("/admin/metrics", key=gateway.key).text
        assert owner.ask().status_code == 200
    assert len(b"".join(path.read_bytes() for path in tmp_path.glob("ledger-journal-*")).splitlines()) == 2


def test_prometheus_understands_the_metrics(owner: Owner, claude: Simulator) -> None:
    owner.ask()
    owner.ask(model="haiku", stream=True)
    owner.ask(model="claude-nobody-knows-this")
    owner.settled(3)
    answer = owner.get("/admin/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["gateway_requests_total", "claude-sonnet-5-5", "200"] == 1
    assert samples["gateway_requests_total", "claude-haiku-5-5", "200"] == 1
    assert sum(value for name, value in samples.items() if name[:2] == ("gateway_requests_total", "other")) == 1
    assert samples["gateway_cost_usd_total",] == pytest.approx(float(claude.ledger.totals.cost) / 10**6)
    assert samples["gateway_duration_seconds_count",] == 3
    assert samples["gateway_ledger_up",] == 1


def test_metrics_can_be_turned_off(tmp_path: Path, running_simulator: RunningSimulator) -> None:
    with RunningSidecar(tmp_path, running_simulator, prometheus_enabled=False) as gateway:
        owner = Owner(gateway)
        assert owner.get("/admin/metrics", key=gateway.key).status_code == 404
        assert owner.get("/admin/usage", key=gateway.key).status_code == 200


def test_every_metric_of_the_dashboard_exists(owner: Owner) -> None:
    owner.ask()
    owner.settled(1)
    offered = {family.name for family in text_string_to_metric_families(owner.get("/admin/metrics").text)}
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert queries
    for query in queries:
        for name in gateway_names(query):
            assert {name, name.removesuffix("_total")} & offered or name.removesuffix("_bucket") in offered, name


def gateway_names(query: str) -> set[str]:
    words = "".join(character if character.isalnum() or character == "_" else " " for character in query).split()
    return {word for word in words if word.startswith("gateway_")}
