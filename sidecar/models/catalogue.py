"""Which Claude a request means: aliases, lifecycle, and what each model takes.

Pure, but for the table beside it: `models.toml` is what is known before Anthropic was asked. `Catalogue.update` puts
Anthropic's own list on top.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.models.names import DATED, spellings

Line = Literal["haiku", "sonnet", "opus", "fable", "mythos"]
LINES: tuple[Line, ...] = get_args(Line)
Lifecycle = Literal["active", "deprecated", "retired"]
Reason = Literal["exact", "alias", "mapped", "retired", "dated", "unknown"]

EFFORTS = ("low", "medium", "high", "xhigh", "max")
"""`output_config.effort`, lowest first."""

Wish = Literal["auto", "fast", "best"]
WISHES: dict[str, Wish] = {"auto": "auto", "auto:fast": "fast", "auto:best": "best"}
"""Aliases that leave the model to us. What they lead to is who answers where routing is off."""

OWN_LINES = tuple(line for line in LINES if line != "mythos")
"""The lines an alias may lead to: Mythos is by invitation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One model and what it takes. Limits are in tokens; `None` where nobody said.

    The first block is what Anthropic's `ModelInfo` says, the rest is what only its documentation does.
    """

    id: str
    display_name: str
    created_at: datetime
    lifecycle: Lifecycle = "active"
    line: Line | None = None
    deprecated_at: datetime | None = None
    retires_at: datetime | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    thinking: frozenset[str] = frozenset({"adaptive"})
    """The values of `thinking.type` that the model accepts."""
    efforts: tuple[str, ...] = ()
    structured_outputs: bool = True
    image_input: bool = True
    pdf_input: bool = True

    takes_sampling: bool = False
    """`temperature`, `top_p` and `top_k`, and those only under API versions that still know them."""
    takes_prefill: bool = False
    takes_forced_tool_choice: bool = False
    takes_mid_system: bool = False
    """`{"role": "system"}` inside `messages`."""
    min_cacheable: int = 1_024
    """Shorter prompts are not cached, whatever is marked in them."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The model that answers, and why that one."""

    card: ModelCard
    asked: str
    reason: Reason
    note: str | None = None
    """One sentence for the header and the log, where the client should know."""
    effort_hint: str | None = None
    """The effort that a suffix of the name asks for (`-thinking-high`)."""
    wish: Wish | None = None
    """What the name leaves to us."""


@dataclass(frozen=True, slots=True)
class _Table:
    """`models.toml`, read."""

    aliases: Mapping[str, Line]
    openai: Mapping[str, str]
    cards: Mapping[str, ModelCard]
    same: Mapping[str, tuple[str, ...]]
    """Every id of a model that has several, by each of them."""
    successors: Mapping[str, Line]
    """The line that answers for a retired model, of which Anthropic's list may say that it has no line."""


MOST_RESOLVED = 1_000
"""Names of which it is remembered what they mean."""


