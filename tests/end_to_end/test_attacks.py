"""What a page in a browser, a stranger on the port or a malicious request can try, against the whole application."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator

import orjson
import pytest
from starlette.routing import Route

from sidecar import admission
from tests.support.in_process import KEY, InProcess, running

LOCAL = (b"host", b"127.0.0.1:4343")
OWNER = (b"x-api-key", KEY.encode())
JSON = (b"content-type", b"application/json")
FRESH = (b"cache-control", b"no-store")
CHAT, NATIVE = "/v1/chat/completions", "/v1/messages"
BODY = orjson.dumps({"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
EVIL = b"https://evil.example"

WITHOUT_A_KEY = re.compile(r"(?!/admin)(/\w+)*/health|/|/p/x")
"""What anyone may ask: whether it is there."""

BROWSERS = {
    "a name rebound to this machine": [(b"host", b"evil.example:4343"), OWNER, JSON],
    "a rebound name without a key": [(b"host", b"evil.example:4343"), JSON],
    "a form's post": [LOCAL, (b"origin", EVIL), (b"content-type", b"application/x-www-form-urlencoded")],
    "a post that needs no preflight": [LOCAL, OWNER, (b"origin", EVIL), (b"content-type", b"text/plain")],
    "a page without an origin": [LOCAL, OWNER, (b"origin", b"null"), JSON],
    "a page of another port": [LOCAL, OWNER, (b"origin", b"http://127.0.0.1:3000"), JSON],
    "a page that pretends to be an editor": [LOCAL, OWNER, (b"origin", b"https://vscode-webview.evil.example"), JSON],
    "an image's request": [LOCAL, OWNER, (b"sec-fetch-site", b"cross-site")],
    "a host in two heads": [LOCAL, (b"host", b"evil.example"), OWNER, JSON],
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    yield from running(tmp_path_factory.mktemp("home"))


@pytest.mark.parametrize("path", [CHAT, NATIVE, "/admin/reload", "/admin/health", "/health"])
@pytest.mark.parametrize("headers", BROWSERS.values(), ids=BROWSERS)
def test_nothing_that_a_page_can_send_is_served(app: InProcess, headers: list[tuple[bytes, bytes]], path: str) -> None:
    app.sent.clear()
    for method in ("POST", "GET"):
        heard = app.ask(method, path, headers, BODY)
        assert heard.status == 403
        assert "access-control-allow-origin" not in heard.headers
    assert app.sent == []


@pytest.mark.parametrize("origin", [EVIL, b"null", b"http://localhost:3000"])
def test_a_preflight_gives_a_page_no_leave(app: InProcess, origin: bytes) -> None:
    asked = [LOCAL, (b"origin", origin), (b"access-control-request-method", b"POST")]
    heard = app.ask("OPTIONS", CHAT, asked)
    assert heard.status == 403
    assert not [name for name in heard.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("batch", ["..", ".", "a?b", "a#b", "a%2e", "a\\b", "é"])
def test_a_batch_leads_nowhere_else(app: InProcess, batch: str) -> None:
    for method, behind in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/results")):
        assert app.ask(method, f"/v1/messages/batches/{batch}{behind}", [LOCAL, OWNER]).status == 404


def test_the_owners_routes_take_no_more_than_they_need(app: InProcess) -> None:
    for method, path in (("POST", "/admin/bypass"), ("POST", "/admin/bodies"), ("PATCH", "/admin/projects/default")):
        assert app.ask(method, path, [LOCAL, JSON, OWNER], b" " * 100_000).status == 413, path


def test_no_route_opens_without_a_key(app: InProcess) -> None:
    tried = 0
    for route in app.routes:
        assert isinstance(route, Route)
        path = re.sub(r"\{[^}]*\}", "x", route.path)
        for method in (route.methods or set()) - {"HEAD"}:
            for wrong in ([], [(b"x-api-key", b"wrong")], [(b"authorization", b"Bearer ")]):
                status = app.ask(method, path, [LOCAL, JSON, *wrong], BODY).status
                assert status == (200 if WITHOUT_A_KEY.fullmatch(path) else 401), (method, path)
                tried += 1
    assert tried > 100


def test_a_key_is_compared_in_constant_time(app: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    compare = admission.hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return compare(one, other)

    monkeypatch.setattr(admission.hmac, "compare_digest", spy)
    for key in ("x", KEY[:-1], KEY + "x", KEY):
        app.ask("POST", NATIVE, [LOCAL, JSON, (b"x-api-key", key.encode())], BODY)
        assert compared[-1] == key.encode()


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b""), OWNER],
        [(b"authorization", b""), (b"api-key", KEY.encode())],
        [(b"authorization", b"Bearer"), OWNER],
    ],
)
def test_an_empty_authorization_counts_as_none(app: InProcess, headers: list[tuple[bytes, bytes]]) -> None:
    assert app.ask("POST", NATIVE, [LOCAL, JSON, *headers], BODY).status == 200


class Trap:
    """An address on this machine that nobody should come to."""

    def __init__(self) -> None:
        self.visits = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/picture.png"
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        try:
            while True:
                self._listening.accept()[0].close()
                self.visits += 1
        except OSError:
            return

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


def test_what_a_request_names_is_never_fetched_here(app: InProcess, trap: Trap) -> None:
    secure = trap.url.replace("http://", "https://")
    asked = 0
    for url in (trap.url, secure, f"file://{trap.url[7:]}"):
        for path, part in (
            (CHAT, {"type": "image_url", "image_url": {"url": url}}),
            (CHAT, {"type": "file", "file": {"file_data": url}}),
            (NATIVE, {"type": "image", "source": {"type": "url", "url": url}}),
            (NATIVE, {"type": "document", "source": {"type": "url", "url": url}}),
        ):
            body = {"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": [part]}]}
            app.sent.clear()
            heard = app.ask("POST", path, [LOCAL, OWNER, JSON, FRESH], orjson.dumps(body))
            assert heard.status in (200, 400)
            asked += heard.status == 200
            assert heard.status == 400 or url.encode() in app.sent[0]
    assert asked
    assert trap.visits == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"model":"sonnet","messages":' + b"[" * 5000 + b"]" * 5000 + b"}", "JSON"),
        (b'{"model":"sonnet","max_tokens":NaN}', "JSON"),
        (b'{"model":"sonnet","messages":[{"role":"user","content":"\\ud800"}]}', "JSON"),
        (b'{"model":"sonnet","messages":[{"role":"user","content":"\xff"}]}', "JSON"),
        (b"", "JSON"),
        (b"[]", "JSON object"),
    ],
    ids=["deep", "NaN", "half-a-surrogate-pair", "not-utf-8", "empty", "no-object"],
)
@pytest.mark.parametrize("path", [CHAT, NATIVE])
def test_what_is_no_request_is_a_400_that_says_so(app: InProcess, path: str, content: bytes, says: str) -> None:
    heard = app.ask("POST", path, [LOCAL, OWNER, JSON], content)
    assert heard.status == 400
    assert says in orjson.loads(heard.body)["error"]["message"]


@pytest.mark.parametrize("path", [CHAT, NATIVE])
def test_of_a_key_that_comes_twice_the_last_one_counts_here_and_at_claude(app: InProcess, path: str) -> None:
    twice = BODY.replace(b'"model":"sonnet"', b'"model":"opus","model":"sonnet"')
    heard = app.ask("POST", path, [LOCAL, OWNER, JSON, FRESH], twice)
    assert (heard.status, heard.headers["x-gateway-model"]) == (200, "claude-sonnet-5-5")
    assert orjson.loads(app.sent[0])["model"] == "claude-sonnet-5-5"
    assert app.sent[0].count(b'"model"') == 1


@pytest.mark.parametrize("path", [CHAT, NATIVE])
def test_ten_thousand_messages_and_a_picture_of_thirty_megabytes_go_through(app: InProcess, path: str) -> None:
    many = [{"role": ("user", "assistant")[turn % 2], "content": f"turn {turn}"} for turn in range(10_001)]
    data = "A" * (30 * 2**20)
    picture = (
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        if path == CHAT
        else {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    )
    for messages in (many, [{"role": "user", "content": [picture]}]):
        body = orjson.dumps({"model": "sonnet", "max_tokens": 9, "messages": messages})
        heard = app.ask("POST", path, [LOCAL, OWNER, JSON], body)
        assert heard.status in (200, 400, 413)
        if heard.status != 200:
            assert len(orjson.loads(heard.body)["error"]["message"]) > 20
        assert app.complaints.records == []
