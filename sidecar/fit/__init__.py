"""Makes a request that no model in particular was meant for into one that a given model takes.

The OpenAI decoder writes the largest form of Anthropic's Messages request; models differ in what they accept of it.
Each rule changes one thing for one reason and leaves a note. Two things hold for all of them: fitting what is fitted
changes nothing, and the messages of an earlier turn come out as they did then, so that the prompt cache holds. What a
rule must say to the model it says at the very end, behind everything that will be sent again.

Sources: the types of Anthropic's SDK and its documentation of thinking, effort, tool use, prefill, structured outputs
and mid-conversation system messages.
"""

from __future__ import annotations

from sidecar.exchange import Json, Note
from sidecar.fit.draft import Draft, check_shape
from sidecar.fit.parameters import (
    fit_format,
    fit_max_tokens,
    fit_sampling,
    fit_strict_tools,
    fit_tool_choice,
)
from sidecar.fit.thinking import fit_thinking
from sidecar.fit.turns import fit_prefill, fit_system_turns, refuse_media
from sidecar.models.catalogue import ModelCard

__all__ = ["fit"]


def fit(
    request: Json,
    card: ModelCard,
    *,
    api_version: str,
    default_max_tokens: int | None,
    effort_hint: str | None = None,
) -> tuple[Json, list[Note]]:
    """`request` as the model of `card` takes it, and what had to change.

    `request` itself is never written to; it is what comes back when it fits already. `default_max_tokens` is the
    user's, in tokens; None means what the model needs. `effort_hint` counts where the request says nothing about
    thinking. Raises GatewayError (400) for what has not the shape of a request, and for pictures or PDFs that the model
    cannot read.
    """
    check_shape(request)
    draft = Draft(request, card)
    draft["model"] = card.id
    refuse_media(draft)
    fit_system_turns(draft)
    fit_max_tokens(draft, default_max_tokens)
    fit_thinking(draft, effort_hint)
    fit_prefill(draft)
    fit_sampling(draft, api_version)
    # The rules that add an instruction at the end come after the one that decides where the end is.
    fit_tool_choice(draft)
    fit_format(draft)
    fit_strict_tools(draft)
    return draft.request, draft.notes
