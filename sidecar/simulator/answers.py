"""What Claude is told to answer: scripted content, endings, failures and pacing.

An `Answer` is a list of parts plus how it ends and how it is delivered; a `Failure` is an HTTP error instead of an
answer; `Raw` is bytes that no Claude would send. All are plain values, so that one can be used for many requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"
]

ERRORS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request was refused by the script."),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "The requested resource could not be found."),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}
"""Anthropic's error type and usual sentence of each status."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text block."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """A signed thinking block. `tokens` is what it cost; None counts the text.

    The text is sent as written, unless the request asks for `display: "omitted"`: then only the signature is.
    """

    text: str = ""
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RedactedThinking:
    """A thinking block that only the model can read."""

    tokens: int = 50


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A `tool_use` block. Without an id it gets a fresh one."""

    name: str
    input: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


Part = Text | Thinking | RedactedThinking | ToolCall | Mapping[str, Any]
"""A mapping is sent as the block it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted answer. Times are real seconds, events are counted from `message_start`, pings included.

    `max_tokens` and `stop_sequences` of the request cut a scripted answer like any other, unless `stop_reason` is set.
    """

    content: str | Part | Sequence[Part] = ()
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None
    stop_details: Mapping[str, Any] | None = None
    output_tokens: int | None = None
    """What the answer costs; None counts its blocks."""
    delta_chars: int = 16
    """Characters of text, thinking or tool input in one delta."""
    first_byte_after: float = 0.0
    """Before the response head."""
    head_early: bool = False
    """Send the response head at once and wait `first_byte_after` behind it."""
    delta_every: float = 0.0
    """Before every delta."""
    silent_after: int | None = None
    """Events after which nothing comes for `silence` seconds."""
    silence: float = 3600.0
    ping_every: float | None = None
    """Pings during the silence, as Anthropic sends them; None sends none."""
    cut_after: int | None = None
    """Events (or, without streaming, bytes of the body) after which the connection breaks."""
    error_after: int | None = None
    """Events after which an `error` event ends the stream; 0 comes before `message_start`."""
    error_status: int = 529
    chunk_sizes: Sequence[int] = ()
    """Bytes of each piece of the body written to the socket, over and over; empty writes one event a piece."""

    @property
    def parts(self) -> tuple[Part, ...]:
        if isinstance(self.content, str):
            return (Text(self.content),)
        if isinstance(self.content, Text | Thinking | RedactedThinking | ToolCall | Mapping):
            return (self.content,)
        return tuple(self.content)


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP error in Anthropic's shape. `retry_after` in seconds becomes the header."""

    status: int = 529
    message: str | None = None
    retry_after: float | None = None
    kind: str | None = None
    after: float = 0.0
    """Real seconds before it is sent."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Raw:
    """What a broken server sends, or something in between: bytes as they are, and nothing is billed for them."""

    body: bytes | None = b""
    """None sends not even a head."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "text/event-stream"})
    ending: Literal["whole", "cut", "reset"] = "whole"
    """`cut` closes the connection before the response's end, `reset` tears it down (TCP RST)."""
    chunk_sizes: Sequence[int] = ()
    """As in `Answer`."""


Step = Answer | Failure | Raw


def refusal(category: str | None = "cyber", explanation: str = "This request was declined.") -> Answer:
    """An answer that the classifiers stopped."""
    details = {"type": "refusal", "category": category, "explanation": explanation}
    return Answer((), stop_reason="refusal", stop_details=details)


def step_from_json(step: Mapping[str, Any]) -> Step:
    """A step as it comes over HTTP: `{"failure": {...}}` or `{"answer": {...}}`; content is text or Anthropic's blocks.

    A `thinking` block without a signature is signed on sending. Raises ValueError on an unknown name.
    """
    if "failure" in step:
        return Failure(**_known(Failure, step["failure"]))
    if "answer" not in step:
        raise ValueError("a step is {'answer': {...}} or {'failure': {...}}")
    options = _known(Answer, step["answer"])
    if isinstance(options.get("content"), list):
        options["content"] = tuple(map(_part_from_json, options["content"]))
    return Answer(**options)


def _known(kind: type[Answer] | type[Failure], options: Mapping[str, Any]) -> dict[str, Any]:
    unknown = options.keys() - {spec.name for spec in fields(kind)}
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return dict(options)


def _part_from_json(block: Mapping[str, Any]) -> Part:
    match block:
        case {"type": "thinking", "thinking": str(text)} if "signature" not in block:
            return Thinking(text, block.get("tokens"))
        case {"type": "redacted_thinking"} if "data" not in block:
            return RedactedThinking(block.get("tokens", 50))
        case {"type": "tool_use", "name": str(name)}:
            return ToolCall(name, block.get("input", {}), block.get("id"))
        case _:
            return block
