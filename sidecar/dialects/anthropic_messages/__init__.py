"""Anthropic's own wire format. Its requests and answers need no translation; errors, replays and model lists do."""

from sidecar.dialects.anthropic_messages.deltas import (
    TEXT_FIELD,
    delta_size,
    deltas_size,
    plain_deltas,
    plain_events,
    plain_texts,
)
from sidecar.dialects.anthropic_messages.errors import (
    decode_upstream_error,
    encode_error,
    error_event,
    error_in,
)
from sidecar.dialects.anthropic_messages.models import encode_model, encode_models
from sidecar.dialects.anthropic_messages.replay import stream_of

__all__ = [
    "TEXT_FIELD",
    "decode_upstream_error",
    "delta_size",
    "deltas_size",
    "encode_error",
    "encode_model",
    "encode_models",
    "error_event",
    "error_in",
    "plain_deltas",
    "plain_events",
    "plain_texts",
    "stream_of",
]
