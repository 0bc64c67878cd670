"""An exchange as it might come, for tests of whoever looks at one."""

from __future__ import annotations

from typing import Any

from sidecar.exchange import Exchange

SONNET = "claude-sonnet-5-5"


def an_exchange(**fields: Any) -> Exchange:
    """A streamed chat request for `sonnet`, resolved; `fields` say what is different."""
    usual: dict[str, Any] = {
        "id": "req_1",
        "dialect": "openai_chat",
        "client_headers": {},
        "query": "",
        "client_body": b"{}",
        "request": {"model": SONNET},
        "stream": True,
        "model_asked": "sonnet",
        "model": SONNET,
    }
    return Exchange(**usual | fields)
