"""What a request says of the response cache: `Cache-Control` (RFC 9111, section 5.2.1) and `X-Gateway-Cache-TTL`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TTL_HEADER: Final = "x-gateway-cache-ttl"
LONGEST_TTL: Final = 30 * 24 * 3600
"""Seconds."""

_SECONDS: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class CacheWishes:
    """Without a word of the client's: any answer, kept for as long as usual."""

    no_store: bool = False
    """Neither take a kept answer nor keep this one, nor share it while it is on its way."""
    max_age: int | None = None
    """Seconds that an answer may be old; 0 for one that nobody asked for before."""
    ttl: int | None = None
    """Seconds to keep this one, 0 for not at all."""
    misread: str | None = None
    """An `X-Gateway-Cache-TTL` that is no whole number of seconds."""

    @property
    def fresh(self) -> bool:
        """Whether only an answer of its own will do."""
        return self.max_age == 0


def wishes_of(headers: Mapping[str, str]) -> CacheWishes:
    """`headers` have lower-case names. What cannot be read says nothing."""
    control, ttl = headers.get("cache-control"), headers.get(TTL_HEADER)
    if control is None and ttl is None:
        return NONE
    said = _directives(control or "")
    age = said.get("max-age", "")
    readable = ttl is not None and _SECONDS.fullmatch(ttl.strip()) is not None
    return CacheWishes(
        no_store="no-store" in said,
        max_age=0 if "no-cache" in said else int(age) if _SECONDS.fullmatch(age) else None,
        ttl=min(int(ttl), LONGEST_TTL) if ttl is not None and readable else None,
        misread=None if ttl is None or readable else ttl,
    )


def _directives(control: str) -> dict[str, str]:
    parts = (part.partition("=") for part in control.lower().split(","))
    return {name.strip(): value.strip().strip('"') for name, _, value in parts}


NONE: Final = CacheWishes()
