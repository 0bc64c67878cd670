"""OpenAI's chat completions, on Claude's Messages API."""

from sidecar.dialects.openai_chat.request import Decoded, decode

__all__ = ["Decoded", "decode"]
