"""Tools that Claude runs itself, without a web and without a machine: canned pages, canned output.

A request that offers web search or code execution is answered as if it had been used where the newest user text asks
for it like any other call (`call web_search {"query": "..."}`). What the API also does, and this does not: read the
prompt again with the results in it, which the bill would show as input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

RESULTS = re.compile(r".+_tool_result")
SEARCH_PRICE = Decimal(10_000)
"""Micro-dollars for one web search: $10 for a thousand."""

_DATED = re.compile(r"(?P<name>[a-z_]+)_20\d{6}")


def is_server_tool(tool: Mapping[str, Any]) -> bool:
    """Whether Claude runs this tool of a request itself."""
    dated = _DATED.fullmatch(str(tool.get("type")))
    return dated is not None and dated["name"] in _RUNS


def blocks_of(number: int, name: str, arguments: Mapping[str, Any], seed: str) -> Iterator[dict[str, Any]]:
    """One use of the tool `name`: the call, its result, and what Claude says of it."""
    call_id = f"srvtoolu_{seed.partition('_')[2]}{number}"
    yield from _RUNS[name](call_id, arguments)


def searches_in(blocks: Iterable[Mapping[str, Any]]) -> int:
    return sum(block["type"] == "server_tool_use" and block["name"] == "web_search" for block in blocks)


def usage_of(blocks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`server_tool_use` of an answer's usage; nothing where no such tool was used."""
    blocks = list(blocks)
    if not any(block["type"] == "server_tool_use" for block in blocks):
        return {}
    return {"server_tool_use": {"web_search_requests": searches_in(blocks), "web_fetch_requests": 0}}


def _search(call_id: str, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    query = str(arguments.get("query", ""))
    yield {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {"query": query}}
    pages = [
        {
            "type": "web_search_result",
            "url": f"https://example.com/{number}",
            "title": f"Page {number}",
            "encrypted_content": f"simulated-content-{number}",
            "page_age": None,
        }
        for number in (1, 2)
    ]
    yield {"type": "web_search_tool_result", "tool_use_id": call_id, "content": pages}
    yield {"type": "text", "text": "I looked it up. "}
    cited = {
        "type": "web_search_result_location",
        "url": "https://example.com/1",
        "title": "Page 1",
        "encrypted_index": "simulated-index",
        "cited_text": f"All about {query}.",
    }
    yield {"type": "text", "text": f"A page says all about {query}.", "citations": [cited]}


def _run(call_id: str, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    command = str(arguments.get("command", ""))
    yield {"type": "server_tool_use", "id": call_id, "name": "bash_code_execution", "input": {"command": command}}
    result = {
        "type": "bash_code_execution_result",
        "stdout": "simulated output\n",
        "stderr": "",
        "return_code": 0,
        "content": [],
    }
    yield {"type": "bash_code_execution_tool_result", "tool_use_id": call_id, "content": result}
    yield {"type": "text", "text": f"I ran `{command}`."}


_RUNS = {"web_search": _search, "code_execution": _run}