@dataclass
class Catalogue:
    """Every model known, and every name it answers to.

    `overrides` is the user's own table, name or pattern (`gpt-*`) to alias or id; it comes before everything else.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._table = _snapshot()
        self._cards = dict(self._table.cards)
        self._offered: frozenset[str] | None = None
        self._resolved: dict[str, Resolution] = {}
        self._overrides = {name.strip().lower(): target for name, target in self.overrides.items()}

    def update(self, infos: Iterable[Json]) -> None:
        """Put Anthropic's own list on top: `ModelInfo` objects as JSON, each with at least `id` and `created_at`.

        What the list says wins, new models are added, and what only the snapshot knows (retired ids above all) stays. A
        model that the list leaves out is no longer offered and no alias leads to it. An empty list changes nothing.
        """
        cards, offered = dict(self._table.cards), set[str]()
        for info in infos:
            for model_id in {info["id"], *self._table.same.get(info["id"], ())}:
                base = self._table.cards.get(model_id) or _guess(model_id, self._newest_before(info.get("line")))
                cards[model_id] = _merged(base, info)
                offered.add(model_id)
        if offered:
            self._cards, self._offered = cards, frozenset(offered)
            self._resolved = {}

    def newest(self, line: Line) -> ModelCard:
        """The line's newest active model, or the newest deprecated one where none is active. Raises LookupError."""
        card = self._newest(line)
        if card is None:
            raise LookupError(f"no model of the {line} line is available")
        return card

    def _newest(self, line: Line | None) -> ModelCard | None:
        if line is None:
            return None
        for lifecycle in ("active", "deprecated"):
            cards = [card for card in self._available() if card.line == line and card.lifecycle == lifecycle]
            if cards:
                # Of two ids of one model the shorter is the one that people write.
                return max(cards, key=lambda card: (card.created_at, -len(card.id)))
        return None

    @property
    def aliases(self) -> dict[str, str]:
        """Alias to the id it stands for today."""
        found = {alias: self._find(alias, self._overrides) for alias in self._table.aliases}
        return {alias: resolution.card.id for alias, resolution in found.items() if resolution is not None}

    def listed(self) -> list[ModelCard]:
        """What `GET /v1/models` shows: the aliases, then the real ids that are not retired, newest first."""
        aliases = [_named(self.card(model_id), alias) for alias, model_id in self.aliases.items()]
        real = [card for card in self._available() if card.lifecycle != "retired"]
        return aliases + sorted(real, key=lambda card: card.created_at, reverse=True)

    def shown(self, asked: str) -> ModelCard:
        """What `GET /v1/models/{id}` shows: the card that answers, under the name asked. Raises GatewayError (404)."""
        resolution = self.resolve(asked)
        if resolution.reason == "unknown":
            raise self._not_found(asked)
        return resolution.card if resolution.card.id == asked else _named(resolution.card, asked)

    def card(self, model_id: str) -> ModelCard:
        """The card of a Claude id, guessed for one nobody knows. Raises GatewayError (404) for other names."""
        return self._cards.get(model_id) or self.resolve(model_id).card

    def knows(self, model_id: str) -> bool:
        """Whether this is the id of a model, current or retired, and not only shaped like one."""
        return model_id in self._cards

    def offers(self, model_id: str) -> bool:
        """Whether this is the id of a model that can be asked now, as far as anybody said."""
        card = self._cards.get(model_id)
        listed = self._offered is None or model_id in self._offered
        return card is not None and listed and card.lifecycle != "retired"

    def same_line(self, model_id: str) -> list[str]:
        """The ids of its line, newest first; none for a name of no line."""
        found = self._find(model_id, {})
        line = found.card.line if found else None
        cards = [card for card in self._cards.values() if line is not None and card.line == line]
        return [card.id for card in sorted(cards, key=lambda card: card.created_at, reverse=True)]

    def resolve(self, asked: str) -> Resolution:
        """The model that `asked` means. Raises GatewayError (404, `model_not_found`) for one nobody knows."""
        if (resolution := self._resolved.get(asked)) is not None:
            return resolution
        resolution = self._find(asked, self._overrides)
        if resolution is None:
            raise self._not_found(asked)
        if len(self._resolved) < MOST_RESOLVED:
            self._resolved[asked] = resolution
        return resolution

    def _find(self, asked: str, overrides: Mapping[str, str]) -> Resolution | None:
        names = spellings(asked)
        for name in names:
            if (pattern := _matching(name.name, overrides)) is not None:
                return self._mapped(asked, overrides[pattern], _without(overrides, pattern), name.effort)
        for name in names:
            if (found := self._exact(asked, name.name)) is not None:
                return replace(found, note=found.note or name.note, effort_hint=name.effort)
        for name in reversed(names):
            if (pattern := _matching(name.name, self._table.openai)) is not None:
                return self._mapped(asked, self._table.openai[pattern], overrides, name.effort)
        for name in names:
            if name.verbatim.startswith("claude-"):
                return Resolution(_guess(name.verbatim, self._line_in(name.name)), asked, "unknown")
        return None

    def _exact(self, asked: str, name: str) -> Resolution | None:
        if (card := self._cards.get(name)) is not None:
            if card.lifecycle == "retired":
                return self._succeeded(asked, card)
            return Resolution(card, asked, "exact" if name == asked else "alias")
        if (line := _line_named(name, self._table.aliases)) is not None:
            newest = self._newest(line)
            return None if newest is None else Resolution(newest, asked, "alias", wish=WISHES.get(name))
        # A dated id of a model known by its undated one passes on as it is written: the API decides.
        if (dated := DATED.fullmatch(name)) and (base := self._cards.get(dated["base"])) is not None:
            if base.lifecycle == "retired":
                return self._succeeded(asked, base)
            return Resolution(replace(base, id=name), asked, "dated")
        return None

    def _mapped(self, asked: str, target: str, overrides: Mapping[str, str], effort: str | None) -> Resolution | None:
        found = self._find(target, overrides)
        if found is None:
            return None
        note = f"{asked} is answered by {found.card.id}."
        if found.note:
            note += f" {found.note}"
        return Resolution(found.card, asked, "mapped", note, effort or found.effort_hint, found.wish)

    def _succeeded(self, asked: str, retired: ModelCard) -> Resolution | None:
        card = self._newest(retired.line or self._table.successors.get(retired.id))
        if card is None:
            return None
        when = f" on {retired.retires_at.date()}" if retired.retires_at else ""
        return Resolution(card, asked, "retired", f"{retired.id} was retired{when}; {card.id} answers in its place.")

    def _available(self) -> list[ModelCard]:
        offered = self._offered
        return [card for card in self._cards.values() if offered is None or card.id in offered]

    def _newest_before(self, line: str | None) -> ModelCard:
        """The snapshot's newest of a line: what a model that nobody knows yet is most likely to be like."""
        known = [card for card in self._table.cards.values() if card.lifecycle == "active"]
        return max((card for card in known if card.line == line), default=_cautious(known), key=lambda c: c.created_at)

    def _line_in(self, name: str) -> ModelCard:
        """A model of the line that stands in the name: a guess, and only for an id that Anthropic's list lacks too."""
        return self._newest_before(next((line for line in LINES if line in name), None))

    def _not_found(self, asked: str) -> GatewayError:
        names = ", ".join(dict.fromkeys(card.id for card in self.listed()))
        return GatewayError(
            "not_found_error",
            f"There is no model {asked!r}. Available are: {names}. "
            "The table [models] of cgw.toml can give further names to them.",
            param="model",
            code="model_not_found",
        )


