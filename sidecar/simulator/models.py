"""The models this simulated Claude offers: lifecycle, limits, abilities and prices, as one table.

Kept by hand and apart from the gateway's own price source on purpose: a bill is only checked when two tables agree.
State of November 2026, from Anthropic's documentation and the types of its SDK 2.12. Prices are US dollars per
million tokens, which is the same number as micro-dollars per token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Lifecycle = Literal["active", "deprecated", "retired"]
Line = Literal["haiku", "sonnet", "opus", "fable", "mythos"]

EFFORTS = ("low", "medium", "high", "xhigh", "max")
UP_TO_HIGH, NO_XHIGH, ALL_EFFORTS = EFFORTS[:3], ("low", "medium", "high", "max"), EFFORTS
MANUAL = frozenset({"enabled", "disabled"})
EITHER = frozenset({"adaptive", "enabled", "disabled"})
SWITCHABLE = frozenset({"adaptive", "disabled"})
ALWAYS = frozenset({"adaptive"})
BETWEEN = frozenset({"adaptive", "between_tools"})


@dataclass(frozen=True, slots=True)
class Price:
    """Micro-dollars per token. Writes cost 1.25 times the input price for five minutes and twice for an hour."""

    input: Decimal
    output: Decimal
    read: Decimal

    @property
    def write_5m(self) -> Decimal:
        return self.input * Decimal("1.25")

    @property
    def write_1h(self) -> Decimal:
        return self.input * 2

    def times(self, factor: Decimal) -> Price:
        return Price(self.input * factor, self.output * factor, self.read * factor)


def price(input_: str, output: str, read: str) -> Price:
    return Price(Decimal(input_), Decimal(output), Decimal(read))


FABLE_5_2 = price("8", "40", "0.2")
FABLE_5_1 = price("10", "50", "0.25")
FABLE_5 = price("10", "50", "1")
OPUS_5_5 = price("4", "20", "0.2")
OPUS_5 = price("5", "25", "0.5")
OPUS_4_1 = price("15", "75", "1.5")
SONNET_5_5 = price("2", "10", "0.1")
SONNET_5 = price("2", "10", "0.2")
SONNET_4 = price("3", "15", "0.3")
HAIKU_5_5 = price("0.1", "0.5", "0.01")
HAIKU_4_5 = price("1", "5", "0.1")
HAIKU_LONG_PROMPT, HAIKU_LONG_FACTOR = 100_000, Decimal(5)
"""Claude Haiku 5.5: a prompt above 100,000 tokens makes the whole request five times as dear."""
US_FACTOR = Decimal("1.1")
"""`inference_geo: "us"`, from the 4.6 models on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One row of the table. Lengths are in tokens."""

    id: str
    name: str
    line: Line
    version: tuple[int, int]
    released: str
    price: Price
    min_cacheable: int
    aliases: tuple[str, ...] = ()
    lifecycle: Lifecycle = "active"
    deprecated_at: str | None = None
    retires_at: str | None = None
    max_input_tokens: int = 1_000_000
    max_tokens: int = 128_000
    thinking: frozenset[str] = SWITCHABLE
    thinking_default: str = "adaptive"
    display_default: str = "omitted"
    """What a client that asks for thinking gets to see of it, when it does not say."""
    efforts: Sequence[str] = ALL_EFFORTS
    effort_default: str = "high"
    tool_overhead: int = 346
    fast_price: Price | None = None
    long_prompt: tuple[int, Decimal] | None = None
    takes_sampling: bool = False
    takes_forced_tools: bool = True
    takes_prefill: bool = False
    takes_system_messages: bool = True
    binds_thinking: bool = False
    keeps_thinking: bool = True
    """False where thinking of finished turns is taken out of the prompt."""

    def price_of(self, *, prompt_tokens: int, speed: str = "standard", geo: str | None = None) -> Price:
        """The price of one request, by its size, speed and place."""
        row = self.fast_price if speed == "fast" and self.fast_price is not None else self.price
        if self.long_prompt is not None and prompt_tokens > self.long_prompt[0]:
            row = row.times(self.long_prompt[1])
        if geo == "us" and self.version >= (4, 6):
            row = row.times(US_FACTOR)
        return row


def _fable(line: Line, version: tuple[int, int], released: str, row: Price, **more: Any) -> Model:
    number = f"{version[0]}.{version[1]}" if version[1] else str(version[0])
    return Model(
        id=f"claude-{line}-{number.replace('.', '-')}",
        name=f"Claude {line.title()} {number}",
        line=line,
        version=version,
        released=released,
        price=row,
        min_cacheable=512,
        thinking=ALWAYS,
        tool_overhead=286,
        takes_forced_tools=version < (5, 1),
        binds_thinking=version >= (5, 1),
        **more,
    )


OLD: dict[str, Any] = {
    "max_input_tokens": 200_000,
    "max_tokens": 64_000,
    "thinking": MANUAL,
    "thinking_default": "disabled",
    "display_default": "summarized",
    "takes_sampling": True,
    "takes_prefill": True,
    "takes_system_messages": False,
}
"""What the models up to 4.5 have in common."""
AGE_4_6: dict[str, Any] = {
    "thinking": EITHER,
    "thinking_default": "disabled",
    "display_default": "summarized",
    "efforts": NO_XHIGH,
    "takes_sampling": True,
    "takes_system_messages": False,
}

MODELS: tuple[Model, ...] = (
    _fable("fable", (5, 2), "2026-11-09", FABLE_5_2, fast_price=price("16", "80", "0.4")),
    _fable("mythos", (5, 2), "2026-11-09", FABLE_5_2),
    Model(
        id="claude-haiku-5-5",
        name="Claude Haiku 5.5",
        line="haiku",
        version=(5, 5),
        released="2026-10-07",
        price=HAIKU_5_5,
        long_prompt=(HAIKU_LONG_PROMPT, HAIKU_LONG_FACTOR),
        min_cacheable=512,
        effort_default="medium",
        binds_thinking=True,
        takes_system_messages=False,
    ),
    Model(
        id="claude-sonnet-5-5",
        name="Claude Sonnet 5.5",
        line="sonnet",
        version=(5, 5),
        released="2026-09-28",
        price=SONNET_5_5,
        min_cacheable=512,
        thinking=BETWEEN,
        tool_overhead=354,
        takes_forced_tools=False,
        takes_system_messages=False,
        binds_thinking=True,
    ),
    Model(
        id="claude-opus-5-5",
        name="Claude Opus 5.5",
        line="opus",
        version=(5, 5),
        released="2026-09-22",
        price=OPUS_5_5,
        fast_price=price("8", "40", "0.4"),
        min_cacheable=512,
        thinking=ALWAYS,
        effort_default="medium",
        tool_overhead=286,
        takes_forced_tools=False,
        binds_thinking=True,
    ),
    _fable("fable", (5, 1), "2026-08-31", FABLE_5_1),
    _fable("mythos", (5, 1), "2026-08-31", FABLE_5_1),
    Model(
        id="claude-opus-5",
        name="Claude Opus 5",
        line="opus",
        version=(5, 0),
        released="2026-07-24",
        price=OPUS_5,
        min_cacheable=512,
        tool_overhead=286,
    ),
    Model(
        id="claude-sonnet-5",
        name="Claude Sonnet 5",
        line="sonnet",
        version=(5, 0),
        released="2026-06-30",
        price=SONNET_5,
        min_cacheable=1024,
        tool_overhead=354,
        takes_system_messages=False,
    ),
    _fable("fable", (5, 0), "2026-06-09", FABLE_5),
    _fable("mythos", (5, 0), "2026-06-09", FABLE_5),
    Model(
        id="claude-opus-4-8",
        name="Claude Opus 4.8",
        line="opus",
        version=(4, 8),
        released="2026-05-28",
        price=OPUS_5,
        min_cacheable=1024,
        thinking_default="disabled",
    ),
    Model(
        id="claude-opus-4-7",
        name="Claude Opus 4.7",
        line="opus",
        version=(4, 7),
        released="2026-04-16",
        price=OPUS_5,
        min_cacheable=2048,
        thinking_default="disabled",
        takes_system_messages=False,
    ),
    Model(
        id="claude-mythos-preview",
        name="Claude Mythos Preview",
        line="mythos",
        version=(4, 7),
        released="2026-04-07",
        price=FABLE_5,
        min_cacheable=2048,
        thinking=ALWAYS,
        lifecycle="retired",
        deprecated_at="2026-06-09",
        retires_at="2026-06-30",
    ),
    Model(
        id="claude-sonnet-4-6",
        name="Claude Sonnet 4.6",
        line="sonnet",
        version=(4, 6),
        released="2026-02-17",
        price=SONNET_4,
        min_cacheable=1024,
        **AGE_4_6,
    ),
    Model(
        id="claude-opus-4-6",
        name="Claude Opus 4.6",
        line="opus",
        version=(4, 6),
        released="2026-02-05",
        price=OPUS_5,
        min_cacheable=4096,
        **AGE_4_6,
    ),
    Model(
        id="claude-opus-4-5-20251101",
        aliases=("claude-opus-4-5",),
        name="Claude Opus 4.5",
        line="opus",
        version=(4, 5),
        released="2025-11-24",
        price=OPUS_5,
        min_cacheable=4096,
        efforts=UP_TO_HIGH,
        **OLD,
    ),
    Model(
        id="claude-haiku-4-5-20251001",
        aliases=("claude-haiku-4-5",),
        name="Claude Haiku 4.5",
        line="haiku",
        version=(4, 5),
        released="2025-10-15",
        price=HAIKU_4_5,
        min_cacheable=4096,
        efforts=(),
        tool_overhead=496,
        keeps_thinking=False,
        **OLD,
    ),
    Model(
        id="claude-sonnet-4-5-20250929",
        aliases=("claude-sonnet-4-5",),
        name="Claude Sonnet 4.5",
        line="sonnet",
        version=(4, 5),
        released="2025-09-29",
        price=SONNET_4,
        min_cacheable=1024,
        lifecycle="deprecated",
        deprecated_at="2026-09-28",
        retires_at="2026-11-30",
        efforts=(),
        keeps_thinking=False,
        **OLD,
    ),
    Model(
        id="claude-opus-4-1-20250805",
        aliases=("claude-opus-4-1",),
        name="Claude Opus 4.1",
        line="opus",
        version=(4, 1),
        released="2025-08-05",
        price=OPUS_4_1,
        min_cacheable=1024,
        lifecycle="retired",
        deprecated_at="2026-06-05",
        retires_at="2026-08-05",
        efforts=(),
        keeps_thinking=False,
        **OLD,
    ),
    Model(
        id="claude-opus-4-20250514",
        aliases=("claude-opus-4-0",),
        name="Claude Opus 4",
        line="opus",
        version=(4, 0),
        released="2025-05-22",
        price=OPUS_4_1,
        min_cacheable=1024,
        lifecycle="retired",
        deprecated_at="2026-04-14",
        retires_at="2026-06-15",
        efforts=(),
        keeps_thinking=False,
        **OLD,
    ),
    Model(
        id="claude-sonnet-4-20250514",
        aliases=("claude-sonnet-4-0",),
        name="Claude Sonnet 4",
        line="sonnet",
        version=(4, 0),
        released="2025-05-22",
        price=SONNET_4,
        min_cacheable=1024,
        lifecycle="retired",
        deprecated_at="2026-04-14",
        retires_at="2026-06-15",
        efforts=(),
        keeps_thinking=False,
        **OLD,
    ),
)
"""Newest first, the order of `GET /v1/models`."""

_BY_ID = {name: model for model in MODELS for name in (model.id, *model.aliases)}


def find(model_id: str) -> Model | None:
    """The row of an id or alias, retired ones included."""
    return _BY_ID.get(model_id)
