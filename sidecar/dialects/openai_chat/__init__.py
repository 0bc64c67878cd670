"""OpenAI's chat completions, on Claude's Messages API."""

from sidecar.dialects.openai_chat.answer import FINISH_REASONS, encode_message, merge_choices, usage
from sidecar.dialects.openai_chat.request import Decoded, decode
from sidecar.dialects.openai_chat.stream import ChatStream, end_of, error_chunk

__all__ = [
    "FINISH_REASONS",
    "ChatStream",
    "Decoded",
    "decode",
    "encode_message",
    "end_of",
    "error_chunk",
    "merge_choices",
    "usage",
]
