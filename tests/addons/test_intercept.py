"""The mitmproxy addon: what comes to cgw, with which key, and what is left alone."""

from __future__ import annotations

import ast
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import Settings
from sidecar.exchange import VIA_HEADER
from sidecar.listener import BASES, Listener

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of packages that come with mitmproxy
    from mitmproxy import exceptions, http
    from mitmproxy.addons import intercept as theirs
    from mitmproxy.addons.script import Script
    from mitmproxy.hooks import ConfigureHook
    from mitmproxy.proxy.layers.http import HttpRequestHeadersHook
    from mitmproxy.test import taddons, tflow, tutils
    from mitmproxy.tls import TlsData

    from addons import intercept
    from addons.intercept import Intercept, InterceptedHost, Sidecar, parse_host, parse_sidecar

KEY = "cgw-the-gateways"
OPENAI, ANTHROPIC = "api.openai.com", "api.anthropic.com"
SUBSCRIPTION = "Bearer sk-ant-oat01-abc"


@pytest.fixture
def addon() -> Iterator[Intercept]:
    made = Intercept(KEY)
    with taddons.context(made) as context:
        context.configure(made, cgw_sidecar="http://127.0.0.1:4999")
        yield made


def asked(method: str, host: str, path: str, **headers: str) -> http.HTTPFlow:
    named = {"Host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    return tflow.tflow(
        req=tutils.treq(
            method=method.encode(),
            scheme=b"https",
            authority=b"",
            host=host,
            port=443,
            path=path.encode(),
            headers=http.Headers([(name.encode(), value.encode()) for name, value in named.items()]),
        )
    )


def at_cgw(flow: http.HTTPFlow) -> bool:
    request = flow.request
    is_here = (request.scheme, request.host, request.port) == ("http", "127.0.0.1", 4999)
    assert is_here == (request.headers["host"] == "127.0.0.1:4999")
    return is_here


@pytest.mark.parametrize(
    ("method", "host", "path"),
    [
        ("POST", OPENAI, "/v1/chat/completions"),
        ("POST", ANTHROPIC, "/v1/messages"),
        ("POST", ANTHROPIC, "/v1/messages?beta=true"),
        ("POST", ANTHROPIC, "/v1/messages/count_tokens"),
        ("GET", OPENAI, "/v1/models"),
        ("GET", ANTHROPIC, "/v1/models?limit=20"),
        ("GET", OPENAI, "/v1/models/gpt-4o"),
        ("GET", OPENAI, "/v1/models/org/model"),
        ("POST", OPENAI.upper(), "/v1/chat/completions"),
    ],
)
def test_what_cgw_serves_comes_to_cgw_with_the_gateways_key(
    addon: Intercept, method: str, host: str, path: str
) -> None:
    flow = asked(method, host, path, authorization="Bearer sk-proj-mine", content_type="application/json")
    addon.requestheaders(flow)
    assert at_cgw(flow)
    assert flow.request.path == path
    assert dict(flow.request.headers) == {
        "Host": "127.0.0.1:4999",
        "content-type": "application/json",
        "x-api-key": KEY,
        VIA_HEADER: "interceptor",
    }


def test_cgw_is_called_by_an_address_that_it_knows(addon: Intercept) -> None:
    with taddons.context(addon) as context:
        context.configure(addon, cgw_sidecar="http://[::1]:4999")
    flow = asked("POST", OPENAI, "/v1/chat/completions")
    addon.requestheaders(flow)
    assert (flow.request.host, flow.request.port) == ("::1", 4999)
    assert flow.request.headers["host"] == "[::1]:4999"


