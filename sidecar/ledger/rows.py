"""What one request leaves behind. A `LedgerRow` that exists can be stored: everything a database could refuse is
refused or mended here, so that one bad row can never hold up the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Final

from sidecar.ledger.money import LARGEST_PICOS, micros_of

LAYERS: Final[tuple[str, ...]] = (
    "response_cache",
    "coalesce",
    "boilerplate",
    "file_references",
    "size_limits",
    "diff_first",
    "smart_routing",
    "prompt_cache",
    "thinking_memory",
    "context_pruning",
    "prefix_repair",
    "keep_warm",
)
"""The layers that always have a column in an export, in the order of the columns. A name that is not listed (a user's
own addon) is stored and counted all the same. `keep_warm` is the gateway's own spending, hence negative.
"""

LAYER_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
LONGEST_KEY = 200
"""Characters of `id` and `project`, which are indexed."""
LONGEST_TEXT = 500
"""Characters kept of any other text: a client may send a model name of any length."""
LARGEST_COUNT = 10**12

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENDLESS = float("inf")
_MICROSECOND = timedelta(microseconds=1)
_KEYS = ("id", "project")
_TEXTS = (
    *_KEYS,
    "client",
    "dialect",
    "conversation",
    "model_requested",
    "model",
    "route_reason",
    "cache",
    "stop_reason",
    "error_class",
    "cache_miss",
    "miss_cause",
    "route",
    "via",
)
_COUNTS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "thinking_tokens",
    "status",
    "retries",
    "miss_tokens",
)
_DURATIONS = ("ttft_ms", "duration_ms", "overhead_ms")
_texts_of, _counts_of, _durations_of = attrgetter(*_TEXTS), attrgetter(*_COUNTS), attrgetter(*_DURATIONS)


@dataclass(slots=True, kw_only=True)
class LedgerRow:
    """One request, as it is accounted for. Not to be changed.

    Money is whole pico-dollars. Raises ValueError for a value no request can have: that is a fault of whoever builds
    the row, never of the client.
    """

    id: str
    """The gateway's own request id. Unique: a second row with the same id is ignored, so never a client's id."""
    time: datetime
    """When the request came in. Any time zone; kept as UTC, to the microsecond."""
    cost_picos: int
    """What Anthropic bills for it."""
    baseline_picos: int
    """What the client's own bytes would have cost, sent plainly."""
    saved_picos: Mapping[str, int] = field(default_factory=dict)
    """By layer; negative where a layer cost more than it saved. They sum to baseline minus cost."""
    project: str = "default"
    client: str = "unknown"
    dialect: str = ""
    conversation: str = ""
    model_requested: str = ""
    """What the client wrote: an alias, a Claude id or an OpenAI id."""
    model: str = ""
    """The Claude id that answered."""
    route_reason: str = ""
    input_tokens: int = 0
    """Plain input, neither read from the cache nor written to it."""
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    """Thinking included."""
    thinking_tokens: int = 0
    cache: str = "MISS"
    """Where the answer came from: MISS is Claude."""
    status: int = 200
    stop_reason: str | None = None
    ttft_ms: float | None = None
    """Milliseconds until the first byte of the answer."""
    duration_ms: float | None = None
    overhead_ms: float | None = None
    """The gateway's own share of `duration_ms`."""
    retries: int = 0
    cancelled: bool = False
    """The client left before the end."""
    estimated: bool = False
    """Some of the numbers are estimates: a broken stream, an unknown model's price."""
    error_class: str | None = None
    holdout: bool = False
    """The layers were kept from its conversation, to measure what they are worth."""
    cache_miss: str | None = None
    """Anthropic's diagnosis of a prompt cache that did not hold: `system_changed`, with the tokens that missed."""
    removed_tokens: int = 0
    """What the layers kept out of the prompt, by estimate; negative where they added."""
    miss_cause: str | None = None
    """Why the prompt cache did not hold what was expected, as cgw finds it."""
    miss_ours: bool = False
    """cgw itself caused it."""
    miss_tokens: int = 0
    """What had to be read anew for it."""
    miss_picos: int = 0
    """What that cost more, in pico-dollars."""
    route: str | None = None
    """Where the model was the gateway's to choose: by which signals, and what each would have cost."""
    via: str = "base_url"
    """By which door it came: `interceptor` or the tool's own base URL."""

    def __post_init__(self) -> None:
        told = "".join(filter(None, _texts_of(self)))
        if len(told) > LONGEST_KEY or not told.isascii() or "\0" in told:
            for name, text in zip(_TEXTS, _texts_of(self), strict=True):
                if text and (len(text) > LONGEST_KEY or not text.isascii() or "\0" in text):
                    setattr(self, name, _storable(name, text))
        counts = _counts_of(self)
        if min(counts) < 0 or max(counts) > LARGEST_COUNT:
            raise ValueError(f"one of {dict(zip(_COUNTS, counts, strict=True))} is not a count")
        for duration in _durations_of(self):
            if duration is not None and not 0 <= duration < _ENDLESS:
                raise ValueError(f"{duration} ms is not a duration")
        if self.saved_picos:
            self.saved_picos = {_layer(name): picos for name, picos in self.saved_picos.items() if picos}
        for picos in (self.cost_picos, self.baseline_picos, *self.saved_picos.values()):
            if type(picos) is not int or not -LARGEST_PICOS <= picos <= LARGEST_PICOS:
                raise ValueError(f"{picos} pico-dollars is no amount that a row can hold")
        self.time = as_utc(self.time)

    @property
    def cost_micros(self) -> Decimal:
        """Micro-dollars, as all that follow."""
        return micros_of(self.cost_picos)

    @property
    def baseline_micros(self) -> Decimal:
        return micros_of(self.baseline_picos)

    @property
    def saved(self) -> dict[str, Decimal]:
        return {layer: micros_of(picos) for layer, picos in self.saved_picos.items()}

    @property
    def saved_micros(self) -> Decimal:
        """Baseline minus cost."""
        return micros_of(self.baseline_picos - self.cost_picos)


def as_utc(moment: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError without a time zone (it would be a guess) and before 1970."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    if moment < _EPOCH:
        raise ValueError(f"{moment} is before 1970")
    return moment


def microseconds_of(moment: datetime) -> int:
    """Microseconds since 1970 in UTC: how both databases keep time."""
    return (as_utc(moment) - _EPOCH) // _MICROSECOND


def moment_of(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _storable(name: str, text: str) -> str:
    """PostgreSQL has no NUL in a text, and neither database takes half a surrogate pair."""
    if name in _KEYS and len(text) > LONGEST_KEY:
        raise ValueError(f"{name} is longer than {LONGEST_KEY} characters")
    return text[:LONGEST_TEXT].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=256)
def _layer(name: str) -> str:
    if not LAYER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a layer: lower case letters, digits and _, at most 60")
    return name
