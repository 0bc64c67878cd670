"""The fields of a chat completions request beside its messages and tools."""

from __future__ import annotations

from typing import Any

from sidecar.dialects.openai.notes import Notes
from sidecar.dialects.openai.parameters import (
    NATIVE,
    Fields,
    Parameters,
    read_effort,
    read_max_tokens,
    read_metadata,
    read_service_tier,
    read_stream,
    read_stream_options,
    read_user,
    within,
)
from sidecar.dialects.openai.reading import array, text, whole
from sidecar.dialects.openai.response_format import read_response_format

MOST_CHOICES = 8
"""Each is a call of its own, paid in full."""

WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "store": (False,),
    "prediction": (),
    "prompt_cache_key": (),
    "prompt_cache_retention": (),
    "prompt_cache_options": (),
}
"""Fields that cannot change the answer, with the values that need no note."""

NOT_HONOURED: dict[str, tuple[Any, ...]] = {
    "audio": (),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "moderation": (),
    "presence_penalty": (0,),
    "seed": (),
    "top_logprobs": (0,),
    "verbosity": ("medium",),
}
"""Fields that Claude has nothing for, with the values that ask for what happens anyway."""

READ_ELSEWHERE = frozenset({
    "messages", "system", "model", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls",
    "web_search_options",
})  # fmt: skip


def _stop(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    listed = [value] if type(value) is str else array(value, key)
    wanted = parameters.request.get("stop_sequences", [])
    for index, entry in enumerate(listed):
        sequence = text(entry, f"{key}[{index}]")
        if sequence.isspace():
            notes.add(key, "dropped", "a blank stop sequence, which Claude refuses")
        elif sequence and sequence not in wanted:
            wanted.append(sequence)
    if wanted:
        parameters.request["stop_sequences"] = wanted


def _n(parameters: Parameters, key: str, value: object, _notes: Notes) -> None:
    parameters.n = whole(value, key, 1, MOST_CHOICES)


def _response_format(parameters: Parameters, key: str, value: object, notes: Notes) -> None:
    wanted, parameters.instruction = read_response_format(value, key, parameters.limits, notes)
    if wanted is not None:
        parameters.request.setdefault("output_config", {}).setdefault("format", wanted)


FIELDS = Fields(
    readers={
        "max_completion_tokens": read_max_tokens,
        "max_tokens": read_max_tokens,
        "temperature": within(0, 2),
        "top_p": within(0, 1),
        "stop": _stop,
        "stop_sequences": _stop,
        "n": _n,
        "stream": read_stream,
        "stream_options": read_stream_options,
        "user": read_user,
        "safety_identifier": read_user,
        "metadata": read_metadata,
        "service_tier": read_service_tier,
        "reasoning_effort": read_effort,
        "response_format": _response_format,
    }
    | NATIVE,
    without_effect=WITHOUT_EFFECT,
    not_honoured=NOT_HONOURED,
    read_elsewhere=READ_ELSEWHERE,
)
