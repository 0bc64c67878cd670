"""Where words stand in what a conversation sent: looked for once in each text, however often it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from sidecar.boilerplate.repeats import Copies, places
from sidecar.conversation import texts_of
from sidecar.prompt import Prompt

MOST_WORDS: Final = 32
"""Different words that are remembered for a conversation."""

_Place = tuple[int, int, int]
"""Position, which text of it, and where in that text."""


class SentWords:
    """Belongs to one conversation. What it remembers is of its frozen zone only, as it was sent."""

    def __init__(self) -> None:
        self._until = 0
        self._link = b""
        self._places: dict[str, list[_Place]] = {}

    def follow(self, prompt: Prompt) -> None:
        """Go on with the conversation's next request; forget all where it is none."""
        until = self._until
        if until > prompt.frozen or (until and prompt.chain[until - 1] != self._link):
            self._places.clear()
            until = 0
        for words, known in self._places.items():
            known += _places_in(prompt, words, until, prompt.frozen)
        self._until = prompt.frozen
        self._link = prompt.chain[prompt.frozen - 1] if prompt.frozen else b""

    def before(self, prompt: Prompt, index: int, spend: Callable[[int], None]) -> Copies:
        """Looks for words in the texts before a live position, as they are sent. `spend` hears of the characters that
        are looked through."""

        def copies(words: str) -> Iterator[tuple[str, int]]:
            if (known := self._places.get(words)) is None:
                spend(sum(len(prompt.positions[at].raw) for at in range(self._until)))
                known = [*_places_in(prompt, words, 0, self._until)]
                if len(self._places) < MOST_WORDS:
                    self._places[words] = known
            for position, slot, at in known:
                block = prompt.block(position)
                texts = texts_of(block) if block is not None else []
                if slot < len(texts) and texts[slot].startswith(words, at):
                    yield texts[slot], at
            spend(sum(len(prompt.positions[at].raw) for at in range(self._until, index)))
            for position, slot, at in _places_in(prompt, words, self._until, index):
                yield texts_of(prompt.block(position) or {})[slot], at

        return copies


def may_repeat(prompt: Prompt, index: int) -> bool:
    """Whether a position's texts can be told by markers, or told of by them: those of users and tools, and system
    text."""
    position = prompt.positions[index]
    return position.zone != "tools" and position.role != "assistant"


def _places_in(prompt: Prompt, words: str, start: int, end: int) -> Iterator[_Place]:
    for index in range(start, end):
        if may_repeat(prompt, index) and (block := prompt.block(index)) is not None:
            for slot, text in enumerate(texts_of(block)):
                for at in places(text, words):
                    yield index, slot, at
