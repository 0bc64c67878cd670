"""Stop sequences that Claude refuses, for they are blank: what editors stop a completion by, the end of a line above
all."""

from __future__ import annotations

from collections.abc import Iterable


class Cut:
    """Lets a text pass, piece by piece, up to the first of some sequences."""

    def __init__(self, sequences: Iterable[str]) -> None:
        self._sequences = tuple(sequences)
        self._held = ""
        self.ended = False
        """Whether one of them came."""

    def feed(self, text: str) -> str:
        """What may pass. The beginning of a sequence is held back until it is known to be none."""
        if self.ended:
            return ""
        text = self._held + text
        found = [position for sequence in self._sequences if (position := text.find(sequence)) >= 0]
        if found:
            self.ended, self._held = True, ""
            return text[: min(found)]
        self._held = self._beginning_in(text)
        return text[: len(text) - len(self._held)]

    def rest(self) -> str:
        """What was held back when the text ends."""
        rest, self._held = self._held, ""
        return rest

    def _beginning_in(self, text: str) -> str:
        longest = max((len(sequence) for sequence in self._sequences), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(sequence.startswith(text[-length:]) for sequence in self._sequences):
                return text[-length:]
        return ""
