"""What a client may ask for and cgw does not serve, and what to use instead."""

from __future__ import annotations

from typing import Final

SERVED: Final = "/v1/chat/completions, /v1/responses, /v1/completions, /v1/messages and /v1/models"

STATEFUL: Final = "Send the whole conversation to /v1/chat/completions or /v1/responses instead."
NO_FILES: Final = "Put the file into the message: `file_data` in a part of type `file`, or a data: URL of an image."

INSTEAD: Final[dict[str, str]] = {
    "embeddings": (
        "Claude makes no embeddings. Point your client's embeddings at another provider (Anthropic recommends Voyage "
        "AI) or at a local model, and only its chat at cgw."
    ),
    "audio": "Claude neither hears nor speaks. Transcribe and speak with another provider, and send the text.",
    "images": "Claude makes no images. It reads them: send them to /v1/chat/completions.",
    "videos": "Claude makes no videos.",
    "moderations": "Claude has no moderation endpoint. Ask it to judge a text by /v1/chat/completions.",
    "files": NO_FILES,
    "uploads": NO_FILES,
    "vector_stores": "Claude has no vector stores. Search on your side, and put what you found into the messages.",
    "batches": "OpenAI's batches need its files. Use Anthropic's instead: /v1/messages/batches, at half the price.",
    "assistants": STATEFUL,
    "threads": STATEFUL,
    "conversations": STATEFUL,
    "chatkit": STATEFUL,
    "realtime": "Claude has no realtime sessions. Stream from /v1/chat/completions or /v1/messages.",
    "fine_tuning": "Claude cannot be fine-tuned here. Put examples into the system prompt; caching makes them cheap.",
    "evals": "There are no evals. Ask by /v1/chat/completions and judge on your side.",
    "containers": "Containers cannot be managed. `code_interpreter` among the tools runs in one of Claude's own.",
    "complete": "Anthropic's text completions are gone. Use /v1/messages, or OpenAI's form at /v1/completions.",
    "rerank": "Claude does not rank documents. Ask it by /v1/chat/completions, or use another provider.",
}
"""A word of the path -> what to do instead."""


def not_served(path: str) -> str:
    """One or two sentences for whoever asked for `path`."""
    words = path.split("/")[3 if path.startswith("/p/") else 1 :]  # a project may be called `files`
    instead = next((INSTEAD[word] for word in words if word in INSTEAD), f"It serves {SERVED}.")
    return f"cgw does not serve {path}. {instead}"
