"""What went wrong, in Anthropic's terms; each dialect puts it into its own wire shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

STATUS_OF_KIND = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Anthropic's error types and the status each comes with (docs: API errors)."""

CLIENT_LEFT = 499
"""The status of a request whose client did not wait for the answer: no error of anybody's."""

KIND_OF_STATUS = {status: kind for kind, status in STATUS_OF_KIND.items()} | {
    408: "timeout_error",
    502: "api_error",
    503: "overloaded_error",
}


@dataclass(eq=False)
class GatewayError(Exception):
    """A request that ends without an answer from Claude.

    `kind` is one of `STATUS_OF_KIND`; `status` is the HTTP status as Anthropic means it (529 for overload: a dialect
    whose clients do not know a status maps it). `retry_after` is in seconds. `param` and `code` are OpenAI's fields
    of the same name.
    """

    kind: str
    message: str
    status: int = 0
    param: str | None = None
    code: str | None = None
    retry_after: float | None = None
    raw: bytes | None = None
    """The upstream's own error body, where there is one: the native route hands it on unchanged."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those of the upstream's answer, lower-case names, where there is one."""
    upstream: bool = False
    """Whether it is Claude's, or of the way to it; all others are the gateway's own."""

    def __post_init__(self) -> None:
        super().__init__(self.message)
        self.status = self.status or STATUS_OF_KIND.get(self.kind, 500)


def invalid_request(message: str, *, param: str | None = None, code: str | None = None) -> GatewayError:
    """A 400 that names the field at fault."""
    return GatewayError("invalid_request_error", message, param=param, code=code)
