"""A mitmproxy addon: what is meant for OpenAI or Anthropic goes to cgw, whatever the tool's settings say.

This is no layer of the sidecar. `cgw up --intercept` runs it in a process of its own, and a mitmproxy that you have can
load it as it is, since it needs nothing but the standard library and mitmproxy:

    GATEWAY_API_KEY="$(cat "$(cgw config --path key)")" mitmdump --listen-host 127.0.0.1 -s addons/intercept.py
"""

# mypy: untyped-calls-exclude=mitmproxy
from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from mitmproxy import ctx, exceptions, http, tls
from mitmproxy.addonmanager import Loader

log = logging.getLogger(__name__)

KEY_VARIABLE: Final = "GATEWAY_API_KEY"
DEFAULT_SIDECAR: Final = "http://127.0.0.1:4343"
DEFAULT_HOSTS: Final = ("api.openai.com", "api.anthropic.com")

ROUTES: Final = (
    "POST /chat/completions",
    "POST /completions",
    "POST /fim/completions",
    "POST /deployments/*/chat/completions",
    "POST /deployments/*/completions",
    "POST /responses",
    "GET /responses/*",
    "DELETE /responses/*",
    "GET /responses/*/input_items",
    "POST /responses/*/cancel",
    "POST /responses/input_tokens",
    "POST /responses/compact",
    "POST /messages",
    "POST /messages/count_tokens",
    "GET /models",
    "GET /models/*",
)
"""What cgw serves below `/v1`. Anything else that is asked of a host goes on to it, with the client's own key."""

VIA: Final = ("x-cgw-via", "interceptor")
"""By this cgw tells in its accounts through which door a request came. It stays here."""

CREDENTIALS: Final = ("authorization", "x-api-key", "api-key")
SUBSCRIPTION: Final = "sk-ant-oat"
"""A token that begins so belongs to a Claude subscription, which pays for the request, and to no one's API account."""

OF_CGW: Final = "cgw-"
"""A key that begins so is the gateway's or one of its projects': who shows it, keeps it."""

LOGIN_BETA: Final = "oauth-"
"""How `anthropic-beta` speaks of such a token."""

NO_TRUST: Final = ("unknown ca", "bad certificate", "certificate unknown", "disconnected during the handshake")
"""How mitmproxy tells of a client that does not know our authority. Node is the last one: it just hangs up."""

ISOLATION: Final = {"connection_strategy": "lazy", "upstream_cert": False, "http2": False}
"""Nothing is asked of the real host before a request is; and HTTP/1.1 alone is spoken with the client, because
mitmproxy runs no more than five streams of an HTTP/2 connection at once."""


class InterceptedHost(NamedTuple):
    """A host, and what stands before `/v1` in its paths: `openrouter.ai/api` has `/api`."""

    name: str
    base: str = ""

    def path_here(self, method: str, target: str) -> str | None:
        """The path and query under which cgw serves this request; None where it does not."""
        path, mark, query = target.partition("?")
        if not path.startswith(self.base + "/"):
            return None
        served = path.removeprefix(self.base).removeprefix("/v1")
        if not any(fnmatchcase(f"{method} {served}", route) for route in ROUTES):
            return None
        return f"/v1{served}{mark}{query}"

    @property
    def pattern(self) -> str:
        """For mitmproxy's `allow_hosts`, which searches it in `host:port`."""
        return rf"^{re.escape(self.name)}:\d+$"


def parse_host(text: str) -> InterceptedHost:
    """Raises ValueError."""
    name, _, base = text.strip().partition("/")
    name = name.lower()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
        raise ValueError(f"{text!r} is no host name such as api.openai.com or openrouter.ai/api")
    base = base.strip("/").removesuffix("v1").strip("/")
    return InterceptedHost(name, f"/{base}" if base else "")


class Sidecar(NamedTuple):
    """Where cgw listens, without encryption on this machine."""

    host: str
    port: int

    @property
    def host_header(self) -> str:
        """mitmproxy's own leaves out the brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_sidecar(url: str) -> Sidecar:
    """Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise ValueError(f"{url!r} is no URL such as {DEFAULT_SIDECAR}")
    return Sidecar(parts.hostname, parts.port)


