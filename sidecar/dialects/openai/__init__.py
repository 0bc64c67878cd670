"""What OpenAI's dialects have in common: parts, tools, schemas, turns, errors, the model list."""

from sidecar.dialects.openai.errors import encode_error
from sidecar.dialects.openai.models import encode_model, encode_models

__all__ = ["encode_error", "encode_model", "encode_models"]
