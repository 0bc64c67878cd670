"""How many of Claude's tokens a tiktoken piece is worth: learned from the usage that answers report.

Claude's tokenizer is not public. A tiktoken vocabulary gives the *shape* (twice the pieces, about twice the tokens) and
the returned usage gives the scale. Before the first answer, a prior by tokenizer generation stands in.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

from sidecar.tokens.visual import HIGH, STANDARD, Resolution


@dataclass(frozen=True, slots=True)
class Generation:
    """What a generation of models has in common when it counts."""

    tokens_a_piece: float
    """Prior: measured over recorded sessions (`benchmarks/tokens.py`)."""
    resolution: Resolution


BEFORE_4_7 = Generation(1.06, STANDARD)
CURRENT = Generation(1.39, HIGH)

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")

FRAME_TOKENS = 6
"""Around every request."""
TOOL_USE_TOKENS = {"opus": 286, "sonnet": 354, "haiku": 496}
"""What a request with tools carries besides them, by line (docs: tool use, pricing)."""


def generation(model: str) -> Generation:
    """The generation of a model id; names without a version count as current."""
    if (version := _VERSION.match(model)) is None:
        return CURRENT
    return BEFORE_4_7 if (int(version[1]), int(version[2] or 0)) < (4, 7) else CURRENT


def frame_tokens(model: str, *, tools: bool) -> int:
    """Tokens of a request beside its own texts and images."""
    if not tools:
        return FRAME_TOKENS
    line = next((line for line in TOOL_USE_TOKENS if line in model), "opus")
    return FRAME_TOKENS + TOOL_USE_TOKENS[line]


class Calibration:
    """Tokens a piece, by (model, project): a moving average of what usage reported. Thread-safe, bounded.

    The average is one of sums, so a long prompt weighs as much as its length; the newest observation weighs `1 - KEEP`.
    """

    KEEP = 0.8
    PRIOR_PIECES = 500.0
    """How many pieces the prior weighs at first."""
    PLAUSIBLE = 0.4, 4.0
    """Times the prior. What lies outside is not about these texts (context held by the server, say): not learned."""
    PAIRS = 1024

    def __init__(self) -> None:
        self._sums: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def tokens_a_piece(self, model: str, project: str) -> float:
        with self._lock:
            tokens, pieces = self._sums.get((model, project), (0.0, 0.0))
        return tokens / pieces if pieces else generation(model).tokens_a_piece

    def observe(self, model: str, project: str, pieces: int, tokens: int) -> None:
        """Learn that a text of so many pieces was billed as so many tokens."""
        prior = generation(model).tokens_a_piece
        low, high = self.PLAUSIBLE
        if pieces <= 0 or not low <= tokens / pieces / prior <= high:
            return
        with self._lock:
            start = prior * self.PRIOR_PIECES, self.PRIOR_PIECES
            before_tokens, before_pieces = self._sums.pop((model, project), start)
            self._sums[model, project] = before_tokens * self.KEEP + tokens, before_pieces * self.KEEP + pieces
            if len(self._sums) > self.PAIRS:
                self._sums.popitem(last=False)
