"""What no gateway of this kind can go below: a bare server that answers by itself, and a bare proxy that passes bytes.

    python floors.py hello|proxy CLAUDE

uvicorn, starlette and (for the proxy) aiohttp, as cgw has them; nothing is parsed, translated, kept or logged.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator

import aiohttp
import orjson
import uvicorn
from claude import MARK, MARK_BYTES, TEXT
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route


async def hello(request: Request) -> Response:
    body = await request.body()
    at = body.rfind(MARK)
    text = (body[at : at + MARK_BYTES] + TEXT).decode()
    return Response(orjson.dumps({"content": [{"text": text}], "choices": [{"message": {"content": text}}]}))


class Proxy:
    def __init__(self, claude: str) -> None:
        self._claude = claude
        self._http: aiohttp.ClientSession | None = None

    async def answer(self, request: Request) -> Response:
        if self._http is None:
            self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        answer = await self._http.post(f"{self._claude}/v1/messages", data=await request.body())
        if answer.content_type != "text/event-stream":
            async with answer:
                return Response(await answer.read(), media_type="application/json")

        async def events() -> AsyncIterator[bytes]:
            async with answer:
                async for piece in answer.content.iter_any():
                    yield piece

        return StreamingResponse(events(), media_type="text/event-stream")


def main() -> None:
    endpoint = hello if sys.argv[1] == "hello" else Proxy(sys.argv[2]).answer
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{sock.getsockname()[1]}", flush=True)
    routes = [Route(path, endpoint, methods=["POST"]) for path in ("/v1/messages", "/v1/chat/completions")]
    config = uvicorn.Config(Starlette(routes=routes), log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
