"""How the items of a response look."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.dialects.openai.server_tools import CODE_EXECUTION, WEB_SEARCH, Citation
from sidecar.dialects.openai.tool_calls import custom_input
from sidecar.dialects.openai_responses.client_tools import ClientTool, holder_of
from sidecar.dialects.openai_responses.reasoning import is_signed, sealed
from sidecar.exchange import Json
from sidecar.fold import parse_input

PREFIXES: Final = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "web_search_call": "ws",
    "code_interpreter_call": "ci",
    "local_shell_call": "lsh",
    "shell_call": "sh",
    "apply_patch_call": "apc",
}
"""How the ids of each kind of item begin, as OpenAI's do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemForms:
    """What a request said about the form of the items that answer it."""

    key: str
    """What the ids of the response and of its items have in common."""
    tool_names: Mapping[str, str] = field(default_factory=dict)
    custom_tools: Collection[str] = ()
    namespaces: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    client_tools: Mapping[str, ClientTool] = field(default_factory=dict)
    encrypted: bool = False
    """As in `Decoded`."""

    def item_id(self, kind: str, index: int) -> str:
        """Of the item of this kind at this place. `stored.response_of` finds the response by it."""
        return f"{PREFIXES[kind]}_{self.key}{index:04x}"

    def call_kind(self, block: Json) -> str:
        """The type of the item for a `tool_use`."""
        name = block["name"]
        if (tool := self.client_tools.get(name)) is not None:
            return tool.item
        return "custom_tool_call" if name in self.custom_tools else "function_call"

    def call(self, block: Json, index: int, arguments: str, status: str) -> Json:
        """The item for a `tool_use`; `arguments` is its input as JSON text."""
        kind, sent = self.call_kind(block), block["name"]
        item: Json = {"id": self.item_id(kind, index), "type": kind, "status": status, "call_id": block["id"]}
        if (tool := self.client_tools.get(sent)) is not None:
            return item | {tool.holder: holder_of(tool, parse_input(arguments) if arguments else {})}
        namespace, name = self.namespaces.get(sent, ("", self.tool_names.get(sent, sent)))
        item["name"] = name
        if namespace:
            item["namespace"] = namespace
        if kind == "custom_tool_call":
            return item | {"input": custom_input(arguments) if arguments else ""}
        return item | {"arguments": arguments}

    def reasoning(self, block: Json, index: int, status: str) -> Json:
        """The item for a block of thinking."""
        texts = [block["thinking"]] if block.get("thinking") else []
        item: Json = {
            "id": self.item_id("reasoning", index),
            "type": "reasoning",
            "status": status,
            "summary": [{"type": "summary_text", "text": text} for text in texts],
        }
        if self.encrypted and is_signed(block):
            item["encrypted_content"] = sealed([block])
        return item

    def message(self, parts: list[Json], index: int, status: str) -> Json:
        return {
            "id": self.item_id("message", index),
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": parts,
        }

    def web_search(self, block: Json, index: int, results: Any, status: str) -> Json:
        """The item for a search that ran at Claude's; `results` is what came of it."""
        query = str((block.get("input") or {}).get("query") or "")
        pages = [page for page in results if isinstance(page, dict) and page.get("url")] if _is_row(results) else []
        action: Json = {"type": "search", "query": query, "queries": [query]}
        if pages:
            action["sources"] = [{"type": "url", "url": page["url"]} for page in pages]
        # One that was cut has no word of its own.
        failed = status == "incomplete" or (results is not None and not _is_row(results))
        return {
            "id": self.item_id("web_search_call", index),
            "type": "web_search_call",
            "status": "failed" if failed else status,
            "action": action,
        }

    def code(self, block: Json, index: int, result: Any, status: str) -> Json:
        """The item for a program that ran at Claude's."""
        given = block.get("input") or {}
        told = result if isinstance(result, dict) else {}
        logs = "".join(str(told.get(name) or "") for name in ("stdout", "stderr"))
        failed = str(told.get("type", "")).endswith("_error")
        return {
            "id": self.item_id("code_interpreter_call", index),
            "type": "code_interpreter_call",
            "status": "failed" if failed else status,
            "code": next((given[name] for name in ("code", "command") if isinstance(given.get(name), str)), None),
            "container_id": "",
            "outputs": [{"type": "logs", "logs": logs}] if logs else [],
        }


HOSTED: Final = {WEB_SEARCH["name"]: "web_search_call", CODE_EXECUTION["name"]: "code_interpreter_call"}
"""Names of Claude's server tools -> the item of a call. Programs are run under several names."""


def hosted_kind(block: Json) -> str:
    """The type of the item for a `server_tool_use`."""
    return HOSTED.get(block["name"], "code_interpreter_call")


def text_part(text: str, citations: Iterable[Citation] = ()) -> Json:
    return {
        "type": "output_text",
        "text": text,
        "annotations": [url_citation(citation) for citation in citations],
        "logprobs": [],
    }


def url_citation(citation: Citation) -> Json:
    return {
        "type": "url_citation",
        "start_index": citation.start,
        "end_index": citation.end,
        "url": citation.url,
        "title": citation.title,
    }


def _is_row(results: object) -> bool:
    return isinstance(results, list)
