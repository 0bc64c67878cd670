"""Keeps texts within their size: tool results are cut, system and user text only where the user said so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sidecar.conversation import texts_of, with_texts
from sidecar.cut_texts import CutTexts
from sidecar.cuts import cut, shares
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange
from sidecar.prompt import Prompt
from sidecar.services import Services
from sidecar.tool_results import ToolNames

LAYER: Final = "size_limits"
ON_THE_LOOP: Final = 1_000_000
"""Bytes of new blocks above which it is done in a thread."""


@dataclass(frozen=True, slots=True)
class Group:
    """Positions that share one limit."""

    what: str
    positions: tuple[int, ...]
    limit: int
    setting: str


class SizeLimits:
    """A tool result over its limit is cut when it is first seen; its whole text is kept for `cgw show`."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self._tool_result = settings.tool_result_max_chars
        self._system = settings.system_max_chars
        self._user = settings.user_msg_max_chars
        self._action: Literal["warn", "cut", "refuse"] = settings.size_limit_action
        self._cut_texts = CutTexts(services.shelves)
        self._least = min(self._tool_result, self._system, self._user) // 2
        """Bytes of all that is new, up to which nothing is over its limit, whatever the layers before have added."""

    async def request(self, exchange: Exchange) -> None:
        """Raises GatewayError (413) for system or user text over its limit, where that is to be refused."""
        prompt = exchange.prompt
        if prompt is None or exchange.bypass or (size := prompt.live_bytes) <= self._least:
            return
        if size > ON_THE_LOOP:
            await asyncio.to_thread(self._limit, exchange, prompt)
        else:
            self._limit(exchange, prompt)

    def _limit(self, exchange: Exchange, prompt: Prompt) -> None:
        cuts = exchange.reduces and exchange.client_headers.get("x-gateway-strict") != "1"
        for group in self._written(prompt):
            if (size := _size(prompt, group.positions)) > group.limit:
                self._over(exchange, prompt, group, size, cuts=cuts)
        if cuts:
            for group in self._returned(prompt):
                if _size(prompt, group.positions) > group.limit:
                    self._cut(exchange, prompt, group)

    def _over(self, exchange: Exchange, prompt: Prompt, group: Group, size: int, *, cuts: bool) -> None:
        said = f"{group.what} of {size:,} characters, over {group.setting} ({group.limit:,})"
        if self._action == "refuse":
            raise GatewayError(
                "request_too_large",
                f"There is a {said}. Raise that limit, or set SIZE_LIMIT_ACTION to warn or cut.",
                code="size_limit",
            )
        if self._action == "cut" and cuts:
            self._cut(exchange, prompt, group)
            return
        exchange.note(_field(group.what), "ignored", f"{said}: passed on whole")
        exchange.decide(LAYER, f"{said}: passed on whole", characters=size, limit=group.limit)

    def _cut(self, exchange: Exchange, prompt: Prompt, group: Group) -> None:
        texts = [(index, slot) for index in group.positions for slot in range(len(_sent(prompt, index)))]
        sizes = [len(_sent(prompt, index)[slot]) for index, slot in texts]
        left_out, ids = 0, []
        for (index, slot), share in zip(texts, shares(sizes, group.limit), strict=True):
            sent = _sent(prompt, index)
            whole = texts_of(prompt.positions[index].block)[slot]
            if (short := cut(sent[slot], share, whole=whole)) is None:
                continue
            block = prompt.block(index)
            assert block is not None
            prompt.replace(index, with_texts(block, [*sent[:slot], short.text, *sent[slot + 1 :]]), LAYER)
            self._cut_texts.keep(
                whole, group.what, at=exchange.started, project=exchange.project, client=exchange.client
            )
            left_out += short.characters
            ids.append(short.id)
        if not ids:
            return
        exchange.note(
            _field(group.what),
            "changed",
            f"{group.what} cut by {left_out:,} characters to {group.limit:,}; all of it: cgw show {', '.join(ids)}",
        )
        exchange.decide(LAYER, f"{group.what} cut, see cgw show {', '.join(ids)}", characters=left_out)

    def _written(self, prompt: Prompt) -> Iterator[Group]:
        """What is new of the system prompt, and of each user's message its text."""
        system = [index for index in prompt.live if prompt.positions[index].zone == "system"]
        if system:
            yield Group("system prompt", tuple(system), self._system, "SYSTEM_MAX_CHARS")
        messages: dict[int, list[int]] = {}
        for index in prompt.live:
            position = prompt.positions[index]
            if position.zone == "messages" and position.role == "user" and position.kind == "text":
                messages.setdefault(position.message, []).append(index)
        for positions in messages.values():
            yield Group("user message", tuple(positions), self._user, "USER_MSG_MAX_CHARS")

    def _returned(self, prompt: Prompt) -> Iterator[Group]:
        names: ToolNames | None = None
        for index in prompt.live:
            block = prompt.positions[index].block
            if prompt.positions[index].kind == "tool_result" and _size(prompt, (index,)) > self._tool_result:
                names = names or ToolNames(prompt)
                yield Group(names.result(block), (index,), self._tool_result, "TOOL_RESULT_MAX_CHARS")


def _sent(prompt: Prompt, index: int) -> list[str]:
    block = prompt.block(index)
    return texts_of(block) if block is not None else []


def _size(prompt: Prompt, positions: Sequence[int]) -> int:
    return sum(len(text) for index in positions for text in _sent(prompt, index))


def _field(what: str) -> str:
    return "system" if what == "system prompt" else "messages"
