"""Run in a network of its own (`unshare --map-root-user --net`): Claude's machine vanishes in mid-answer, and so does a
client's. Prints what became of them.
"""

import asyncio
import socket
import subprocess

from sidecar import lost_peers
from sidecar.commands import sockets
from sidecar.errors import GatewayError
from sidecar.upstream import Upstream

BEGUN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\n\r\n"


def network(state: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


async def from_claude(begun: asyncio.Event) -> None:
    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(BEGUN)
        await writer.drain()

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with Upstream(base_url=address, api_key="sk-ant-none", timeout_seconds=600) as upstream:
        try:
            async with upstream.send("POST", "/v1/messages", b"{}", {}) as answer:
                async for _ in answer.chunks():
                    begun.set()
        except GatewayError as error:
            print("upstream:", error.status, error.code)  # noqa: T201  # what the test reads


async def to_client(begun: asyncio.Event) -> None:
    left: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.set()
        try:
            while True:
                writer.write(b": ping\n\n")
                await writer.drain()
                await asyncio.sleep(0.1)
        except OSError as error:
            left.set_result(type(error).__name__)

    with sockets.listening_socket("127.0.0.1", 0) as listening:
        await asyncio.start_server(answer, sock=listening)
        with socket.create_connection(listening.getsockname()):
            print("client:", await left)  # noqa: T201


async def main() -> None:
    begun = asyncio.Event(), asyncio.Event()
    both = asyncio.gather(from_claude(begun[0]), to_client(begun[1]))
    for event in begun:
        await event.wait()
    network("down")
    await both


network("up")
lost_peers.IDLE_SECONDS = lost_peers.AGAIN_SECONDS = lost_peers.TIMES = 1  # type: ignore[misc]
lost_peers.UPSTREAM_SECONDS = sockets.CLIENT_SECONDS = 1  # type: ignore[misc, attr-defined]
asyncio.run(main())
