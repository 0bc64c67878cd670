"""Errors as Anthropic writes them: read from its answers, and written to its clients."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from sidecar.errors import KIND_OF_STATUS, STATUS_OF_KIND, GatewayError
from sidecar.exchange import Json

EXCERPT = 200
"""Characters of a foreign error page that are quoted."""

UNUSABLE_HERE = frozenset({407, *range(100, 400)})
"""Statuses about the way to Claude that would mislead the client's own HTTP stack: they become 502."""

HINTS = {
    407: "the proxy on the way to Claude wants credentials",
    413: "the request is larger than Claude's API takes (32 MB)",
}
"""What a status means when nobody explains it."""


def encode_error(error: GatewayError) -> tuple[int, Json]:
    """Status and body."""
    return error.status, {"type": "error", "error": {"type": error.kind, "message": error.message}}


def error_event(error: GatewayError) -> bytes:
    """The error inside a stream that has begun; Claude's own words where it was Claude's."""
    own = error.raw if error.raw and b"\n" not in error.raw and b"\r" not in error.raw else None
    return b"event: error\ndata: %b\n\n" % (own or orjson.dumps(encode_error(error)[1]))


def error_in(data: bytes) -> GatewayError:
    """An error inside a 200: the data of an `error` event of Claude's stream, or a whole body."""
    wire = _parsed(data)
    if _is_anthropic(wire):
        return _of_anthropic(wire, data)
    said = _message_in(wire) or "Claude broke off its answer without saying why."
    return GatewayError("api_error", said, upstream=True)


def decode_upstream_error(status: int, body: bytes, headers: Mapping[str, str]) -> GatewayError:
    """An answer that is no 2xx. `headers` have lower-case names.

    A body that is not Anthropic's comes from something in between (a proxy, a load balancer, a wrong address): it
    becomes one sentence, and the native route does not pass it on either.
    """
    wire = _parsed(body)
    if _is_anthropic(wire) and status not in UNUSABLE_HERE:
        error = _of_anthropic(wire, body, status)
    else:
        sent = 502 if status in UNUSABLE_HERE else status
        usable = status not in UNUSABLE_HERE
        error = GatewayError(_kind(None, sent), _foreign(status, wire, body, headers), status=sent, upstream=usable)
    error.retry_after = _retry_after(headers)
    return error


def _of_anthropic(wire: Json, raw: bytes, status: int | None = None) -> GatewayError:
    told = wire["error"]
    kind = _kind(told["type"], status)
    message = told["message"]
    if kind == "authentication_error":
        message = f"Anthropic did not accept cgw's own key (ANTHROPIC_API_KEY): {message}"
    details = told.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    code = code if isinstance(code, str) else None
    return GatewayError(kind, message, status=status or 0, code=code, raw=raw, upstream=True)


def _kind(told: str | None, status: int | None) -> str:
    """One of `STATUS_OF_KIND`: a type that Anthropic added since is known by its status."""
    if told in STATUS_OF_KIND:
        return told
    if status is None:
        return "api_error"
    return KIND_OF_STATUS.get(status, "api_error" if status >= 500 else "invalid_request_error")


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _is_anthropic(wire: Any) -> bool:
    if not isinstance(wire, dict) or wire.get("type") != "error":
        return False
    error = wire.get("error")
    return isinstance(error, dict) and isinstance(error.get("type"), str) and isinstance(error.get("message"), str)


def _foreign(status: int, wire: Any, body: bytes, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        target = headers.get("location", "nowhere")
        return f"Claude's address redirects to {_excerpt(target)}: is ANTHROPIC_BASE_URL right?"
    said = _message_in(wire) or _page_title(body) or HINTS.get(status) or "no explanation"
    return f"Something between cgw and Claude answered {status}, not Claude's API: {_excerpt(said)}."


def _message_in(wire: Any) -> str | None:
    """The message of a JSON error in any of the usual shapes."""
    if not isinstance(wire, dict):
        return None
    error = wire.get("error")
    candidates = (error.get("message") if isinstance(error, dict) else error, wire.get("message"), wire.get("detail"))
    return next((text for text in candidates if isinstance(text, str) and text.strip()), None)


def _page_title(body: bytes) -> str | None:
    """The title of an HTML page, or plain text as it is; None for neither."""
    text = body[: 64 * 1024].decode("utf-8", "replace").strip()
    if title := re.search(r"<title[^>]{0,200}>(.{0,1000}?)</title>", text, re.IGNORECASE | re.DOTALL):
        return html.unescape(title[1])
    return None if text.startswith(("<", "{", "[")) else text


def _excerpt(text: str) -> str:
    """One printable line."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line.rstrip(".") if len(line) <= EXCERPT else line[:EXCERPT] + "…"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from either form of the header (RFC 9110, section 10.2.3). A date is measured against the server's own
    clock."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    try:
        until, now = (parsedate_to_datetime(text) for text in (value, headers.get("date", "")))
    except ValueError:
        return None
    # A date whose zone is "-0000" comes back without one (RFC 5322, section 3.3); HTTP's dates are all UTC.
    return max(0.0, (until.replace(tzinfo=UTC) - now.replace(tzinfo=UTC)).total_seconds())