class Intercept:
    """Sends what cgw serves to cgw, and streams everything both ways.

    `key` is the gateway's; without one it is taken from the environment. mitmproxy only logs what a hook raises and
    lets the request go on to its real host: so the hooks are small, and decide before they change anything.
    """

    name = "cgw"
    """mitmproxy has an addon `intercept` of its own."""

    def __init__(self, key: str | None = None) -> None:
        self._key = key or os.environ.get(KEY_VARIABLE, "")
        self._sidecar = parse_sidecar(DEFAULT_SIDECAR)
        self._hosts = [parse_host(host) for host in DEFAULT_HOSTS]
        self._subscriptions = False
        self._hinted: set[str] = set()
        self.live: set[str] = set()
        """Ids of the requests that are being answered."""
        self.closing = False
        """Set from outside: requests on connections that are still open are told to come again later."""

    def load(self, loader: Loader) -> None:
        loader.add_option("cgw_sidecar", str, DEFAULT_SIDECAR, "Where cgw listens.")
        loader.add_option(
            "cgw_hosts",
            Sequence[str],
            list(DEFAULT_HOSTS),
            "Hosts whose requests go to cgw; with a path where theirs do not begin with /v1 (openrouter.ai/api).",
        )
        loader.add_option(
            "cgw_subscriptions",
            bool,
            False,
            "Also requests with the token of a Claude subscription; your API key then pays for them.",
        )
        loader.add_option(
            "cgw_only",
            bool,
            True,
            "Leave all other hosts undecrypted (sets allow_hosts, connection_strategy, upstream_cert and http2).",
        )

    def configure(self, updated: set[str]) -> None:
        if not self._key:
            raise exceptions.OptionsError(
                f'There is no gateway key: set {KEY_VARIABLE}="$(cat "$(cgw config --path key)")" for mitmproxy.'
            )
        try:
            if "cgw_sidecar" in updated:
                self._sidecar = parse_sidecar(ctx.options.cgw_sidecar)
            if "cgw_hosts" in updated:
                self._hosts = [parse_host(host) for host in ctx.options.cgw_hosts]
        except ValueError as error:
            raise exceptions.OptionsError(f"An option of cgw's addon cannot be used: {error}.") from error
        if not self._hosts:  # to mitmproxy, no `allow_hosts` at all means all of them
            raise exceptions.OptionsError("cgw_hosts is empty: name at least one host.")
        if "cgw_subscriptions" in updated:
            self._subscriptions = ctx.options.cgw_subscriptions
        if updated & {"cgw_hosts", "cgw_only"} and ctx.options.cgw_only:
            ctx.options.update_known(**ISOLATION, allow_hosts=[host.pattern for host in self._hosts])

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if self.closing:
            flow.response = _come_again()
            return
        self.live.add(flow.id)
        request = flow.request
        request.stream = True
        path = self._path_here(request)
        if path is None:
            return
        request.scheme = "http"
        request.host, request.port = self._sidecar
        request.host_header = self._sidecar.host_header
        request.path = path
        request.headers[VIA[0]] = VIA[1]
        _show(self._key, request.headers)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if flow.response is not None and flow.response.status_code != 101:
            flow.response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        self.live.discard(flow.id)

    def error(self, flow: http.HTTPFlow) -> None:
        self.live.discard(flow.id)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Tells once for each host: a program that does not trust us tries again and again."""
        host = data.context.client.sni or "a host"
        if host in self._hinted or not any(sign in (data.conn.error or "") for sign in NO_TRUST):
            return
        self._hinted.add(host)
        log.warning(
            "A program asked for %s and did not accept the interceptor's certificate: start it with "
            "`cgw run --intercept -- PROGRAM`, or see `cgw ca trust`.",
            host,
        )

    def _path_here(self, request: http.Request) -> str | None:
        name = request.pretty_host.lower()
        paths = (host.path_here(request.method, request.path) for host in self._hosts if host.name == name)
        path = next((path for path in paths if path is not None), None)
        return path if self._subscriptions or not _by_subscription(request.headers) else None


def _by_subscription(headers: http.Headers) -> bool:
    return any(SUBSCRIPTION in headers.get(name, "") for name in CREDENTIALS)


def _show(key: str, headers: http.Headers) -> None:
    """The gateway's key in the place of the client's. A request without any gets none: it is cgw's to refuse it."""
    shown = {name: headers[name] for name in CREDENTIALS if name in headers}
    if not shown or any(value.removeprefix("Bearer ").startswith(OF_CGW) for value in shown.values()):
        return
    for name in shown:
        del headers[name]
    headers["x-api-key"] = key
    betas = headers.get("anthropic-beta", "").split(",")
    if kept := [beta for beta in betas if not beta.strip().startswith(LOGIN_BETA)]:
        if len(kept) != len(betas):
            headers["anthropic-beta"] = ",".join(kept)
    elif "anthropic-beta" in headers:
        del headers["anthropic-beta"]


def _come_again() -> http.Response:
    error = {"type": "overloaded_error", "message": "cgw's interceptor is stopping: try again in a moment."}
    return http.Response.make(
        503,
        json.dumps({"type": "error", "error": error}),
        {"content-type": "application/json", "retry-after": "1", "connection": "close"},
    )


addons = [Intercept()]
