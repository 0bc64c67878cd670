"""How much work one request may cost: counted in bytes looked at, so that it is the same on every machine."""

from __future__ import annotations

from typing import Final

COMPARISON: Final = 10
"""Bytes that comparing a line with another counts for."""


class Overspent(Exception):  # noqa: N818 - it is a decision of the budget, not a mistake
    """A text would take more work than its request has left."""


class Budget:
    """Work that one request may cost, in bytes looked at: the same on every machine."""

    def __init__(self, size: int) -> None:
        self.left = size

    def spend(self, size: int) -> None:
        """Raises Overspent, and spends nothing, where there is not enough left: a smaller text may still go."""
        if size > self.left:
            raise Overspent
        self.left -= size
