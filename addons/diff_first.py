"""Asks for diffs, where nothing but a person reads the answer."""

from __future__ import annotations

from typing import Final

from sidecar.conversation import texts_of
from sidecar.diff_first import INSTRUCTION, MOST_READ, asks_for_a_change, edit_mode, instructed
from sidecar.exchange import Exchange
from sidecar.prompt import Prompt
from sidecar.services import Services

LAYER: Final = "diff_first"
BACKTICKS: Final = b"```"
TILDES: Final = b"~~~"


class DiffFirst:
    """Decided by a conversation's first words and kept: the same words decide in the same way in every turn."""

    def __init__(self, services: Services) -> None:
        self._enabled = services.settings.enforce_diff_first

    def request(self, exchange: Exchange) -> None:
        prompt = exchange.prompt
        if prompt is None or prompt.frozen or not exchange.reduces:
            return
        if not exchange.policy.switch("enforce_diff_first", self._enabled):
            return
        if exchange.request.get("tools"):
            return  # it edits by them
        if not [at for at in prompt.positions if BACKTICKS in at.raw or TILDES in at.raw]:
            return  # most requests: nothing is pasted
        if not asks_for_a_change(_first_words(prompt)) or edit_mode(exchange.client, exchange.request) != "free":
            return
        _instruct(prompt)
        exchange.decide(LAYER, "a pasted file is to be changed: a diff is asked for")


def _instruct(prompt: Prompt) -> None:
    system = [index for index, at in enumerate(prompt.positions) if at.zone == "system" and at.kind == "text"]
    if not system:
        prompt.append(INSTRUCTION, LAYER)
        return
    block = prompt.block(system[-1]) or {}
    prompt.replace(system[-1], {**block, "text": instructed(block["text"])}, LAYER)


def _first_words(prompt: Prompt) -> str:
    first = next((at.message for at in prompt.positions if at.role == "user"), -1)
    of_first = (at for at in prompt.positions if at.message == first and at.zone == "messages")
    return "\n".join(text for at in of_first if at.kind == "text" for text in texts_of(at.block))[:MOST_READ]
