"""The routes without a model behind them, and what the gateway says to requests it does not serve."""

import gzip

import httpx2
import pytest

from sidecar.endpoints.not_served import INSTEAD
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
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
        ("POST", "/v1/embeddings", 404, "Voyage"),
        ("GET", "/nothing", 404, "does not serve /nothing"),
    ],
)
def test_an_unknown_route_says_what_is_served(
    gateway: RunningSidecar, method: str, path: str, status: int, said: str
) -> None:
    answer = httpx2.request(method, gateway.url + path, headers={"authorization": f"Bearer {gateway.key}"})
    assert answer.status_code == status
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("word", INSTEAD)
def test_what_is_not_served_says_what_to_use_instead(gateway: RunningSidecar, word: str) -> None:
    for base in ("/v1", "", "/p/files/v1", "/openai/deployments/x"):
        answer = httpx2.post(f"{gateway.url}{base}/{word}/more", headers={"authorization": f"Bearer {gateway.key}"})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "unknown_url")
        assert INSTEAD[word] in error["message"]


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


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/", True),
        ("GET", "/health", True),
        ("GET", "/v1/models", True),
        ("GET", "/v1/models/nobody", True),
        ("GET", "/nothing", True),
        ("DELETE", "/v1/messages", True),
        ("POST", "/v1/messages", False),
        ("POST", "/v1/chat/completions", True),
    ],
)
def test_every_answer_says_whose_it_is_and_has_an_id(
    gateway: RunningSidecar, method: str, path: str, key: bool
) -> None:
    headers = {"x-api-key": gateway.key} if key else {}
    first, second = (httpx2.request(method, gateway.url + path, headers=headers).headers for _ in range(2))
    assert (first["x-gateway"], first["x-cache"]) == ("claude-gateway", "MISS")
    assert first["x-request-id"].startswith("req_")
    assert first["x-request-id"] != second["x-request-id"]


def test_a_wrong_method_is_told_the_right_one_in_allow(gateway: RunningSidecar) -> None:
    assert httpx2.get(f"{gateway.url}/v1/messages").headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_compressed_body_is_refused_by_name(gateway: RunningSidecar, path: str) -> None:
    headers = {"x-api-key": gateway.key, "content-encoding": "gzip"}
    answer = httpx2.post(gateway.url + path, content=gzip.compress(b"{}"), headers=headers)
    assert answer.status_code == 415
    assert "gzip" in answer.json()["error"]["message"]


@pytest.mark.parametrize("tools", ["abc", [1, None], 5, {"name": "f"}])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_tools_of_an_odd_shape_are_for_claude_to_refuse(
    gateway: RunningSidecar, claude: Simulator, path: str, tools: object
) -> None:
    body = {"model": "claude-sonnet-5-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx2.post(gateway.url + path, json={**body, "tools": tools}, headers={"x-api-key": gateway.key})
    assert answer.status_code == 400
    assert answer.json()["request_id"]


def test_a_refused_request_is_a_line_in_the_log(gateway: RunningSidecar, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "cgw.requests"):
        httpx2.post(f"{gateway.url}/v1/messages", headers={"x-api-key": "wrong"})
    assert "401 POST /v1/messages | The API key is not the gateway's." in caplog.text


def test_a_bug_in_the_gateway_is_still_an_error_in_the_clients_shape(
    gateway: RunningSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr("sidecar.intake.speaker_of", broken)
    body = {"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    for path, kind in (("/v1/chat/completions", "server_error"), ("/v1/messages", "api_error")):
        answer = httpx2.post(gateway.url + path, json=body, headers={"x-api-key": gateway.key})
        assert answer.status_code == 500
        assert answer.json()["error"]["type"] == kind
        assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