def _named(card: ModelCard, name: str) -> ModelCard:
    return replace(card, id=name, display_name=f"{card.display_name} ({name})")


def _without(overrides: Mapping[str, str], name: str) -> dict[str, str]:
    """Each row of the user's table is used once, so that `opus = "opus"` or a circle ends."""
    return {pattern: target for pattern, target in overrides.items() if pattern != name}


def _matching(name: str, patterns: Mapping[str, str]) -> str | None:
    if name in patterns:
        return name
    return next((pattern for pattern in patterns if fnmatchcase(name, pattern)), None)


def _line_named(name: str, aliases: Mapping[str, Line]) -> Line | None:
    """The line of `sonnet`, `claude-sonnet` or `claude-sonnet-latest`."""
    return aliases.get(name.removeprefix("claude-").removesuffix("-latest"))


def _cautious(known: list[ModelCard]) -> ModelCard:
    return max((card for card in known if card.line == "sonnet"), key=lambda card: card.created_at)


def _guess(model_id: str, like: ModelCard) -> ModelCard:
    """A card for a model nobody described: what every recent one takes, within the limits of `like`."""
    return ModelCard(
        id=model_id,
        display_name=model_id,
        created_at=datetime.fromtimestamp(0, UTC),
        line=like.line,
        max_input_tokens=like.max_input_tokens,
        max_tokens=like.max_tokens,
        efforts=EFFORTS[:3],
    )


def _merged(card: ModelCard, info: Json) -> ModelCard:
    """`card` with everything that Anthropic's `ModelInfo` says about it."""
    capabilities = info.get("capabilities") or {}
    said: dict[str, Any] = {
        name: info[name]
        for name in ("display_name", "lifecycle", "max_input_tokens", "max_tokens")
        if info.get(name) is not None
    }
    said |= {
        name: _moment(info[name])
        for name in ("created_at", "deprecated_at", "retires_at")
        if info.get(name) is not None
    }
    said |= {name: None for name in ("deprecated_at", "retires_at") if name in info and info[name] is None}
    if "line" in info:
        said["line"] = info["line"] if info["line"] in LINES else None
    said |= {
        name: bool(capabilities[name].get("supported"))
        for name in ("structured_outputs", "image_input", "pdf_input")
        if capabilities.get(name)
    }
    if types := (capabilities.get("thinking") or {}).get("types"):
        said["thinking"] = frozenset(name for name, support in types.items() if support and support.get("supported"))
    if effort := capabilities.get("effort"):
        said["efforts"] = tuple(level for level in EFFORTS if (effort.get(level) or {}).get("supported"))
    return replace(card, **said)


def _moment(written: str) -> datetime:
    moment = datetime.fromisoformat(written)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@cache
def _snapshot() -> _Table:
    wire = tomllib.loads((files("sidecar.models") / "models.toml").read_text("utf-8"))
    known = {column.name for column in fields(ModelCard)}
    cards: dict[str, ModelCard] = {}
    same: dict[str, tuple[str, ...]] = {}
    successors: dict[str, Line] = {}
    for model_id, row in wire["models"].items():
        row = wire["ages"][row["age"]] | row
        columns = {name: _typed(value) for name, value in row.items() if name in known}
        columns["thinking"] = frozenset(columns["thinking"])
        ids = (model_id, *row.get("also", ()))
        for name in ids:
            cards[name] = ModelCard(id=name, **columns)
            if len(ids) > 1:
                same[name] = ids
            if (line := row.get("successor") or row.get("line")) is not None:
                successors[name] = line
    return _Table(wire["aliases"], wire["openai"], cards, same, successors)


def _typed(value: Any) -> Any:
    if type(value) is date:
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return tuple(value) if isinstance(value, list) else value
