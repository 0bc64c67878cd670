"""A request while it is being fitted."""

from __future__ import annotations

from typing import Any

from sidecar.errors import invalid_request
from sidecar.exchange import Json, Note, NoteAction
from sidecar.models.catalogue import ModelCard

SHAPE: dict[str, tuple[type, str]] = {
    "messages": (list, "a list"),
    "tools": (list, "a list"),
    "thinking": (dict, "an object"),
    "output_config": (dict, "an object"),
    "tool_choice": (dict, "an object"),
    "max_tokens": (int, "a whole number"),
}
"""What the rules rely on. Everything else is the API's to judge."""

WORDS = (("thinking", "type"), ("output_config", "effort"), ("tool_choice", "type"))
"""Fields within those that hold a word."""

CONTENT = (str, list)


class Draft:
    """Reads like the request it was made from, and is copied when first written to."""

    def __init__(self, request: Json, card: ModelCard) -> None:
        self.request = request
        self.card = card
        self.notes: list[Note] = []
        self._original = request

    def get(self, field: str) -> Any:
        return self.request.get(field)

    def __setitem__(self, field: str, value: Any) -> None:
        if field in self.request and self.request[field] == value:
            return
        self._writable()[field] = value

    def drop(self, field: str) -> None:
        if field in self.request:
            del self._writable()[field]

    def note(self, field: str, action: NoteAction, detail: str) -> None:
        self.notes.append(Note(field, action, detail))

    @property
    def thinking(self) -> str | None:
        """The `type` of the thinking asked for."""
        return (self.get("thinking") or {}).get("type")

    def output(self, field: str) -> Any:
        return (self.get("output_config") or {}).get(field)

    def set_output(self, field: str, value: Any) -> None:
        """Set a field of `output_config`, or take it away with None; an empty `output_config` goes too."""
        config = {**(self.get("output_config") or {}), field: value}
        if value is None:
            del config[field]
        if config:
            self["output_config"] = config
        else:
            self.drop("output_config")

    def instruct(self, text: str) -> None:
        """Add a sentence for the model at the very end of the conversation, where nothing cached stands behind it."""
        messages = self.get("messages")
        block = {"type": "text", "text": text}
        if messages and messages[-1]["role"] != "assistant":
            last = messages[-1]
            self["messages"] = [*messages[:-1], {**last, "content": [*blocks_of(last), block]}]
        else:
            self["messages"] = [*messages, {"role": "user", "content": [block]}]

    def _writable(self) -> Json:
        if self.request is self._original:
            self.request = dict(self._original)
        return self.request


def blocks_of(message: Json) -> list[Json]:
    """The content as blocks; a string is Anthropic's short form of one text block. Raises GatewayError (400)."""
    content: str | list[Json] = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not all(isinstance(block, dict) for block in content):
        raise invalid_request("messages: every content block must be an object.", param="messages")
    return content


def check_shape(request: Json) -> None:
    """Raises GatewayError (400) for what no rule could read."""
    if request.get("messages") is None:
        raise invalid_request("messages: Field required", param="messages")
    for field, (kind, called) in SHAPE.items():
        if request.get(field) is not None and not isinstance(request[field], kind):
            raise invalid_request(f"{field}: must be {called}.", param=field)
    for field, inner in WORDS:
        word = (request.get(field) or {}).get(inner)
        if word is not None and not isinstance(word, str):
            raise invalid_request(f"{field}.{inner}: must be a string.", param=f"{field}.{inner}")
    for index, message in enumerate(request["messages"]):
        # Long conversations come through here whole on every turn.
        if (
            type(message) is not dict
            or type(message.get("role")) is not str
            or type(message.get("content")) not in CONTENT
        ):
            raise invalid_request(
                f"messages.{index}: must be an object with a role and content, a string or a list of blocks.",
                param=f"messages.{index}",
            )
    for index, tool in enumerate(request.get("tools") or ()):
        if not isinstance(tool, dict):
            raise invalid_request(f"tools.{index}: must be an object.", param=f"tools.{index}")
