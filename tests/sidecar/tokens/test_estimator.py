"""Token estimates: offline, total over any text, remembered, and scaled by what usage reports."""

import contextlib
import hashlib
import inspect
import json
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.resources import files
from typing import Any

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from sidecar.tokens import estimator as tokens_module
from sidecar.tokens.estimator import NOTHING, SPLIT, VOCABULARY, Anchor, Shape, TokenEstimator
from sidecar.tokens.visual import PAGE_TOKENS, UNKNOWN_IMAGE_TOKENS

MODEL, PROJECT = "claude-opus-5-5", "default"
ESTIMATOR = TokenEstimator()
PROSE = "The quick brown fox jumps over the lazy dog. "

any_text = st.text(st.characters(codec=None), max_size=400)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_the_vocabulary_is_the_beginning_of_o200k_base() -> None:
    content = (files("sidecar.tokens") / VOCABULARY).read_bytes()
    assert hashlib.sha256(content).hexdigest() == "af1367d5eb788afc56d1ce58631d4f5e1fa8659af773b71f3af265dc26115b48"
    assert [int(line.split()[1]) for line in content.splitlines()] == list(range(32_768))
    assert "MIT" in (files("sidecar.tokens") / "bpe/LICENSE.tiktoken").read_text()


def test_texts_are_split_as_tiktoken_splits_them_for_o200k_base() -> None:
    source = inspect.getsource(import_module("tiktoken_ext.openai_public").o200k_base)
    assert "|".join(re.findall(r'r"""(.*?)"""', source)) == SPLIT


def test_counting_never_opens_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("counting opened a socket")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "/nonexistent")
    tokens_module._loaded.cache_clear()
    estimator = TokenEstimator()
    estimator.load()
    assert estimator.count_text(PROSE).pieces > 5


def test_threads_that_count_first_load_the_vocabulary_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[int] = []
    together = threading.Barrier(2)

    class Slow(tiktoken.Encoding):
        def __init__(self, *given: object, **named: object) -> None:
            loaded.append(1)
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(0.1)  # the other one, if it loads too
            super().__init__(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(tiktoken, "Encoding", Slow)
    tokens_module._loaded.cache_clear()
    with ThreadPoolExecutor(2) as pool:
        assert len({id(one) for one in pool.map(lambda _: tokens_module._encoding(), range(2))}) == 1
    assert len(loaded) == 1


@given(any_text)
def test_any_text_has_a_count_also_one_with_broken_surrogates(text: str) -> None:
    assert 0 <= ESTIMATOR.count_text(text).pieces <= 4 * len(text)


@given(st.text(max_size=400))
def test_every_text_can_be_put_together_again_from_its_pieces(text: str) -> None:
    encoding = tokens_module._encoding()
    assert encoding.decode(encoding.encode_ordinary(text)) == text


@pytest.mark.parametrize("text", ["x" + " " * 1_100_000 + "y", "\n" * 300_000, "=" * 300_000, "aA" * 150_000])
def test_texts_that_overflow_the_tokenizer_in_one_piece_are_counted_in_slices(text: str) -> None:
    assert ESTIMATOR.count_text(text).pieces > 100


def test_a_text_is_tokenised_once_however_often_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = TokenEstimator()
    first = estimator.count_blocks([{"type": "text", "text": PROSE}])
    monkeypatch.setitem(tokens_module._SHAPES, "text", lambda _: pytest.fail("tokenised again"))
    marked = {"type": "text", "text": PROSE, "cache_control": {"type": "ephemeral"}}
    assert estimator.count_blocks([marked]) == first
    assert estimator.count_blocks([{"type": "tool_result", "tool_use_id": "t", "content": PROSE}]) == first


def test_only_so_many_texts_are_remembered_the_least_used_go_first() -> None:
    estimator = TokenEstimator(memo_size=3)
    for text in ("one", "two", "three", "one", "four"):
        estimator.count_text(text)
    assert len(estimator._memo) == 3
    kept = set(estimator._memo)
    estimator.count_text("one")
    assert set(estimator._memo) == kept


def test_counts_agree_from_many_threads() -> None:
    texts = [PROSE * (n % 7) + str(n % 50) for n in range(400)]
    alone = [TokenEstimator().count_text(text) for text in texts]
    shared = TokenEstimator(memo_size=20)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(shared.count_text, texts)) == alone


