"""A request body from a file, and what routing would make of it, without a conversation before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sidecar.clients import recognise
from sidecar.conversation import positions_of
from sidecar.dialects import openai_chat, openai_completions, openai_responses
from sidecar.errors import invalid_request
from sidecar.exchange import Exchange, Json
from sidecar.models.catalogue import Catalogue
from sidecar.projects.policy import FREE, Policy
from sidecar.prompt import Prompt
from sidecar.routing.choices import Choices
from sidecar.routing.decide import Route, Situation, decide
from sidecar.routing.rules import Table
from sidecar.routing.subject import Subject, subject_of

Dialect = Literal["chat", "messages", "responses", "completions"]

OPENAI_ROLES: Final = frozenset({"system", "developer", "tool", "function"})
OPENAI_FIELDS: Final = frozenset(
    {"max_completion_tokens", "stream_options", "response_format", "reasoning_effort", "n", "functions", "stop"}
)


@dataclass(frozen=True, slots=True)
class Explanation:
    exchange: Exchange
    subject: Subject
    situation: Situation
    route: Route


def explain(
    body: Json,
    *,
    table: Table,
    catalogue: Catalogue,
    choices: Choices,
    headers: Mapping[str, str] | None = None,
    client: str | None = None,
    policy: Policy = FREE,
    model: str | None = None,
) -> Explanation:
    """`body` is a request in any dialect; `model` stands in its place of the one that it names, where that is none that
    routing acts on. Raises GatewayError for what is no request."""
    told = {name.lower(): value for name, value in (headers or {}).items()}
    inner = _inner(body)
    resolution = catalogue.resolve(model or str(body.get("model") or "auto"))
    exchange = Exchange(
        id="explained",
        dialect="anthropic_messages",
        client_headers=told,
        query="",
        client_body=b"",
        request=inner,
        stream=False,
        model_asked=str(body.get("model") or "auto"),
        model=resolution.card.id,
        model_resolved=resolution.card.id,
        wish=resolution.wish,
        policy=policy,
        client=client or recognise(told, inner),
    )
    positions = positions_of(inner)
    if not positions:
        raise invalid_request("This is no request: it has no `messages` with content.", param="messages")
    exchange.prompt = prompt = Prompt(exchange.project, positions)
    subject = subject_of(inner, prompt, exchange.client)
    situation = choices.situation(exchange, prompt, None)
    return Explanation(exchange, subject, situation, decide(subject, situation, table))


def _inner(body: Json) -> Json:
    named = {"model": "auto", **body}
    match dialect_of(body):
        case "messages":
            return body
        case "responses":
            return openai_responses.decode(named).request
        case "completions":
            return openai_completions.decode(named).requests[0]
        case "chat":
            return openai_chat.decode(named).request


def dialect_of(body: Json) -> Dialect:
    """Told from what only one of them has; where nothing tells chat from messages, they are the same."""
    if not body.get("messages") and "input" in body:
        return "responses"
    if not body.get("messages") and "prompt" in body:
        return "completions"
    if "system" in body or ("metadata" in body and "max_tokens" in body):
        return "messages"
    tools, messages = body.get("tools"), body.get("messages")
    if isinstance(tools, list) and any(isinstance(tool, dict) and "input_schema" in tool for tool in tools):
        return "messages"
    if OPENAI_FIELDS & body.keys() or (isinstance(tools, list) and tools):
        return "chat"
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and (message.get("role") in OPENAI_ROLES or message.get("tool_calls")):
            return "chat"
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list) and any(
            isinstance(part, dict) and part.get("type") in ("tool_use", "tool_result", "image") for part in content
        ):
            return "messages"
    return "chat"