@pytest.mark.parametrize(
    ("method", "host", "path"),
    [
        ("POST", OPENAI, "/v1/embeddings"),
        ("POST", OPENAI, "/v1/chat/completions/chatcmpl-1"),
        ("GET", OPENAI, "/v1/chat/completions"),
        ("DELETE", OPENAI, "/v1/models/ft-1"),
        ("POST", OPENAI, "/v2/chat/completions"),
        ("POST", OPENAI, "/elsewhere/v1/chat/completions"),
        ("POST", ANTHROPIC, "/v1/messages/batches"),
        ("POST", ANTHROPIC, "/v1/oauth/token"),
        ("POST", ANTHROPIC, "/v1/messagesandmore"),
        ("GET", ANTHROPIC, "/"),
        ("POST", "api.anthropic.com.evil.example", "/v1/messages"),
        ("POST", "evil-api.anthropic.com", "/v1/messages"),
        ("POST", "example.com", "/v1/messages"),
    ],
)
def test_everything_else_goes_on_to_its_host_as_it_is(addon: Intercept, method: str, host: str, path: str) -> None:
    flow = asked(method, host, path, authorization="Bearer sk-proj-mine", x_api_key="sk-ant-mine")
    before = flow.request.copy()
    addon.requestheaders(flow)
    assert not at_cgw(flow)
    assert flow.request.url == before.url
    assert flow.request.headers == before.headers


def test_the_table_names_just_what_the_sidecar_serves() -> None:
    nothing: Any = None
    listener = Listener(nothing, nothing, nothing, limits=nothing_limits(), responses=nothing, health=dict)
    served = set()
    for route in listener.app().routes:
        method = next(iter(route.methods - {"HEAD"}))  # type: ignore[attr-defined]
        path = re.sub(r"\{.*\}", "*", route.path)  # type: ignore[attr-defined]
        if path.startswith("/v1/") and path != "/v1/health":
            served.add(f"{method} {path.removeprefix('/v1')}")
    assert "/v1" in BASES
    assert served == set(intercept.ROUTES)


def nothing_limits() -> Any:
    from sidecar.intake import ListenerLimits

    return ListenerLimits()


def test_the_defaults_are_those_of_the_settings() -> None:
    assert Settings().intercept_hosts == intercept.DEFAULT_HOSTS
    assert parse_sidecar(intercept.DEFAULT_SIDECAR) == Sidecar("127.0.0.1", Settings().port)


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key", "Authorization", "X-Api-Key"])
def test_a_clients_key_never_reaches_cgw(addon: Intercept, name: str) -> None:
    flow = asked("POST", OPENAI, "/v1/chat/completions")
    flow.request.headers[name] = "sk-mine"
    addon.requestheaders(flow)
    assert at_cgw(flow)
    assert "sk-mine" not in str(flow.request.headers)
    assert flow.request.headers["x-api-key"] == KEY


@pytest.mark.parametrize("header", [{"authorization": "Bearer cgw-projects"}, {"x_api_key": "cgw-projects"}])
def test_a_key_of_cgw_stays_since_it_may_be_a_projects(addon: Intercept, header: dict[str, str]) -> None:
    flow = asked("POST", OPENAI, "/v1/chat/completions", **header)
    addon.requestheaders(flow)
    assert at_cgw(flow)
    assert KEY not in str(flow.request.headers)
    assert "cgw-projects" in str(flow.request.headers)


def test_a_request_without_a_key_gets_none(addon: Intercept) -> None:
    flow = asked("POST", OPENAI, "/v1/chat/completions")
    addon.requestheaders(flow)
    assert at_cgw(flow)
    assert KEY not in str(flow.request.headers)


@pytest.mark.parametrize(
    "shown",
    [
        {"authorization": SUBSCRIPTION},
        {"x_api_key": "sk-ant-oat01-abc"},
        {"authorization": SUBSCRIPTION, "x_api_key": "sk-1"},
    ],
)
def test_a_subscriptions_request_goes_on_to_anthropic_unchanged(addon: Intercept, shown: dict[str, str]) -> None:
    flow = asked("POST", ANTHROPIC, "/v1/messages?beta=true", anthropic_beta="oauth-2025-04-20", **shown)
    before = flow.request.copy()
    addon.requestheaders(flow)
    assert not at_cgw(flow)
    assert flow.request.headers == before.headers
    assert flow.request.stream


