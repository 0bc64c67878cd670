"""Errors in OpenAI's shape with Anthropic's meaning."""

from __future__ import annotations

import re

from sidecar.errors import GatewayError
from sidecar.exchange import Json

STATUS = {529: 503}
"""Statuses that OpenAI's clients do not know."""

TYPE_AND_CODE: dict[str, tuple[str, str | None]] = {
    "invalid_request_error": ("invalid_request_error", None),
    "authentication_error": ("authentication_error", "invalid_api_key"),
    "billing_error": ("insufficient_quota", "insufficient_quota"),
    "permission_error": ("permission_error", "permission_denied"),
    "not_found_error": ("not_found_error", None),
    "request_too_large": ("invalid_request_error", "request_too_large"),
    "rate_limit_error": ("rate_limit_error", "rate_limit_exceeded"),
    "api_error": ("server_error", None),
    "timeout_error": ("timeout_error", "timeout"),
    "overloaded_error": ("overloaded_error", "overloaded"),
}
"""Anthropic's error type -> OpenAI's `type` and, where clients look for one, `code`."""

CODE_OF_MESSAGE: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "invalid_request_error",
        re.compile(
            r"prompt is too long|exceeds? (the )?(model's )?(maximum )?context (limit|window|length)", re.IGNORECASE
        ),
        "context_length_exceeded",
    ),
    ("invalid_request_error", re.compile(r"credit balance is too low", re.IGNORECASE), "insufficient_quota"),
    ("not_found_error", re.compile(r"\bmodel\b", re.IGNORECASE), "model_not_found"),
)
"""What Anthropic says in words only and editors act on by code: compact the history, ask for another model."""


def encode_error(error: GatewayError) -> tuple[int, Json]:
    """Status and body. `retry_after` is the listener's to send: it is a header."""
    kind, usual_code = TYPE_AND_CODE.get(error.kind, TYPE_AND_CODE["api_error"])
    code = error.code or _code_of_message(error) or usual_code
    body = {"message": error.message, "type": kind, "param": error.param, "code": code}
    return STATUS.get(error.status, error.status), {"error": body}


def refusal_text(stop_details: Json | None) -> str:
    """What `refusal` says when Claude declines."""
    details = stop_details or {}
    if explanation := details.get("explanation"):
        return str(explanation)
    category = details.get("category")
    return f"Claude declined to answer this request{f' ({category})' if category else ''}."


def _code_of_message(error: GatewayError) -> str | None:
    return next(
        (code for kind, words, code in CODE_OF_MESSAGE if kind == error.kind and words.search(error.message)), None
    )
