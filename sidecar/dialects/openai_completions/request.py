"""A completions request as Messages requests: one for each prompt.

Claude continues no bare text: it is asked to, in words. So the answer is as good as Claude follows them, and the report
says so. Thinking is off where the model can be without: a completion is wanted at once, within few tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.parameters import (
    NATIVE,
    Fields,
    Parameters,
    read_effort,
    read_max_tokens,
    read_metadata,
    read_parameters,
    read_service_tier,
    read_stream,
    read_stream_options,
    read_user,
    within,
)
from sidecar.dialects.openai.reading import array, flag, mapping, text, whole
from sidecar.dialects.openai.schema_limits import SchemaLimits
from sidecar.dialects.openai_completions.fill_in import Hole, hole_in
from sidecar.errors import invalid_request
from sidecar.exchange import Json, Note

MAX_TOKENS: Final = 16
"""OpenAI's own, where the client names none."""

MOST_COMPLETIONS: Final = 8
"""Prompts times `n`: each is a call of its own, paid in full."""

CONTINUE: Final = (
    "You are a text completion engine, not a partner in a conversation. The user sends the beginning of a text in "
    "<before>. Answer with nothing but the characters that come next, starting exactly where it ends, leading spaces "
    "and line breaks included. No introduction, no comment, no code fence, no tags, and nothing of the text again."
)
FILL_IN: Final = (
    "You are a text completion engine, not a partner in a conversation. The user sends a text with a hole: what stands "
    "before it in <before>, what stands after it in <after>. Answer with nothing but the characters that belong into "
    "the hole, so that before + answer + after reads as one text, indentation included. Keep it short. No "
    "introduction, no comment, no code fence, no tags, and nothing of what stands before or after again."
)
ONE_LINE: Final = " Write no further than to the end of the line."
ONE_PARAGRAPH: Final = " Write no further than to the next blank line."


@dataclass(frozen=True, slots=True)
class Decoded:
    requests: list[Json]
    """The inner form, one for each prompt."""
    echoed: list[str]
    """What each completion begins with, in the client's words; empty without `echo`."""
    notes: list[Note]
    stream: bool
    include_usage: bool
    n: int
    """How many completions of each prompt."""
    cut: tuple[str, ...]
    """Stop sequences that Claude does not take."""


def decode(body: Json) -> Decoded:
    """Pure. Raises GatewayError (400, `param` naming the field)."""
    body = mapping(body, "body")
    notes = Notes()
    model = text(body.get("model"), "model")
    prompts = _prompts(body.get("prompt"))
    parameters = read_parameters(body, _FIELDS, SchemaLimits(), notes)
    if len(prompts) * parameters.n > MOST_COMPLETIONS:
        raise invalid_request(
            f"{len(prompts)} prompts times n={parameters.n}: cgw makes at most {MOST_COMPLETIONS} completions at once.",
            param="n" if parameters.n > 1 else "prompt",
        )
    cut = _read_stop(body.get("stop"), parameters.request, notes)
    suffix = body.get("suffix")
    after = "" if suffix is None else text(suffix, "suffix")
    requests = []
    for prompt in prompts:
        hole = Hole(prompt, after) if after else hole_in(prompt)
        field = "suffix" if after else "prompt"
        if hole is not None:
            notes.add(field, "changed", "Claude has no fill-in-the-middle: it is asked in words to fill the hole")
        else:
            notes.add(field, "changed", "Claude continues no bare text: it is asked in words to")
        requests.append(_request(model, hole or Hole(prompt, ""), parameters, cut))
    echo = body.get("echo") is not None and flag(body["echo"], "echo")
    return Decoded(
        requests=requests,
        echoed=prompts if echo else [""] * len(prompts),
        notes=notes.listed(),
        stream=parameters.stream,
        include_usage=parameters.include_usage,
        n=parameters.n,
        cut=cut,
    )


def _request(model: str, hole: Hole, parameters: Parameters, cut: tuple[str, ...]) -> Json:
    said = f"<before>{hole.before}</before>" + (f"<after>{hole.after}</after>" if hole.after else "")
    instruction = FILL_IN if hole.after else CONTINUE
    if "\n" in cut:
        instruction += ONE_LINE
    elif "\n\n" in cut:
        instruction += ONE_PARAGRAPH
    request: Json = {
        "model": model,
        "system": [{"type": "text", "text": instruction}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": said}]}],
        "max_tokens": MAX_TOKENS,
        **parameters.request,
    }
    if "output_config" not in request:
        request.setdefault("thinking", {"type": "disabled"})
    if parameters.stream:
        request["stream"] = True
    return request


def _prompts(prompt: object) -> list[str]:
    """Raises GatewayError for token ids: they are of another model's vocabulary."""
    listed = [prompt] if type(prompt) is str else array(prompt, "prompt")
    if not listed:
        raise invalid_request("prompt: there must be at least one prompt.", param="prompt")
    if any(type(one) in (int, list) for one in listed):
        raise invalid_request(
            "prompt: token ids mean nothing to Claude, whose vocabulary is another one. Send the prompt as a string.",
            param="prompt",
        )
    return [text(one, f"prompt[{index}]") for index, one in enumerate(listed)]


def _read_stop(value: object, request: Json, notes: Notes) -> tuple[str, ...]:
    """Puts those that Claude takes into the request, and returns the others."""
    if value is None:
        return ()
    listed = [value] if type(value) is str else array(value, "stop")
    wanted = [text(one, f"stop[{index}]") for index, one in enumerate(listed)]
    if visible := list(dict.fromkeys(one for one in wanted if one and not one.isspace())):
        request["stop_sequences"] = visible
    blank = tuple(dict.fromkeys(one for one in wanted if one.isspace()))
    if blank:
        notes.add("stop", "mapped", "Claude takes no blank stop sequence: cgw ends the text there")
    return blank


def _n(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.n = whole(value, key, 1, MOST_COMPLETIONS)


NOT_HONOURED: Final[dict[str, tuple[Any, ...]]] = {
    "best_of": (1,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (),
    "presence_penalty": (0,),
    "seed": (),
}

READ_ELSEWHERE: Final = frozenset({"model", "prompt", "suffix", "echo", "stop"})

_FIELDS: Final = Fields(
    readers={
        "max_tokens": read_max_tokens,
        "temperature": within(0, 2),
        "top_p": within(0, 1),
        "n": _n,
        "stream": read_stream,
        "stream_options": read_stream_options,
        "user": read_user,
        "metadata": read_metadata,
        "service_tier": read_service_tier,
        "reasoning_effort": read_effort,
    }
    | NATIVE,
    without_effect={"store": (False,), "prompt_cache_key": ()},
    not_honoured=NOT_HONOURED,
    read_elsewhere=READ_ELSEWHERE,
)
