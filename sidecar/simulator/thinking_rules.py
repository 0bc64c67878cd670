"""Rules about thinking that comes back: genuine, in its own conversation, and whole in the latest turn.

A block of another model is dropped without an error (documentation of preserved thinking), so it is not checked
further.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from sidecar.simulator.conversation_rules import Turn, turns_of
from sidecar.simulator.models import Model
from sidecar.simulator.prompt import THINKING, bound_thinking, canonical
from sidecar.simulator.shapes import refuse
from sidecar.simulator.signatures import Provenance, model_mark, response_mark, verify

UNMODIFIED = (
    "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These blocks must "
    "remain as they were in the original response."
)


class ResponseMemory:
    """The complete answers of the last `limit` requests, to compare the latest assistant turn with.

    With `demands_thinking` every call must come back with the thinking that led to it. Claude itself demands that only
    of the call that a run begins with, and only where there is a budget for thinking.
    """

    def __init__(self, *, limit: int = 2_000, demands_thinking: bool = False) -> None:
        self.demands_thinking = demands_thinking
        self._answers: OrderedDict[bytes, list[bytes]] = OrderedDict()
        self._thought_about: OrderedDict[str, bytes] = OrderedDict()
        """The marks of the models that made calls after some thinking, by the ids of the calls."""
        self._limit = limit

    def remember(self, message_id: str, model: Model, blocks: list[dict[str, Any]]) -> None:
        """Only answers with thinking are ever asked for."""
        if any(block["type"] in THINKING for block in blocks):
            self._answers[response_mark(message_id)] = [canonical(block) for block in blocks]
            calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
            self._thought_about |= dict.fromkeys(calls, model_mark(model.id))
            for kept in (self._answers, self._thought_about):
                while len(kept) > self._limit:
                    kept.popitem(last=False)

    def thought_about(self, call: str, model: bytes) -> bool:
        """Whether this model thought before it made the call."""
        return self._thought_about.get(call) == model

    def answer(self, mark: bytes) -> list[bytes] | None:
        return self._answers.get(mark)


def check_thinking(request: dict[str, Any], model: Model, memory: ResponseMemory) -> None:
    """Raises ApiError for the first thinking block that may not stand where it does."""
    mine = model_mark(model.id)
    genuine: dict[str, Provenance] = {}
    for path, _, block, prefix in bound_thinking(request):
        provenance = _verified(path, block)
        if provenance.model != mine:
            continue
        if model.binds_thinking and provenance.prefix != prefix:
            sentence = (
                f"`{block['type']}` block is bound to a different conversation: the tools, system prompt or messages "
                "before it are not those it was generated with. Send them unchanged, or remove the thinking blocks."
            )
            raise refuse(path, sentence)
        genuine[path] = provenance
    turns = turns_of(request["messages"])
    latest = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    if latest is not None:
        _check_whole(latest, genuine, memory)
    if (request.get("thinking") or {}).get("type") == "enabled":
        _check_starts_with_thinking(turns)
    if memory.demands_thinking:
        _check_calls_have_thinking(turns, mine, memory)


def _verified(path: str, block: dict[str, Any]) -> Provenance:
    if block["type"] == "thinking":
        provenance = verify(block["thinking"], block["signature"])
        place = "`signature` in `thinking`"
    else:
        provenance = verify("", block["data"])
        place = "`data` in `redacted_thinking`"
    if provenance is None:
        raise refuse(path, f"Invalid {place} block")
    return provenance


def _check_whole(latest: Turn, genuine: dict[str, Provenance], memory: ResponseMemory) -> None:
    """Every answer whose thinking is given back must be there block for block."""
    sent = [canonical(block) for _, block in latest.blocks]
    checked: set[bytes] = set()
    for index, (path, _) in enumerate(latest.blocks):
        provenance = genuine.get(path)
        if provenance is None or provenance.response in checked:
            continue
        checked.add(provenance.response)
        answered = memory.answer(provenance.response)
        if answered is None:
            continue
        start = index - answered.index(sent[index]) if sent[index] in answered else -1
        if start < 0 or sent[start : start + len(answered)] != answered:
            raise refuse(path, UNMODIFIED)


def _check_starts_with_thinking(turns: list[Turn]) -> None:
    """With manual thinking, the assistant turn that a tool loop began with must start with its thinking."""
    first_of_loop: Turn | None = None
    for turn in reversed(turns):
        if turn.role == "user" and any(block["type"] != "tool_result" for _, block in turn.blocks):
            break
        if turn.role == "assistant":
            first_of_loop = turn
    if first_of_loop is None or not first_of_loop.blocks:
        return
    path, block = first_of_loop.blocks[0]
    if block["type"] not in THINKING:
        raise _left_out(path, block["type"])


def _check_calls_have_thinking(turns: list[Turn], mine: bytes, memory: ResponseMemory) -> None:
    for turn in turns:
        thinks = False
        for path, block in turn.blocks:
            thinks = thinks or block["type"] in THINKING
            if block["type"] == "tool_use" and not thinks and memory.thought_about(block["id"], mine):
                raise _left_out(path, block["type"])


def _left_out(path: str, found: str) -> Exception:
    sentence = (
        f"Expected `thinking` or `redacted_thinking`, but found `{found}`. When `thinking` is enabled, a final "
        "`assistant` message must start with a thinking block (preceding the lastmost set of `tool_use` and "
        "`tool_result` blocks). To avoid this requirement, disable `thinking`."
    )
    return refuse(f"{path}.type", sentence)
