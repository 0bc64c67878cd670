"""OpenAI's completions of 2020, which editors still use for autocomplete, on Claude's Messages API."""

from sidecar.dialects.openai_completions.answer import CHAT, TEXT, CompletionStream, Shape, encode_message, end_of
from sidecar.dialects.openai_completions.request import Decoded, decode

__all__ = ["CHAT", "TEXT", "CompletionStream", "Decoded", "Shape", "decode", "encode_message", "end_of"]
