"""OpenAI's Responses API, on Claude's Messages API."""

from sidecar.dialects.openai_responses.answer import STATUSES, Envelope
from sidecar.dialects.openai_responses.output import ItemForms
from sidecar.dialects.openai_responses.request import Decoded, decode, previous_response_id
from sidecar.dialects.openai_responses.stored import (
    Stored,
    history_of,
    input_items,
    references_in,
    resolved,
    response_of,
)
from sidecar.dialects.openai_responses.stream import ResponseStream, encode_response

__all__ = [
    "STATUSES",
    "Decoded",
    "Envelope",
    "ItemForms",
    "ResponseStream",
    "Stored",
    "decode",
    "encode_response",
    "history_of",
    "input_items",
    "previous_response_id",
    "references_in",
    "resolved",
    "response_of",
]