@pytest.mark.parametrize(
    ("betas", "kept"),
    [
        (None, None),
        ("oauth-2025-04-20", None),
        ("claude-code-20250219,oauth-2025-04-20,interleaved", "claude-code-20250219,interleaved"),
        ("fine-grained-tool-streaming-2025-05-14", "fine-grained-tool-streaming-2025-05-14"),
        ("one, two", "one, two"),
    ],
)
def test_who_opts_in_pays_for_it_by_key(addon: Intercept, betas: str | None, kept: str | None) -> None:
    with taddons.context(addon) as context:
        context.configure(addon, cgw_subscriptions=True)
    flow = asked("POST", ANTHROPIC, "/v1/messages", authorization=SUBSCRIPTION)
    if betas is not None:
        flow.request.headers["anthropic-beta"] = betas
    addon.requestheaders(flow)
    assert at_cgw(flow)
    assert flow.request.headers.get("anthropic-beta") == kept
    assert flow.request.headers["x-api-key"] == KEY
    assert "authorization" not in flow.request.headers


@given(
    st.sampled_from([OPENAI, ANTHROPIC, "example.com"]),
    st.text(st.characters(codec="ascii", exclude_categories=["C", "Z"]), max_size=30),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.lists(st.sampled_from(["authorization", "x-api-key", "api-key"]), unique=True),
)
def test_the_gateways_key_never_leaves_for_another_host(host: str, path: str, method: str, shown: list[str]) -> None:
    addon = Intercept(KEY)
    for target in (f"/{path}", f"/v1/{path}", "/v1/messages"):
        flow = asked(method, host, target)
        for name in shown:
            flow.request.headers[name] = "sk-mine"
        addon.requestheaders(flow)
        assert (KEY in str(flow.request.headers)) <= (flow.request.host == "127.0.0.1")
        assert ("sk-mine" in str(flow.request.headers)) == (bool(shown) and flow.request.host != "127.0.0.1")


def test_bodies_are_streamed_both_ways_wherever_they_go(addon: Intercept) -> None:
    for path in ("/v1/chat/completions", "/v1/files"):
        flow = asked("POST", OPENAI, path)
        addon.requestheaders(flow)
        flow.response = tutils.tresp()
        addon.responseheaders(flow)
        assert flow.request.stream
        assert flow.response.stream


def test_a_connection_that_becomes_a_websocket_is_no_stream(addon: Intercept) -> None:
    flow = asked("GET", OPENAI, "/v1/realtime")
    flow.response = tutils.tresp(status_code=101)
    addon.responseheaders(flow)
    assert not flow.response.stream


def test_it_knows_which_requests_are_being_answered(addon: Intercept) -> None:
    whole, broken = (asked("POST", OPENAI, "/v1/chat/completions") for _ in range(2))
    for flow in (whole, broken):
        addon.requestheaders(flow)
    assert addon.live == {whole.id, broken.id}
    addon.response(whole)
    addon.error(broken)
    assert addon.live == set()


def test_while_it_stops_requests_are_told_to_come_again(addon: Intercept) -> None:
    addon.closing = True
    flow = asked("POST", OPENAI, "/v1/chat/completions", authorization="Bearer sk-mine")
    addon.requestheaders(flow)
    assert flow.response is not None
    assert flow.response.status_code == 503
    assert "try again" in flow.response.json()["error"]["message"]
    assert flow.response.headers["connection"] == "close"
    assert not addon.live


def failed(host: str, why: str) -> TlsData:
    client = tflow.tclient_conn()
    client.sni, client.error = host, why
    context: Any = type("Context", (), {"client": client})()
    return TlsData(client, context)


