"""Where responses wait for clients that come back to them: in memory, and on a shelf that outlives the process."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import orjson

from sidecar.dialects.openai_responses import Stored, history_of, response_of
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.store.shelves import Shelf

log = logging.getLogger(__name__)

NAMESPACE: Final = "responses"
SIZE_LIMIT_BYTES: Final = 512 * 1024 * 1024
"""On disk; in Redis its own `maxmemory` is the bound. What was used longest ago goes first."""
LARGEST_BYTES: Final = 32 * 1024 * 1024
"""Of one response with its input. More is not kept."""
MEMORY_BYTES: Final = 16 * 1024 * 1024
"""As JSON; as Python's values it is some times as much."""
DELETED_BYTES: Final = 200
"""What it takes to know that one was deleted."""
LONGEST_CHAIN: Final = 4_000
"""Responses that one may go on from, one behind the other."""
LARGEST_CHAIN_BYTES: Final = 64 * 1024 * 1024
"""Of all that one request goes on from or refers to. Claude itself takes 32 MB."""


class ResponseShelf:
    """By project and id. Belongs to the event loop."""

    def __init__(self, shelf: Shelf, *, kept_seconds: float, most_bytes: int = MEMORY_BYTES) -> None:
        """With `kept_seconds` 0 nothing is kept."""
        self._shelf: Final = shelf
        self._kept_seconds: Final = kept_seconds
        self._most_bytes: Final = most_bytes
        self._recent: OrderedDict[str, tuple[Stored | None, int]] = OrderedDict()
        """And how many bytes each takes. None for one that was deleted."""
        self.bytes_in_memory = 0

    def keep(self, project: str, stored: Stored) -> None:
        if not self._kept_seconds:
            return
        try:
            told = stored.to_bytes()
        except orjson.JSONEncodeError as error:  # the answer is there and paid for: it goes to its client all the same
            log.warning("response %s is not kept: its input is nested too deep (%s)", stored.id, error)
            return
        if len(told) > LARGEST_BYTES:
            return
        key = _key(project, stored.id)
        self._remember(key, stored, len(told))
        self._shelf.put(key, told, self._kept_seconds, project=project)

    async def settled(self) -> None:
        """Returns once what was kept is there for everybody who may be asked for it."""
        if self._shelf.is_shared:
            await asyncio.to_thread(self._shelf.flush)

    async def find(self, project: str, response_id: str, now: float) -> Stored:
        """`now` in epoch seconds. Raises GatewayError (404)."""
        stored = await self._find(project, response_id, now)
        if stored is None:
            raise _not_kept(response_id)
        return stored

    async def delete(self, project: str, response_id: str, now: float) -> None:
        """It is gone when this returns, and so is the way on from those that went on from it. Raises GatewayError
        (404)."""
        await self.find(project, response_id, now)
        key = _key(project, response_id)
        self._remember(key, None, DELETED_BYTES)
        await asyncio.to_thread(self._shelf.forget, [key])

    async def history(self, project: str, response_id: str, now: float) -> list[tuple[Json, str]]:
        """The items that stand before a request that goes on from this response, with their paths. Raises GatewayError
        (400) where one of them is not kept, 413 where they are too much."""
        chain: list[Stored] = []
        size = 0
        before: str | None = response_id
        while before is not None:
            stored = await self._find(project, before, now) if len(chain) < LONGEST_CHAIN else None
            if stored is None:
                raise _cannot_go_on(response_id, before)
            size += self._size(project, before)
            if size > LARGEST_CHAIN_BYTES:
                raise _too_much("previous_response_id")
            chain.append(stored)
            before = stored.before
        return history_of(reversed(chain))

    async def referred_to(self, project: str, item_ids: Iterable[str], now: float) -> dict[str, Stored]:
        """The responses that these items came from, as far as they are kept, by their ids. Raises GatewayError (413)
        where they are too much."""
        found: dict[str, Stored] = {}
        size = 0
        for response_id in {wanted for item_id in item_ids if (wanted := response_of(item_id)) is not None}:
            if (stored := await self._find(project, response_id, now)) is not None:
                found[response_id] = stored
                size += self._size(project, response_id)
            if size > LARGEST_CHAIN_BYTES:
                raise _too_much("input")
        return found

    async def _find(self, project: str, response_id: str, now: float) -> Stored | None:
        key = _key(project, response_id)
        if key not in self._recent:
            stored, size = await asyncio.to_thread(self._read, key)
            if stored is None:
                return None
            if key not in self._recent:  # kept or deleted while we looked
                self._remember(key, stored, size)
        self._recent.move_to_end(key)
        stored, _ = self._recent[key]
        return stored if stored is not None and now - stored.created < self._kept_seconds else None

    def _size(self, project: str, response_id: str) -> int:
        """Bytes of one that was just found, which is then the newest in memory."""
        return self._recent[_key(project, response_id)][1]

    def _read(self, key: str) -> tuple[Stored | None, int]:
        told = self._shelf.get(key)
        if told is None:
            return None, 0
        try:
            return Stored.from_bytes(told), len(told)
        except ValueError as error:
            self._shelf.drop(key, error)
            return None, 0

    def _remember(self, key: str, stored: Stored | None, size: int) -> None:
        _, before = self._recent.pop(key, (None, 0))
        self._recent[key] = (stored, size)
        self.bytes_in_memory += size - before
        while len(self._recent) > 1 and self.bytes_in_memory > self._most_bytes:
            _, (_, gone) = self._recent.popitem(last=False)
            self.bytes_in_memory -= gone


def _key(project: str, response_id: str) -> str:
    return blake2b(f"{project}\0{response_id}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _not_kept(response_id: str) -> GatewayError:
    return GatewayError(
        "not_found_error",
        f"Response {response_id[:80]!r} is not kept here: it was not stored (`store: false`), was deleted, is too "
        "old, or belongs to another project.",
        code="response_not_found",
    )


def _too_much(param: str) -> GatewayError:
    return GatewayError(
        "request_too_large",
        f"{param}: what this request goes on from is larger than {LARGEST_CHAIN_BYTES:,} bytes, twice what Claude "
        "takes. Begin a new conversation with a summary of this one.",
        param=param,
        code="request_too_large",
    )


def _cannot_go_on(asked: str, missing: str) -> GatewayError:
    where = "" if asked == missing else f" went on from {missing[:80]!r}, which"
    return GatewayError(
        "invalid_request_error",
        f"previous_response_id: response {asked[:80]!r}{where} is not kept here (any more). Send the whole "
        "conversation in `input`, without previous_response_id.",
        param="previous_response_id",
        code="previous_response_not_found",
    )
