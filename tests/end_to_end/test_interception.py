"""The second door: programs that know nothing of cgw, through the interceptor to the sidecar to the simulator.

No name is looked up and no network is needed: what is meant for api.openai.com never leaves this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from sidecar.interception.authority import authority_of
from sidecar.simulator.answers import Answer
from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support import ways
from tests.support.interceptor import OtherHost, RunningInterceptor
from tests.support.raw_requests import RAW, Raw
from tests.support.sidecar import RunningSidecar

OPENAI, ANTHROPIC = "https://api.openai.com", "https://api.anthropic.com"
HOSTS = ("api.openai.com", "api.anthropic.com", "localhost")
"""The last one is the other host by a name that is intercepted: what a real host is that cgw does not stand for."""

CLIENTS_KEY = "sk-the-clients-own"
HELLO: Any = [{"role": "user", "content": "hello"}]
QUESTION = {"model": "sonnet", "messages": HELLO}
STREAMED = QUESTION | {"stream": True}
SILENT = Answer("many words " * 20, silent_after=6, silence=3600)
STREAMS = 12

NOTHING_LEARNED: Any = {"cache_ttl": "5m"}
"""Else the pauses between the requests of earlier tests would say for how long a prompt is cached."""

TOLD = ("content-type", "x-cache", "x-gateway-model", "x-gateway-report")

CLAUDES_IDS = re.compile(rb"msg_\w+")
"""Of the answer before, which is another one for each conversation."""


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    """The sidecar behind the interceptor. `gateway` is its twin that is asked by its base URL."""
    with RunningSidecar(tmp_path_factory.mktemp("behind"), running_simulator, **NOTHING_LEARNED) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path_factory.mktemp("gateway"), running_simulator, **NOTHING_LEARNED) as running:
        yield running


@pytest.fixture(scope="module")
def other_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherHost]:
    with OtherHost(tmp_path_factory.mktemp("other-host")) as running:
        yield running


@pytest.fixture(scope="module")
def interceptor(behind: RunningSidecar, other_host: OtherHost) -> Iterator[RunningInterceptor]:
    """One for all tests here: it takes a second to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(other_host.trusted))  # as in a company that has an authority of its own
        with RunningInterceptor(behind, intercept_hosts=HOSTS) as running:
            running.wait_for("running")
            yield running