@given(st.lists(st.text(min_size=1, max_size=40), max_size=5), json_values)
def test_a_request_counts_what_its_parts_count(texts: list[str], arguments: Any) -> None:
    call = {"type": "tool_use", "id": "t", "name": "read", "input": arguments}
    blocks = [*({"type": "text", "text": text} for text in texts), call]
    request = {"system": "Be brief.", "messages": [{"role": "user", "content": blocks}]}
    parts = [ESTIMATOR.count_text("Be brief."), *map(ESTIMATOR.count_text, texts), ESTIMATOR.count_text("read")]
    written = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    assert ESTIMATOR.count_request(request) == sum([*parts, ESTIMATOR.count_text(written)], NOTHING)


BLOCKS = [
    ({"type": "text", "text": PROSE}, PROSE),
    ({"type": "thinking", "thinking": PROSE, "signature": "x" * 900}, PROSE),
    ({"type": "redacted_thinking", "data": "x" * 900}, ""),
    ({"type": "tool_result", "tool_use_id": "t"}, ""),
    ({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": PROSE}]}, PROSE),
    ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": PROSE}}, PROSE),
    ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": PROSE}]}}, PROSE),
    ({"type": "from_the_future", "x": 1, "cache_control": {}}, '{"type":"from_the_future","x":1}'),
]


@pytest.mark.parametrize(("block", "text"), BLOCKS, ids=lambda value: value["type"] if isinstance(value, dict) else "")
def test_each_kind_of_block_counts_what_the_model_reads_of_it(block: dict[str, Any], text: str) -> None:
    assert ESTIMATOR.count_block(block) == ESTIMATOR.count_text(text)


def test_images_and_pages_count_by_rule_and_are_never_scaled() -> None:
    estimator = TokenEstimator()
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    shape = estimator.count_block(image)
    for _ in range(20):
        estimator.calibrate(MODEL, PROJECT, Shape(1_000), 3_000)
    assert estimator.tokens(MODEL, PROJECT, shape) == UNKNOWN_IMAGE_TOKENS
    pdf = {"type": "document", "source": {"type": "base64", "data": "JVBERi0xLjQKL1R5cGUgL1BhZ2UK"}}
    assert estimator.tokens(MODEL, PROJECT, estimator.count_block(pdf)) == PAGE_TOKENS


def test_older_models_see_images_smaller() -> None:
    shape = Shape(0, 4784, 1568)
    assert ESTIMATOR.tokens("claude-opus-5-5", PROJECT, shape) == 4784
    assert ESTIMATOR.tokens("claude-haiku-4-5", PROJECT, shape) == 1568


def test_predictions_follow_what_usage_reports_for_that_model_and_project_only() -> None:
    estimator = TokenEstimator()
    shape = Shape(10_000)
    before = estimator.predict(MODEL, PROJECT, shape)
    for _ in range(30):
        estimator.calibrate(MODEL, PROJECT, shape, 20_000)
    assert estimator.predict(MODEL, PROJECT, shape) == pytest.approx(20_000, rel=0.002)
    assert estimator.predict(MODEL, "other", shape) == before
    assert estimator.predict("claude-sonnet-5-5", PROJECT, shape) == before


def test_an_anchor_pins_a_prediction_to_the_conversations_own_usage() -> None:
    estimator = TokenEstimator()
    anchor = Anchor(Shape(100_000), 163_000)
    assert estimator.predict(MODEL, PROJECT, Shape(100_000), anchor=anchor) == 163_000
    grown = estimator.predict(MODEL, PROJECT, Shape(101_000), anchor=anchor)
    assert grown - 163_000 == pytest.approx(1_630, rel=0.01)
    assert estimator.predict(MODEL, PROJECT, Shape(99_000), anchor=anchor) < 163_000
    assert estimator.predict(MODEL, PROJECT, NOTHING, anchor=anchor) >= 0


def test_tools_bring_a_system_prompt_of_their_own() -> None:
    assert ESTIMATOR.predict(MODEL, PROJECT, NOTHING, tools=True) - ESTIMATOR.predict(MODEL, PROJECT, NOTHING) == 286
