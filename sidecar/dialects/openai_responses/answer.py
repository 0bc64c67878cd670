"""The response object: what stands around the items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.dialects.openai.errors import encode_error
from sidecar.errors import GatewayError
from sidecar.exchange import Json, Usage

STATUSES: Final[dict[str, tuple[str, str | None]]] = {
    "end_turn": ("completed", None),
    "stop_sequence": ("completed", None),
    "tool_use": ("completed", None),
    "max_tokens": ("incomplete", "max_output_tokens"),
    "model_context_window_exceeded": ("incomplete", "max_output_tokens"),
    # The turn is not over: "completed" would pass half an answer off as the whole.
    "pause_turn": ("incomplete", "max_output_tokens"),
    "compaction": ("incomplete", "max_output_tokens"),
    "refusal": ("incomplete", "content_filter"),
}
"""Why Claude stopped -> the `status` of a response and its `incomplete_details.reason`. A reason newer than the table
reads as a plain end."""

CODES: Final = {
    "rate_limit_exceeded": "rate_limit_exceeded",
    "context_length_exceeded": "context_length_exceeded",
    "insufficient_quota": "insufficient_quota",
}
"""Codes of errors that clients act on inside a response too; all others are a `server_error`."""

TIERS: Final = {"standard": "default", "priority": "priority", "batch": "default"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """All that is known of a response before its answer."""

    key: str
    created: int
    """Unix seconds."""
    model: str
    echo: Json
    """As in `Decoded`."""

    @property
    def id(self) -> str:
        return f"resp_{self.key}"

    def response(self, status: str, output: Sequence[Json] = (), **more: Any) -> Json:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "status": status,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": list(output),
            **self.echo,
            **more,
        }

    def failed(self, error: GatewayError, output: Sequence[Json] = ()) -> Json:
        told = encode_error(error)[1]["error"]
        code = CODES.get(told["code"] or "", "server_error")
        return self.response("failed", output, error={"code": code, "message": told["message"]})


def usage(counted: Usage) -> Json:
    """OpenAI's counters, whose input includes what the cache gave and took."""
    return {
        "input_tokens": counted.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": counted.cache_read_tokens,
            "cache_write_tokens": counted.cache_write_tokens,
        },
        "output_tokens": counted.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counted.thinking_tokens},
        "total_tokens": counted.prompt_tokens + counted.output_tokens,
    }
