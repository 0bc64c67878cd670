"""What a store has, as a Bloom filter: most keys that are asked for are not there, and for those nobody need ask it.

Half a megabyte tells 200,000 keys apart with a mistake in a thousand, always the harmless one: "it may be there". What
is removed stays in it until it is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BITS: Final = 22
"""Of a place in the filter: 4 million bits."""
_MASK: Final = 2**BITS - 1


class KnownKeys:
    """One thread adds, any thread asks."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._bits: Final = bytearray(2 ** (BITS - 3))
        self.add(keys)

    def add(self, keys: Iterable[str]) -> None:
        bits = self._bits
        for key in keys:
            for place in _places(key):
                bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, key: str) -> bool:
        bits, (one, two, three) = self._bits, _places(key)
        found = bits[one >> 3] >> (one & 7) & bits[two >> 3] >> (two & 7) & bits[three >> 3] >> (three & 7)
        return bool(found & 1)


def _places(key: str) -> tuple[int, int, int]:
    number = hash(key)  # 64 bits, another in each process: nobody outside can choose keys that collide
    return number & _MASK, number >> 21 & _MASK, number >> 42 & _MASK
