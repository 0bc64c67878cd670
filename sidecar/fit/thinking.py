"""Thinking and effort: what is asked for, in the words that the model knows.

Models up to 4.5 think within a budget or not at all, later ones as much as their effort says, and the newest cannot be
kept from it: `models.toml` tells who takes what.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sidecar.exchange import Json
from sidecar.fit.draft import Draft, blocks_of
from sidecar.models.catalogue import EFFORTS

BUDGETS = {"low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_000, "max": 48_000}
"""`budget_tokens` in place of an effort, in tokens; at most half of `max_tokens`, so that the answer has room."""

LEAST_BUDGET = 1_024
"""The API's own."""

OFF_EFFORT = "high"
"""The highest effort that models without budgets take while thinking is off."""

OFF = ("disabled", "between_tools")
"""Ways to say no, the plainest first: between tool calls the model may still leave short notes."""


SAID = frozenset({"thinking", "output_config"})
"""Fields that say something of it."""

LACKING = "the running tool calls came back without the thinking that led to them"


@dataclass(frozen=True, slots=True)
class Wish:
    """`thinking` and `output_config.effort` of one request."""

    thinking: Json | None
    effort: str | None


def fit_thinking(draft: Draft, hint: str | None) -> None:
    if hint is None and SAID.isdisjoint(draft.request):
        return
    wish = Wish(draft.get("thinking"), draft.output("effort"))
    if wish.thinking is None:
        wish = Wish(None, wish.effort or hint)
    rule = _RULES.get(draft.thinking)
    fitted = _known_effort(draft, rule(draft, wish) if rule else wish)
    if fitted.thinking is None:
        draft.drop("thinking")
    else:
        draft["thinking"] = fitted.thinking
    if fitted.effort != draft.output("effort"):
        draft.set_output("effort", fitted.effort)


def _unsaid(draft: Draft, wish: Wish) -> Wish:
    """An effort alone is OpenAI's way to ask for reasoning, which some models only begin when told to."""
    if wish.effort is None:
        return wish
    if "adaptive" in draft.card.thinking:
        # The newer models keep the text of their thinking to themselves unless it is asked for.
        return replace(wish, thinking={"type": "adaptive", "display": "summarized"})
    return _within_budget(draft, wish) if "enabled" in draft.card.thinking else wish


def _adaptive(draft: Draft, wish: Wish) -> Wish:
    if "adaptive" in draft.card.thinking:
        return wish
    if "enabled" in draft.card.thinking:
        return _within_budget(draft, wish)
    draft.note("thinking", "dropped", f"{draft.card.id} does not think")
    return replace(wish, thinking=None)


def _manual(draft: Draft, wish: Wish) -> Wish:
    thinking = wish.thinking or {}
    budget = thinking.get("budget_tokens")
    if "enabled" in draft.card.thinking:
        return _checked_budget(draft, wish, budget)
    if "adaptive" not in draft.card.thinking:
        draft.note("thinking", "dropped", f"{draft.card.id} does not think")
        return replace(wish, thinking=None)
    effort = wish.effort or _effort_of(budget)
    draft.note("thinking", "mapped", f"{draft.card.id} takes no budget; it decides itself, at effort {effort}")
    return Wish({"type": "adaptive"} | _but(thinking, "type", "budget_tokens"), effort)


def _off(draft: Draft, wish: Wish) -> Wish:
    asked = (wish.thinking or {}).get("type")
    known = [kind for kind in OFF if kind in draft.card.thinking]
    if not known:
        effort = wish.effort or ("low" if draft.card.efforts else None)
        draft.note("thinking", "changed", f"{draft.card.id} always thinks; it does so unseen, at effort {effort}")
        unseen = {"type": "adaptive", "display": "omitted"}
        return Wish(unseen if "adaptive" in draft.card.thinking else None, effort)
    thinking = wish.thinking
    if asked not in known:
        thinking = {"type": known[0]}
        draft.note("thinking", "mapped", f"{known[0]} is how {draft.card.id} keeps from thinking")
    effort = wish.effort
    if "enabled" not in draft.card.thinking and effort in EFFORTS[EFFORTS.index(OFF_EFFORT) + 1 :]:
        draft.note("output_config.effort", "changed", f"{OFF_EFFORT}, the most there is without thinking")
        effort = OFF_EFFORT
    return Wish(thinking, effort)


