"""Gives Claude its own thinking back where the client cannot.

Claude signs what it thinks, and wants it back with the turn it thought it in: most of all between tool calls. OpenAI's
chat has no place for it. So it is kept, and put in front of the blocks it stood in front of, when the client sends the
answer back for the first time; from then on it is part of what was sent, and stays. For an answer it is put back then
or never: a prompt that changed later would lose its cache.

Claude takes its thinking only behind the very request that it thought it behind. That is so where the answer comes
right behind a request of the conversation's line, as memory will send it again. What was said only once, at the end
of that request (`fit` asks for a forced tool in words), makes the thinking worthless: it is not kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from functools import partial
from typing import Final

from sidecar import incoming
from sidecar.call import Call
from sidecar.conversation import Line
from sidecar.exchange import Exchange, Json
from sidecar.fold import MessageFold
from sidecar.models.catalogue import ModelCard
from sidecar.prompt import THINKING_MEMORY, Prompt
from sidecar.services import Services
from sidecar.sse import EventSplitter
from sidecar.thinking import KeptThinking, ends_alike, holds_thinking, thinking_in, turn_digest
from sidecar.thinking_shelf import NAMESPACE, SIZE_LIMIT_BYTES, ThinkingShelf

log = logging.getLogger(__name__)

ON_THE_LOOP: Final = 32 * 1024
"""Bytes of an answer above which it is put together in a thread."""
PATIENCE: Final = 2.0
"""Seconds that a request waits for the end of the answer it goes on from: its last bytes may come after its words."""


class ThinkingMemory:
    def __init__(self, services: Services) -> None:
        self._enabled = services.settings.enable_thinking_memory
        self._catalogue = services.catalogue
        self._shelf = ThinkingShelf(services.shelves(NAMESPACE, SIZE_LIMIT_BYTES))
        self._followed: dict[Call, asyncio.Future[None]] = {}
        """Answers that are still coming."""
        self._keeping: set[asyncio.Task[None]] = set()

    async def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        enabled = exchange.policy.switch("enable_thinking_memory", self._enabled)
        if not enabled or prompt is None or prompt.thinks or exchange.bypass:
            return
        if prompt.line is not None and not prompt.line.thinking_off:
            known = _answers(prompt.line, prompt.frozen, exchange.model)
            if answers := [one for one in known if not self._shelf.is_without(exchange.project, one)]:
                await self._put_back(exchange, prompt, answers)
        prompt.keeps_thinking = prompt.line is None or not prompt.line.thinking_off
        call = exchange.call = exchange.call or Call(exchange)
        if call not in self._followed:
            self._followed[call] = asyncio.get_running_loop().create_future()
            call.when_ended(partial(self._ended, call))

    # --- the answer comes back

    async def _put_back(self, exchange: Exchange, prompt: Prompt, answers: list[str]) -> None:
        turn = _turn_behind(prompt)
        if turn is None or not _is_wanted(self._catalogue.card(exchange.model), prompt, turn):
            return
        for answer in answers:
            await self._until_kept(answer)
            thinking = await self._shelf.find(exchange.project, answer, exchange.now)
            if thinking is not None and thinking.turn == _digest(prompt, turn):
                sizes = thinking.sizes(prompt.bytes_a_token)
                for (number, blocks), size in zip(thinking.ahead, sizes, strict=True):
                    prompt.put_back(turn[number], blocks, size)
                exchange.decide(
                    THINKING_MEMORY, "put back what Claude thought before its last answer", tokens=thinking.tokens
                )
                return

    async def _until_kept(self, answer: str) -> None:
        for call, following in self._followed.items():
            if call.leader.message_id == answer and call.leader.stop_reason is not None:
                await asyncio.wait({following}, timeout=PATIENCE)
                return

    # --- an answer is made

    def _ended(self, call: Call) -> None:
        """Most answers are without thinking, which costs no more than a look."""
        leader = call.leader
        following = self._followed[call]
        if call.is_complete and leader.message_id is not None and leader.stop_reason != "refusal":
            if _holds_thinking(call):
                keeping = asyncio.create_task(self._keep(call, leader.message_id), name=f"keep thinking of {leader.id}")
                self._keeping.add(keeping)
                keeping.add_done_callback(self._keeping.discard)
                keeping.add_done_callback(lambda _: self._follow_no_more(call, following))
                return
            self._shelf.keep(leader.project, leader.message_id, None)
        self._follow_no_more(call, following)

    def _follow_no_more(self, call: Call, following: asyncio.Future[None]) -> None:
        del self._followed[call]
        if not following.done():
            following.set_result(None)

    async def _keep(self, call: Call, answer_id: str) -> None:
        try:
            self._shelf.keep(call.leader.project, answer_id, await self._thought(call))
        except Exception:
            log.exception("the thinking of request %s is not kept", call.leader.id)

    async def _thought(self, call: Call) -> KeptThinking | None:
        leader, answer = call.leader, await _answer(call)
        kept = None
        if answer is not None and (ahead := thinking_in(answer)) is not None and self._is_sent_again(leader):
            kept = KeptThinking(
                project=leader.project,
                model=leader.model,
                at=leader.now,
                turn=turn_digest(answer["content"]),
                ahead=ahead,
                tokens=leader.usage.thinking_tokens,
            )
        return kept

    def _is_sent_again(self, exchange: Exchange) -> bool:
        """Whether the next turn's request will begin with just what this one sent."""
        prompt, unassembled = exchange.prompt, exchange.unassembled
        if prompt is None or unassembled is None or prompt.newest == len(prompt.positions):
            return False
        takes_mid_system = self._catalogue.card(exchange.model).takes_mid_system
        assembled = prompt.assemble(unassembled, takes_mid_system=takes_mid_system)
        return ends_alike(assembled, exchange.request)


def _turn_behind(prompt: Prompt) -> range | None:
    """The assistant's turn right behind the frozen prefix, where it goes out as the client wrote it and the user's
    turn behind it is there."""
    end = prompt.frozen
    while end < len(prompt.positions) and prompt.positions[end].role == "assistant":
        end += 1
    turn = range(prompt.frozen, end)
    if not turn or end == len(prompt.positions) or any(prompt.edit(index) is not None for index in turn):
        return None
    return turn


def _is_wanted(card: ModelCard, prompt: Prompt, turn: range) -> bool:
    """Models that think within budgets forget it when a run of tool calls is over, and with it the cache behind it."""
    return "adaptive" in card.thinking or prompt.positions[turn.stop].kind == "tool_result"


def _digest(prompt: Prompt, turn: range) -> str:
    return turn_digest(prompt.positions[index].block for index in turn)


def _answers(line: Line, frozen: int, model: str) -> Iterator[str]:
    """Claude's ids of what this model answered to just the frozen prefix, the newest first."""
    for one in reversed(line.requests):
        if one.until < frozen:
            return  # as are all that came before it
        if one.until == frozen and one.model == model and one.answer is not None:
            yield one.answer


def _holds_thinking(call: Call) -> bool:
    if call.body is not None:
        return holds_thinking(call.body)
    events = call.tape
    return events is not None and holds_thinking(events)


async def _answer(call: Call) -> Json | None:
    """The complete answer."""
    if call.body is not None:
        return call.leader.answer
    events = call.tape
    if events is None:
        return None
    return _folded(events) if len(events) <= ON_THE_LOOP else await asyncio.to_thread(_folded, events)


def _folded(events: bytes) -> Json:
    folding = MessageFold()
    incoming.fold(folding, EventSplitter().take(events) or ())
    return folding.message
