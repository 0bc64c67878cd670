"""Tools that the provider runs itself: OpenAI's as Claude's on the way in, Claude's citations on the way out.

| OpenAI | Claude |
| --- | --- |
| `web_search_options`, `web_search`, `web_search_preview` | web search |
| `code_interpreter` | code execution |
| the others of OpenAI's hosted tools | nothing: reported as dropped |

Shared by the dialects of OpenAI; pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.reading import array, flag, mapping, text
from sidecar.exchange import Json

WEB_SEARCH: Final[Json] = {"type": "web_search_20250305", "name": "web_search"}
"""The version that every model with web search takes. Later ones search from inside a program that Claude writes, which
some models cannot, and which leaves passages without a citation."""

CODE_EXECUTION: Final[Json] = {"type": "code_execution_20250825", "name": "code_execution"}
"""Needs no beta header (SDK: ToolUnionParam)."""

NAMES: Final = frozenset({WEB_SEARCH["name"], CODE_EXECUTION["name"]})

NOT_AT_CLAUDE: Final[dict[str, str]] = {
    "file_search": "Claude has no vector stores: put the files into the messages",
    "image_generation": "Claude makes no images",
    "mcp": "Claude's MCP connector is a beta: use it on /v1/messages, or call the server from your client",
    "computer": "Claude's computer use is another protocol: use it on /v1/messages",
    "computer_use_preview": "Claude's computer use is another protocol: use it on /v1/messages",
    "programmatic_tool_calling": "Claude calls tools one by one",
}
"""OpenAI's hosted tools that Claude has nothing for, and what to do instead."""

_PLACE: Final = ("city", "country", "region", "timezone")


def is_hosted(kind: object) -> bool:
    """Whether a tool of this `type` is one that OpenAI runs, with or without a counterpart."""
    return isinstance(kind, str) and (kind in NOT_AT_CLAUDE or _reader_of(kind) is not None)


def claude_tool(definition: Json, path: str, notes: Notes) -> Json | None:
    """Claude's tool for one of OpenAI's hosted ones; None, with a note, where Claude has none.

    Only for what `is_hosted`. Raises GatewayError (400) naming the field that cannot be understood.
    """
    kind = definition["type"]
    reader = _reader_of(kind)
    if reader is None:
        notes.add(path, "dropped", f"{kind}: {NOT_AT_CLAUDE[kind]}")
        return None
    return reader(definition, path, notes)


def claude_name(kind: object) -> str | None:
    """What Claude calls the tool of this type of OpenAI's; None where it has none."""
    reader = _reader_of(kind) if isinstance(kind, str) else None
    return None if reader is None else str((WEB_SEARCH if reader is web_search else CODE_EXECUTION)["name"])


def web_search(options: Json, path: str, notes: Notes) -> Json:
    """Claude's web search for `web_search_options` or a tool of that type: where the user is, which domains count."""
    tool = dict(WEB_SEARCH)
    for name, value in options.items():
        at = f"{path}.{name}"
        match name:
            case "type":
                pass
            case _ if value is None:
                pass
            case "user_location":
                tool |= _location(mapping(value, at), at)
            case "filters":
                tool |= _filters(mapping(value, at), at, notes)
            case "search_context_size":
                if text(value, at) != "medium":
                    notes.add(at, "dropped", "Claude decides how much it reads")
            case "external_web_access":
                if not flag(value, at):
                    notes.add(at, "dropped", "Claude has no search without the web")
            case _:
                if value not in ([], {}, ["text"]):
                    notes.add(at, "dropped", "Claude has no such setting")
    notes.add(path, "mapped", "Claude's web search; each search is billed")
    return tool


def _location(location: Json, path: str) -> Json:
    """Chat completions nest the place, the Responses API does not."""
    place = location
    if location.get("approximate") is not None:
        place, path = mapping(location["approximate"], f"{path}.approximate"), f"{path}.approximate"
    known = {name: text(place[name], f"{path}.{name}") for name in _PLACE if place.get(name)}
    return {"user_location": {"type": "approximate"} | known} if known else {}


def _filters(filters: Json, path: str, notes: Notes) -> Json:
    found: Json = {}
    for name, value in filters.items():
        if not value:
            continue
        if name not in ("allowed_domains", "blocked_domains"):
            notes.add(f"{path}.{name}", "dropped", "Claude has no such filter")
        elif found:
            notes.add(f"{path}.{name}", "dropped", "Claude takes allowed or blocked domains, not both")
        else:
            domains = array(value, f"{path}.{name}")
            found[name] = [text(domain, f"{path}.{name}[{index}]") for index, domain in enumerate(domains)]
    return found


def _code_interpreter(definition: Json, path: str, notes: Notes) -> Json:
    container = definition.get("container")
    if isinstance(container, str):
        notes.add(f"{path}.container", "dropped", "a container of OpenAI's; Claude starts one of its own")
    elif container is not None:
        for name, value in mapping(container, f"{path}.container").items():
            if name != "type" and value:
                notes.add(f"{path}.container.{name}", "dropped", "Claude's containers have no such setting")
    notes.add(path, "mapped", "Claude's code execution")
    return dict(CODE_EXECUTION)


_Reader = Callable[[Json, str, Notes], Json]

_READERS: Final[dict[str, _Reader]] = {"web_search": web_search, "code_interpreter": _code_interpreter}

_VERSIONED = re.compile(r"(?P<name>[a-z_]+?)(_preview)?(_\d{4}_\d{2}_\d{2})?")
"""OpenAI's types may say `_preview` and a date. Claude's own end in a date without dashes: not for this table."""


def _reader_of(kind: str) -> _Reader | None:
    versioned = _VERSIONED.fullmatch(kind)
    return _READERS.get(versioned["name"]) if versioned else None


class Citation(NamedTuple):
    """A passage of the answer that rests on a page. Positions are in characters of the whole text, the end excluded."""

    start: int
    end: int
    url: str
    title: str


def citations_in(blocks: Iterable[Json]) -> list[Citation]:
    """What the text blocks of an answer cite, once a page and passage, in the order of the text."""
    found: list[Citation] = []
    position = 0
    for block in blocks:
        if block.get("type") == "text":
            end = position + len(block["text"])
            found += cited(block.get("citations"), position, end)
            position = end
    return found


def cited(citations: Any, start: int, end: int) -> list[Citation]:
    """The pages that one text block cites, which stands at `start` to `end` of the text."""
    pages = {
        citation["url"]: Citation(start, end, citation["url"], citation.get("title") or citation["url"])
        for citation in citations or ()
        if citation.get("type") == "web_search_result_location" and citation.get("url")
    }
    return list(pages.values())
