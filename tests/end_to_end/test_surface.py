"""The routes without a model behind them, and what the gateway says to requests it does not serve."""

import httpx2
import pytest

from sidecar.simulator.server import RunningSimulator
from tests.support.sidecar import RunningSidecar


def test_head_on_the_root_is_answered_without_a_key(gateway: RunningSidecar) -> None:
    answer = httpx2.head(gateway.url)
    assert answer.status_code == 200
    assert answer.headers["x-gateway"] == "claude-gateway"


def test_the_root_tells_a_person_where_to_go(gateway: RunningSidecar) -> None:
    assert f"{gateway.url}/v1" in httpx2.get(gateway.url).text


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
def test_health_needs_no_key(gateway: RunningSidecar, path: str) -> None:
    health = httpx2.get(gateway.url + path).json()
    assert health["status"] == "ok"
    assert health["url"] == gateway.url
    assert health["requests"] >= 0


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v1/chat/completions", 405, "POST"),
        ("POST", "/v1/embeddings", 404, "/v1/chat/completions"),
        ("GET", "/nothing", 404, "does not serve /nothing"),
    ],
)
def test_an_unknown_route_says_what_is_served(
    gateway: RunningSidecar, method: str, path: str, status: int, said: str
) -> None:
    answer = httpx2.request(method, gateway.url + path, headers={"authorization": f"Bearer {gateway.key}"})
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


def test_a_body_over_the_limit_is_a_413_in_both_dialects(
    tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator
) -> None:
    with RunningSidecar(tmp_path_factory.mktemp("small"), running_simulator, max_body_bytes=1000) as small:
        headers = {"authorization": f"Bearer {small.key}"}
        for path in ("/v1/chat/completions", "/v1/messages"):
            for content in (b"x" * 1001, iter([b"x" * 600] * 2)):
                answer = httpx2.post(small.url + path, content=content, headers=headers)
                assert answer.status_code == 413
                assert "1,000 bytes" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("streamed", [False, True])
def test_no_network_is_one_clear_sentence(tmp_path_factory: pytest.TempPathFactory, path: str, streamed: bool) -> None:
    with RunningSidecar(tmp_path_factory.mktemp("alone"), "http://127.0.0.1:9") as alone:
        answer = httpx2.post(
            alone.url + path,
            json={
                "model": "sonnet",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "hi"}],
                "stream": streamed,
            },
            headers={"authorization": f"Bearer {alone.key}"},
        )
        assert answer.status_code == 502
        assert "cannot reach http://127.0.0.1:9" in answer.json()["error"]["message"]
