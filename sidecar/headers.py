"""Which headers cross the gateway, in which direction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from sidecar.exchange import Dialect, Exchange, Note
from sidecar.random_ids import random_id

CREDENTIALS = frozenset({"authorization", "x-api-key", "api-key", "cookie", "proxy-authorization"})
"""Never kept with an exchange, never sent upstream."""

KEPT_HERE = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-project",
        "x-real-ip",
    }
)
"""Headers about this hop or for this gateway."""

KEPT_HERE_PREFIXES = ("x-gateway-", "x-cgw-", "x-forwarded-", "sec-", "proxy-")

TRANSLATED_ROUTE_PASSES = ("anthropic-beta", "anthropic-version")
"""An OpenAI client's own headers mean nothing to Anthropic; these are meant for it."""

USE_MODEL, ROUTING = "x-gateway-use-model", "x-gateway-routing"
"""By these a client names another model than in its body, and keeps routing from choosing one."""

HEADS, NAMES = 64, 512
"""Of whole heads and of header names it is remembered what was made of them: clients say the same each time."""
_LENGTH = b"content-length"
"""All but this."""
_CREDENTIALS = frozenset(name.encode() for name in CREDENTIALS)

UPSTREAM_TELLS = ("request-id", "retry-after", "x-should-retry")
UPSTREAM_TELLS_PREFIX = "anthropic-"
"""Headers of Claude's answer that go back to the client."""

ROUTE_LIMIT = 1_000
"""Characters of `X-Gateway-Route`."""
REPORT_LIMIT = 2_000
"""Characters of `X-Gateway-Report`; some clients cap all headers together at 8 KB."""


def client_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """ASGI headers as a dict with lower-case names; repeated ones are joined as RFC 9110 says; credentials are left
    out."""
    told, lengths = [], []
    for pair in raw:
        if pair[0] == _LENGTH:
            lengths.append(pair)
        elif pair[0] not in _CREDENTIALS:
            told.append(pair)
    return {**_read_before(tuple(told)), **_read(lengths)}


@lru_cache(HEADS)
def _read_before(raw: tuple[tuple[bytes, bytes], ...]) -> dict[str, str]:
    return _read(raw)


def _read(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name = raw_name.decode("latin-1").lower()
        if name in CREDENTIALS:
            continue
        value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def for_upstream(headers: Mapping[str, str], dialect: Dialect) -> dict[str, str]:
    """The client's headers that go to Anthropic."""
    if dialect != "anthropic_messages":
        return {name: headers[name] for name in TRANSLATED_ROUTE_PASSES if name in headers}
    named = headers.get("connection")
    of_this_hop = _named_by(named) if named is not None else frozenset()
    return {name: value for name, value in headers.items() if _goes_on(name) and name not in of_this_hop}


@lru_cache(NAMES)
def _named_by(connection: str) -> frozenset[str]:
    """The headers that a client calls those of one connection (RFC 9110, section 7.6.1)."""
    return frozenset(name.strip().lower() for name in connection.split(","))


@lru_cache(NAMES)
def _goes_on(name: str) -> bool:
    return name not in KEPT_HERE and name not in CREDENTIALS and not name.startswith(KEPT_HERE_PREFIXES)


def new_request_id() -> str:
    return f"req_{random_id()}"


def for_anyone() -> dict[str, str]:
    """What an answer carries that has no exchange behind it."""
    return {"x-gateway": "claude-gateway", "x-cache": "MISS", "x-request-id": new_request_id()}


def for_client(exchange: Exchange) -> dict[str, str]:
    """What every answer of a generation carries, plus what Claude's own headers say."""
    headers = {name: printable(value) for name, value in exchange.upstream_headers.items() if _is_told(name)}
    headers["x-gateway"] = "claude-gateway"
    headers["x-cache"] = exchange.cache
    headers["x-request-id"] = exchange.id
    if exchange.retries:
        headers["x-gateway-retries"] = str(exchange.retries)
    if exchange.model:
        headers["x-gateway-model"] = printable(exchange.model)
    if route := route_of(exchange):
        headers["x-gateway-route"] = route
    if exchange.notes:
        headers["x-gateway-report"] = report_of(exchange.notes)
    headers.update(exchange.response_headers)
    return headers


@lru_cache(NAMES)
def _is_told(name: str) -> bool:
    return name in UPSTREAM_TELLS or name.startswith(UPSTREAM_TELLS_PREFIX)


def route_of(exchange: Exchange) -> str:
    """`X-Gateway-Route`: who answers and why, and what routing weighed where it acted. Empty where nobody is to."""
    weighed = None if exchange.route is None else exchange.route.header()
    if exchange.fallback is not None:
        told = f"{exchange.model}; reason={exchange.route_reason}; {exchange.fallback}"
        told += f"; chosen was {weighed}" if weighed else ""
    elif weighed is not None:
        told = weighed
    else:
        told = f"{exchange.model}; reason={exchange.route_reason}" if exchange.model and exchange.route_reason else ""
    return printable(told)[:ROUTE_LIMIT]


def report_of(notes: Iterable[Note]) -> str:
    """`X-Gateway-Report`: every note once, printable ASCII, cut at whole notes."""
    lines = list(dict.fromkeys(printable(str(note)) for note in notes))
    report = ""
    for done, line in enumerate(lines):
        longer = f"{report}; {line}" if report else line
        if len(longer) > REPORT_LIMIT:
            return f"{report}; and {len(lines) - done} more" if report else longer[:REPORT_LIMIT]
        report = longer
    return report


def printable(text: str) -> str:
    """`text` fit for a header or a log line: one line of ASCII, so that input cannot forge either."""
    if text.isascii() and text.isprintable():
        return text
    return re.sub(r"[^\x20-\x7e]", "?", text)