_RULES: dict[str | None, Callable[[Draft, Wish], Wish]] = {
    None: _unsaid,
    "adaptive": _adaptive,
    "enabled": _manual,
    "disabled": _off,
    "between_tools": _off,
}


def _within_budget(draft: Draft, wish: Wish) -> Wish:
    budget = min(BUDGETS.get(wish.effort or "high", BUDGETS["high"]), draft.get("max_tokens") // 2)
    if lacks_thinking(draft.get("messages")):
        draft.note("thinking", "dropped", LACKING)
        return replace(wish, thinking=None)
    if budget < LEAST_BUDGET:
        draft.note("thinking", "dropped", f"max_tokens leaves no room: {LEAST_BUDGET} tokens of thinking is the least")
        return replace(wish, thinking=None)
    draft.note("thinking", "mapped", f"a budget of {budget} tokens")
    manual = {"type": "enabled", "budget_tokens": budget}
    return replace(wish, thinking=manual | _but(wish.thinking or {}, *manual))


def _checked_budget(draft: Draft, wish: Wish, budget: object) -> Wish:
    if not isinstance(budget, int):
        return wish
    most = draft.get("max_tokens") - 1
    if most < LEAST_BUDGET:
        draft.note("thinking", "dropped", f"max_tokens leaves no room: {LEAST_BUDGET} tokens of thinking is the least")
        return replace(wish, thinking=None)
    if LEAST_BUDGET <= budget <= most:
        return wish
    allowed = max(LEAST_BUDGET, min(budget, most))
    draft.note("thinking.budget_tokens", "changed", f"{allowed}: at least {LEAST_BUDGET}, and less than max_tokens")
    return replace(wish, thinking={**(wish.thinking or {}), "budget_tokens": allowed})


def _known_effort(draft: Draft, wish: Wish) -> Wish:
    """The nearest effort below that the model knows, else its lowest."""
    levels = draft.card.efforts
    if wish.effort is None or wish.effort in levels or wish.effort not in EFFORTS:
        return wish
    asked = draft.output("effort") is not None
    if not levels:
        if asked and (wish.thinking or {}).get("type") == "enabled":
            draft.note("output_config.effort", "mapped", f"a budget of thinking; {draft.card.id} knows no effort")
        elif asked:
            draft.note("output_config.effort", "dropped", f"{draft.card.id} knows no effort")
        return replace(wish, effort=None)
    below = [level for level in levels if EFFORTS.index(level) < EFFORTS.index(wish.effort)]
    effort = below[-1] if below else levels[0]
    if asked:
        draft.note("output_config.effort", "changed", f"{effort}, the nearest that {draft.card.id} knows")
    return replace(wish, effort=effort)


def _effort_of(budget: object) -> str:
    """The effort in place of a budget. A budget is a limit, not a demand: none leads above `high`."""
    if not isinstance(budget, int):
        return "high"
    return next((level for level in ("low", "medium") if budget <= BUDGETS[level]), "high")


def lacks_thinking(messages: list[Json]) -> bool:
    """Whether the conversation stands in tool calls that are sent back without their thinking.

    With a budget the API wants the assistant's turn that a run of calls began with to start with thinking; OpenAI
    clients have nowhere to keep it.
    """
    first: Json | None = None
    answered = any
    for message in reversed(messages):
        if message["role"] == "user":
            # The newest turn may say something beside its results; before it, words of the user begin a new run.
            if not answered(block.get("type") == "tool_result" for block in blocks_of(message)):
                break
            answered = all
        elif message["role"] == "assistant":
            first = message
    return first is not None and next(iter(blocks_of(first)), {}).get("type") not in ("thinking", "redacted_thinking")


def _but(fields: Json, *names: str) -> Json:
    return {name: value for name, value in fields.items() if name not in names}