@pytest.mark.parametrize(
    "why",
    [
        "The client does not trust the proxy's certificate for api.openai.com (tlsv1 alert unknown ca)",
        "The client disconnected during the handshake. If this happens consistently for api.openai.com, ...",
    ],
)
def test_a_client_without_trust_is_told_of_once_for_each_host(
    addon: Intercept, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    with caplog.at_level(logging.WARNING):
        for host in (OPENAI, OPENAI, ANTHROPIC, OPENAI):
            addon.tls_failed_client(failed(host, why))
    [first, second] = [record.getMessage() for record in caplog.records]
    assert OPENAI in first
    assert "cgw ca trust" in first
    assert ANTHROPIC in second


def test_other_failed_handshakes_are_none_of_the_users_business(
    addon: Intercept, caplog: pytest.LogCaptureFixture
) -> None:
    addon.tls_failed_client(failed(OPENAI, "Cannot parse ClientHello: 00"))
    assert not caplog.records


def test_other_hosts_stay_encrypted_and_http2_stays_out() -> None:
    addon = Intercept(KEY)
    with taddons.context(addon) as context:
        context.configure(addon, cgw_hosts=["api.openai.com", "openrouter.ai/api"])
        allowed = [re.compile(pattern) for pattern in context.options.allow_hosts]
        assert context.options.http2 is False
        assert context.options.upstream_cert is False
    for host, is_allowed in {
        "api.openai.com:443": True,
        "openrouter.ai:443": True,
        "api.openai.com.evil.example:443": False,
        "notapi.openai.com:443": False,
        "apixopenai.com:443": False,
        "github.com:443": False,
    }.items():
        assert any(pattern.search(host) for pattern in allowed) == is_allowed, host


def test_in_a_mitmproxy_of_ones_own_other_hosts_can_be_looked_at_too() -> None:
    addon = Intercept(KEY)
    with taddons.context(addon) as context:
        context.configure(addon, cgw_only=False, cgw_hosts=["api.openai.com"])
        assert context.options.allow_hosts == []
        assert context.options.http2 is True


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cgw_hosts": []}, "at least one host"),  # mitmproxy would intercept every host
        ({"cgw_hosts": ["https://api.openai.com"]}, "no host name"),
        ({"cgw_hosts": [""]}, "no host name"),
        ({"cgw_sidecar": "127.0.0.1:4343"}, "no URL"),
        ({"cgw_sidecar": "https://127.0.0.1:4343"}, "no URL"),
    ],
)
def test_options_that_cannot_be_used_are_refused_with_a_sentence(options: dict[str, Any], words: str) -> None:
    addon = Intercept(KEY)
    with taddons.context(addon) as context, pytest.raises(exceptions.OptionsError, match=words):
        context.configure(addon, **options)


def test_without_a_key_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_API_KEY", raising=False)
    addon = Intercept()
    with taddons.context(addon) as context, pytest.raises(exceptions.OptionsError, match="GATEWAY_API_KEY"):
        context.configure(addon, cgw_only=True)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("api.openai.com", InterceptedHost("api.openai.com")),
        (" API.OpenAI.com ", InterceptedHost("api.openai.com")),
        ("api.openai.com/v1", InterceptedHost("api.openai.com")),
        ("openrouter.ai/api/v1/", InterceptedHost("openrouter.ai", "/api")),
        ("api.groq.com/openai", InterceptedHost("api.groq.com", "/openai")),
    ],
)
def test_a_host_is_written_as_a_tool_would_write_its_base_url(text: str, host: InterceptedHost) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    ("host", "asked_for", "here"),
    [
        ("openrouter.ai/api", "/api/v1/chat/completions", "/v1/chat/completions"),
        ("openrouter.ai/api", "/v1/chat/completions", None),
        ("api.deepseek.com", "/chat/completions", "/v1/chat/completions"),
        ("api.openai.com", "/v1/models?a=/v1/messages", "/v1/models?a=/v1/messages"),
    ],
)
def test_a_path_becomes_the_one_that_cgw_serves(host: str, asked_for: str, here: str | None) -> None:
    method = "GET" if "models" in asked_for else "POST"
    assert parse_host(host).path_here(method, asked_for) == here


def test_a_mitmproxy_of_ones_own_loads_the_file_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_API_KEY", KEY)
    file = Path(intercept.__file__)
    with taddons.context(theirs.Intercept()) as context:  # mitmweb's own addon of this name
        script = Script(str(file), False)
        context.options.update(cgw_sidecar="http://127.0.0.1:4999", cgw_hosts=[OPENAI])
        context.master.addons.invoke_addon_sync(script, ConfigureHook(set(context.options.keys())))
        flow = asked("POST", OPENAI, "/v1/chat/completions", authorization="Bearer sk-mine")
        context.master.addons.invoke_addon_sync(script, HttpRequestHeadersHook(flow))
    assert at_cgw(flow)
    assert flow.request.headers["x-api-key"] == KEY
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        for name in ([alias.name for alias in getattr(node, "names", ())] if isinstance(node, ast.Import) else [])
        + ([node.module or ""] if isinstance(node, ast.ImportFrom) else [])
    }
    assert imported <= sys.stdlib_module_names | {"mitmproxy"}
