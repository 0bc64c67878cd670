"""A Claude that costs next to nothing: answers are bytes made beforehand, parsing is a search for two marks.

    python claude.py

Prints its address. What it answers is told by the request: `max_tokens` says how many deltas a stream has, `ask-` and
eight digits come back in the answer, and "at a pace" leaves 10 ms between two deltas, each with the moment it was sent
(CLOCK_MONOTONIC, nanoseconds), so that whoever reads it can tell how long it was on its way.
"""

from __future__ import annotations

import asyncio
import re
import time
from itertools import count

import uvloop

PACE_SECONDS = 0.01
MARK = b"ask-"
MARK_BYTES = 12
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_DELTAS = re.compile(rb'"max_tokens": ?(\d+)')
_STREAM = re.compile(rb'"stream": ?true')

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\nrequest-id: req_fake\r\n%b\r\n\r\n"
JSON_HEAD = b"application/json"
STREAM_HEAD = HEAD % (b"text/event-stream", b"transfer-encoding: chunked")
USAGE = (
    b'{"input_tokens":10,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"cache_creation":'
    b'{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":0},"output_tokens":%d}'
)
MESSAGE = (
    b'{"id":"msg_%016d","type":"message","role":"assistant","model":"claude-sonnet-5-5","content":%b,'
    b'"stop_reason":%b,"stop_sequence":null,"usage":%b}'
)
START = b'event: message_start\ndata: {"type":"message_start","message":%b}\n\n'
BLOCK = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    b'"content_block":{"type":"text","text":""}}\n\n'
)
DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"%b"}}\n\n'
)
END = (
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":%d}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
TEXT = b"sixteen letters "
OTHER_TEXT = b"and sixteen more"
"""They take turns: LiteLLM ends a stream that says the same thing a hundred times."""
DELTAS_A_WRITE = 4
"""Of a stream without a pace: what one read of the network brings from Claude."""

numbers = count(1)


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


TEXTS = DELTA % TEXT + DELTA % OTHER_TEXT


class Claude(asyncio.Protocol):
    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._missing = -1
        """Bytes of the body still to come; -1 while the head is not there."""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)
        if self._missing < 0:
            seen = b"".join(self._pieces)
            end = seen.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(seen, 0, end)
            self._missing = (int(found[1]) if found else 0) - (len(seen) - end - 4)
        else:
            self._missing -= len(data)
        if self._missing <= 0:
            request, self._pieces, self._missing = b"".join(self._pieces), [], -1
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        if not request.startswith(b"POST"):
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        at = request.rfind(MARK)
        mark = request[at : at + MARK_BYTES]
        deltas = int(_DELTAS.search(request)[1])  # type: ignore[index]
        tokens = len(request) // 4
        read = max(0, tokens - 1200) if tokens > 2000 else 0
        written = tokens - read if read else 0
        usage = USAGE % (written, read, written, deltas)
        if _STREAM.search(request) is None:
            content = b'[{"type":"text","text":"%b"}]' % (mark + TEXT)
            body = MESSAGE % (next(numbers), content, b'"end_turn"', usage)
            self._transport.write(HEAD % (JSON_HEAD, b"content-length: %d" % len(body)) + body)
            return
        start = START % (MESSAGE % (next(numbers), b"[]", b"null", usage)) + BLOCK
        if b"at a pace" in request[-4000:] or b"at a pace" in request[:4000]:
            task = asyncio.get_running_loop().create_task(self._paced(start, mark, deltas))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        self._transport.write(STREAM_HEAD + chunk(start + DELTA % mark))
        whole, rest = divmod(deltas - 1, DELTAS_A_WRITE)
        several = chunk(TEXTS * (DELTAS_A_WRITE // 2))
        for _ in range(whole):
            self._transport.write(several)
        self._transport.write(
            (chunk(TEXTS * (rest // 2) + DELTA % TEXT * (rest % 2)) if rest else b"")
            + chunk(END % deltas)
            + b"0\r\n\r\n"
        )

    async def _paced(self, start: bytes, mark: bytes, deltas: int) -> None:
        self._transport.write(STREAM_HEAD + chunk(start + DELTA % mark))
        for _ in range(deltas - 1):
            await asyncio.sleep(PACE_SECONDS)
            self._transport.write(chunk(DELTA % (b"at-%020d " % time.monotonic_ns())))
        self._transport.write(chunk(END % deltas) + b"0\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Claude, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