@pytest.fixture
def led(interceptor: RunningInterceptor, monkeypatch: pytest.MonkeyPatch) -> None:
    """This very process is led through it, like one that `cgw run` started."""
    for name in (
        "OPENAI_BASE_URL",
        "ANTHROPIC_BASE_URL",
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in interceptor.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def through(interceptor: RunningInterceptor) -> Iterator[httpx2.Client]:
    trusted = ssl.create_default_context(cafile=str(interceptor.authority.bundle))
    headers = {"authorization": f"Bearer {CLIENTS_KEY}"}
    with httpx2.Client(proxy=interceptor.url, verify=trusted, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def run(interceptor: RunningInterceptor, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A program that is led through the interceptor."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed here, so its way through the interceptor was NOT tested")
    return subprocess.run(
        command,
        env={**os.environ, **interceptor.environment, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_openai_sdk_is_answered_by_claude(led: None, claude: Simulator) -> None:
    claude.script(Answer("Hello there."), Answer("Hello again. " * 20))
    with openai.OpenAI(api_key=CLIENTS_KEY, max_retries=0) as sdk:
        answer = sdk.chat.completions.create(model="gpt-4o", messages=HELLO)
        chunks = list(sdk.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True))
        models = [model.id for model in sdk.models.list()]
    assert answer.choices[0].message.content == "Hello there."
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello again. " * 20
    assert "sonnet" in models


def test_the_anthropic_sdk_is_answered_by_claude(led: None, claude: Simulator) -> None:
    claude.script(Answer("Hello there."), Answer("Hello again. " * 20))
    ask: Any = {"model": "claude-sonnet-5-5", "max_tokens": 500, "messages": HELLO}
    with anthropic.Anthropic(api_key=CLIENTS_KEY, max_retries=0) as sdk:
        answer: Any = sdk.messages.create(**ask)
        with sdk.messages.stream(**ask) as stream:
            text = stream.get_final_text()
        counted = sdk.messages.count_tokens(model=ask["model"], messages=HELLO)
    assert answer.content[0].text == "Hello there."
    assert text == "Hello again. " * 20
    assert counted.input_tokens
    assert CLIENTS_KEY not in str([row.headers for row in claude.ledger.rows])


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_curl_is_answered_by_claude(interceptor: RunningInterceptor, claude: Simulator, protocol: str) -> None:
    claude.script(Answer("Hello there."))
    url, key = f"{OPENAI}/v1/chat/completions", f"Authorization: Bearer {CLIENTS_KEY}"
    ran = run(interceptor, "curl", "-sSN", protocol, url, "-H", key, "-d", json.dumps(STREAMED))
    assert ran.returncode == 0, ran.stderr
    assert "Hello" in ran.stdout
    assert ran.stdout.rstrip().endswith("data: [DONE]")


NODE = """
const body = JSON.stringify(JSON.parse(process.env.QUESTION));
const headers = { authorization: `Bearer ${process.env.KEY}`, "content-type": "application/json" };
const url = new URL("https://api.openai.com/v1/chat/completions");
if (Number(process.versions.node.split(".")[0]) >= 24) {  // reads HTTPS_PROXY by itself, with NODE_USE_ENV_PROXY
  fetch(url, { method: "POST", headers, body }).then(async (answer) => console.log(await answer.text()));
} else {
  const { request } = require("node:http");
  const proxy = new URL(process.env.HTTPS_PROXY);
  const asked = { host: proxy.hostname, port: proxy.port, method: "CONNECT", path: `${url.hostname}:443` };
  request(asked).on("connect", (_, socket) => {
    const agent = new (require("node:https").Agent)({ socket });
    const createConnection = () => require("node:tls").connect({ socket, servername: url.hostname });
    require("node:https").request(url, { method: "POST", headers, agent, createConnection }, async (answer) => {
      for await (const part of answer) process.stdout.write(part);
      socket.end();
    }).end(body);
  }).end();
}
"""


def test_node_is_answered_by_claude(interceptor: RunningInterceptor, claude: Simulator) -> None:
    claude.script(Answer("Hello there."))
    ran = run(interceptor, "node", "-e", NODE, QUESTION=json.dumps(STREAMED), KEY=CLIENTS_KEY)
    assert ran.returncode == 0, ran.stderr
    assert "Hello" in ran.stdout
    assert ran.stdout.rstrip().endswith("data: [DONE]")


@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
def test_through_either_door_the_same_bytes_go_to_claude(
    gateway: RunningSidecar, led: None, claude: Simulator, way: Callable[[Any], ways.Heard]
) -> None:
    claude.script(ways.RICH, ways.RICH)
    host = OPENAI if "chat" in way.__name__ else ANTHROPIC
    heard = [way(door) for door in (gateway, SimpleNamespace(url=host, key=CLIENTS_KEY))]
    first, second = claude.ledger.wait(2)
    assert CLAUDES_IDS.sub(b"", first.body) == CLAUDES_IDS.sub(b"", second.body)
    assert first.headers == second.headers
    directly, intercepted = (one._replace(calls=tuple(call[1:] for call in one.calls)) for one in heard)
    assert directly == intercepted


@pytest.mark.parametrize("asked", RAW.values(), ids=RAW)
def test_through_either_door_any_bytes_go_to_claude_the_same(
    gateway: RunningSidecar, through: httpx2.Client, claude: Simulator, asked: Raw
) -> None:
    host, count = OPENAI if "chat" in asked.path else ANTHROPIC, len(asked.bodies)
    claude.script(*[Answer("This is so.")] * count * 2)
    headers = dict(asked.headers) | {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    with httpx2.Client(headers={"authorization": f"Bearer {gateway.key}"}, timeout=60, trust_env=False) as directly:
        doors = ((directly, gateway.url), (through, host))
        answers = []
        for client, base in doors:
            claude.cache.clear()
            answers += [client.post(base + asked.path, content=body, headers=headers) for body in asked.bodies]
    sent = [(CLAUDES_IDS.sub(b"", row.body), row.headers) for row in claude.ledger.wait(count * 2)]
    told = [{name: answer.headers.get(name) for name in TOLD} | {"status": answer.status_code} for answer in answers]
    assert [one["status"] for one in told] == [200] * count * 2
    assert sent[:count] == sent[count:]
    assert told[:count] == told[count:]


def test_the_dashboard_is_told_through_which_door_a_request_came(
    behind: RunningSidecar, gateway: RunningSidecar, through: httpx2.Client, claude: Simulator
) -> None:
    claude.script(Answer("Hello there."), Answer("Hello there."))
    ask = QUESTION | {"messages": [{"role": "user", "content": "through which door?"}]}
    directly = {"authorization": f"Bearer {gateway.key}"}
    intercepted = through.post(f"{OPENAI}/v1/chat/completions", json=ask)
    direct = httpx2.post(f"{gateway.url}/v1/chat/completions", json=ask, headers=directly, timeout=60)
    assert (door_of(behind, intercepted), door_of(gateway, direct)) == ("interceptor", "base_url")
    assert kept_door_of(behind, intercepted) == "interceptor"


def door_of(sidecar: RunningSidecar, answer: httpx2.Response) -> str:
    """As the dashboard is told, once the exchange is settled."""
    url = f"{sidecar.url}/admin/exchanges/{answer.headers['x-request-id']}"
    for _ in range(3000):
        found = httpx2.get(url, headers={"x-api-key": sidecar.key}, timeout=60)
        if found.status_code == 200:
            return str(found.json()["row"]["via"])
    raise TimeoutError(found.text)


def kept_door_of(sidecar: RunningSidecar, answer: httpx2.Response) -> str:
    """As the ledger keeps it."""
    for _ in range(3000):
        listed = httpx2.get(f"{sidecar.url}/admin/requests", headers={"x-api-key": sidecar.key}, timeout=60)
        for kept in listed.json()["rows"]:
            if kept["id"] == answer.headers["x-request-id"]:
                return str(kept["via"])
    raise TimeoutError(listed.text)


def test_whatever_mitmproxy_writes_is_its_users_alone(interceptor: RunningInterceptor) -> None:
    files = [path for path in interceptor.authority.folder.iterdir() if path.name.startswith("mitmproxy")]
    assert len(files) > 1
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


def test_a_dozen_streams_run_at_one_time(interceptor: RunningInterceptor, claude: Simulator) -> None:
    """Over HTTP/2 mitmproxy would hold the sixth back until one of the first five has ended; these never end."""
    claude.script(*[SILENT] * STREAMS)

    async def begun(client: httpx2.AsyncClient, number: int, all_have: asyncio.Barrier) -> str:
        ask = STREAMED | {"messages": [{"role": "user", "content": f"hello {number}"}]}
        async with client.stream("POST", f"{OPENAI}/v1/chat/completions", json=ask) as answer:
            async for line in answer.aiter_lines():
                if "many" in line:
                    await all_have.wait()
                    return answer.http_version
        raise AssertionError("nothing came")

    async def all_of_them() -> list[str]:
        trusted = ssl.create_default_context(cafile=str(interceptor.authority.bundle))
        headers, all_have = {"authorization": f"Bearer {CLIENTS_KEY}"}, asyncio.Barrier(STREAMS)
        async with (
            asyncio.timeout(60),
            httpx2.AsyncClient(
                http2=True, proxy=interceptor.url, verify=trusted, headers=headers, timeout=60, trust_env=False
            ) as client,
        ):
            return await asyncio.gather(*(begun(client, number, all_have) for number in range(STREAMS)))

    assert set(asyncio.run(all_of_them())) == {"HTTP/1.1"}
    assert all(row.cancelled for row in claude.ledger.wait(STREAMS, timeout=60))


def test_what_claude_has_said_is_there_while_claude_is_silent(through: httpx2.Client, claude: Simulator) -> None:
    claude.script(SILENT)
    with through.stream("POST", f"{OPENAI}/v1/chat/completions", json=STREAMED) as answer:
        assert any("many" in line for line in answer.iter_lines())
        [row] = claude.ledger.messages
        assert not row.ended
    [row] = claude.ledger.wait(1, timeout=60)  # and a client that leaves ends it at Claude too
    assert row.cancelled == "in mid-stream"


def test_an_upload_is_passed_on_while_it_comes(
    interceptor: RunningInterceptor, other_host: OtherHost, through: httpx2.Client
) -> None:
    def body() -> Iterator[bytes]:
        yield b"first"
        assert other_host.wait().begun.wait(60), "the interceptor waits for the end of the upload"
        yield b"second"

    other_host.heard.clear()
    url = f"https://localhost:{other_host.port}/v1/files"
    assert through.post(url, content=body(), headers={"content-length": "11"}).text == "ok"
    assert other_host.heard[-1].body == b"firstsecond"


def test_a_large_request_arrives_whole(interceptor: RunningInterceptor, claude: Simulator, tmp_path: Path) -> None:
    """curl asks first whether it may send it (`Expect: 100-continue`)."""
    ask = {"model": "claude-sonnet-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "word " * 150_000}]}
    file = tmp_path / "ask.json"
    file.write_text(json.dumps(ask))
    url, key = f"{ANTHROPIC}/v1/messages", f"x-api-key: {CLIENTS_KEY}"
    ran = run(
        interceptor,
        "curl",
        "-sS",
        url,
        "-H",
        key,
        "-H",
        "anthropic-version: 2023-06-01",
        "-H",
        "Expect: 100-continue",
        "-d",
        f"@{file}",
    )
    assert ran.returncode == 0, ran.stderr
    [row] = claude.ledger.wait(1)
    assert b"word " * 150_000 in row.body


def asked(claude: Simulator) -> list[str]:
    """The paths of all requests but those for the list of models, which cgw reads by itself once that is due."""
    return [row.path for row in claude.ledger.rows if not row.path.startswith("/v1/models")]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1/embeddings", f"Bearer {CLIENTS_KEY}"),
        ("/v1/messages/batches", f"Bearer {CLIENTS_KEY}"),
        ("/v1/messages?beta=true", "Bearer sk-ant-oat01-a-subscription"),
    ],
)
def test_what_cgw_does_not_serve_reaches_its_real_host_with_the_clients_own_key(
    other_host: OtherHost, through: httpx2.Client, claude: Simulator, path: str, key: str
) -> None:
    other_host.heard.clear()
    body = json.dumps(QUESTION).encode()
    answer = through.post(f"https://localhost:{other_host.port}{path}", content=body, headers={"authorization": key})
    heard = other_host.wait()
    assert answer.text == "ok"
    assert (heard.path, heard.body, heard.headers["authorization"]) == (path, body, key)
    assert heard.headers["host"] == f"localhost:{other_host.port}"
    assert asked(claude) == []


def test_the_same_host_is_answered_by_claude_where_cgw_serves_the_path(
    other_host: OtherHost, through: httpx2.Client, claude: Simulator
) -> None:
    claude.script(Answer("Hello there."))
    answer = through.post(f"https://localhost:{other_host.port}/v1/chat/completions", json=QUESTION)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello there."


def tunnel(interceptor: RunningInterceptor, host: str, port: int, trusted: Path) -> ssl.SSLSocket:
    """A TLS connection by CONNECT, to a server that must have a certificate for `host`."""
    sock = socket.create_connection(("127.0.0.1", interceptor.port), timeout=60)
    sock.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    context = ssl.create_default_context(cafile=str(trusted))
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context.wrap_socket(sock, server_hostname=host)


def test_another_host_keeps_its_own_certificate_and_protocol(
    interceptor: RunningInterceptor, other_host: OtherHost
) -> None:
    with tunnel(interceptor, "127.0.0.1", other_host.port, other_host.trusted) as other:
        assert other.getpeercert(binary_form=True) == other_host.certificate
        assert other.selected_alpn_protocol() == "h2"
    with tunnel(interceptor, "api.openai.com", 443, interceptor.authority.certificate) as ours:
        assert "cgw local authority" in str(ours.getpeercert())
        assert ours.selected_alpn_protocol() == "http/1.1"


def test_a_client_without_trust_is_told_of(interceptor: RunningInterceptor, other_host: OtherHost) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        tunnel(interceptor, "api.anthropic.com", 443, other_host.trusted)
    for _ in range(3000):
        if warning := interceptor.health().get("warning"):
            break
        socket.create_connection(("127.0.0.1", interceptor.port)).close()
    assert "api.anthropic.com" in warning
    assert "cgw run" in warning


def test_a_page_in_a_browser_cannot_spend_money(through: httpx2.Client, claude: Simulator) -> None:
    """The interceptor shows cgw the right key for everybody; whose request it is, cgw sees by its origin."""
    answer = through.post(f"{OPENAI}/v1/chat/completions", json=QUESTION, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert asked(claude) == []


def test_who_does_not_ask_for_an_interceptor_gets_none(gateway: RunningSidecar) -> None:
    assert httpx2.get(f"{gateway.url}/health", timeout=60).json()["interceptor"] == {"state": "off"}
    assert not authority_of(gateway.home).folder.exists()
