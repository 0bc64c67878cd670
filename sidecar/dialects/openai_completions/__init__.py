"""OpenAI's completions of 2020, which editors still use for autocomplete, on Claude's Messages API."""

from sidecar.dialects.openai_completions.answer import CompletionStream, encode_message, end_of
from sidecar.dialects.openai_completions.request import Decoded, decode

__all__ = ["CompletionStream", "Decoded", "decode", "encode_message", "end_of"]
