"""Claude's answers as text completions: whole and streamed say the same, and nothing behind a stop sequence passes."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.anthropic_messages import stream_of
from sidecar.dialects.openai_completions import CompletionStream, encode_message, end_of
from sidecar.dialects.openai_completions.cut import Cut
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.sse import ServerSentEvent

SEQUENCES = st.lists(st.sampled_from(["\n", "\n\n", " \n", "\r\n", "\n \n", "\t"]), max_size=3)
TEXTS = st.lists(st.text(alphabet="ab \n\r\t", max_size=6), max_size=8)


def message(text: str, stop_reason: str = "end_turn") -> Json:
    usage = {"input_tokens": 3, "output_tokens": 2}
    content = [{"type": "text", "text": text}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
            "stop_reason": stop_reason, "stop_sequence": None, "usage": usage}  # fmt: skip


def streamed(answer: Json, **fields: Any) -> list[Json]:
    one = CompletionStream(id="cmpl-1", created=1, model="claude-x", include_usage=True, index=0, **fields)
    told = one.feed_all(stream_of(answer)) + end_of([one])
    lines = [line.removeprefix(b"data: ") for line in told.split(b"\n\n") if line]
    assert lines.pop() == b"[DONE]"
    return [orjson.loads(line) for line in lines]


@given(TEXTS, SEQUENCES)
def test_a_cut_lets_pass_what_stands_before_the_first_sequence_however_it_comes(
    pieces: list[str], sequences: list[str]
) -> None:
    cut = Cut(sequences)
    passed = "".join([cut.feed(piece) for piece in pieces]) + cut.rest()
    text = "".join(pieces)
    # Of two sequences the one that is complete first ends the text; where both begin before that, the earlier one.
    assert text.startswith(passed)
    assert not any(sequence in passed for sequence in sequences)
    assert cut.ended == any(sequence in text for sequence in sequences)
    if not cut.ended:
        assert passed == text


@pytest.mark.parametrize(
    ("stop_reason", "finish"),
    [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("refusal", "content_filter")],
)
def test_both_ways_tell_the_same(stop_reason: str, finish: str) -> None:
    answer = message("x = 1", stop_reason)
    whole = encode_message(answer, id="cmpl-1", created=1, index=0, echoed="# ")
    chunks = streamed(answer, echoed="# ")
    [choice] = whole["choices"]
    assert choice == {"text": "# x = 1", "index": 0, "logprobs": None, "finish_reason": finish}
    told = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert "".join(one["text"] for one in told) == choice["text"]
    assert [one["finish_reason"] for one in told][-1] == finish
    assert chunks[-1]["usage"] == whole["usage"]
    assert {chunk["object"] for chunk in chunks} == {whole["object"]} == {"text_completion"}


def test_the_end_of_a_line_ends_both_ways() -> None:
    answer = message("x = 1\ny = 2", "max_tokens")
    [choice] = encode_message(answer, id="c", created=1, index=0, cut=["\n"])["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("x = 1", "stop")
    told = [chunk["choices"][0] for chunk in streamed(answer, cut=["\n"]) if chunk["choices"]]
    assert ("".join(one["text"] for one in told), told[-1]["finish_reason"]) == ("x = 1", "stop")


def test_an_event_that_makes_no_sense_is_a_broken_answer() -> None:
    one = CompletionStream(id="c", created=1, model="m", include_usage=False, index=0)
    with pytest.raises(GatewayError):
        one.feed_all([ServerSentEvent(b"x", b'{"type": "content_block_delta"}', b"")])
