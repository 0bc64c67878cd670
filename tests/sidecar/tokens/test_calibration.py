"""Calibration: generations told apart, outliers ignored, memory bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.tokens.calibration import BEFORE_4_7, CURRENT, Calibration, Generation, frame_tokens, generation

MODEL = "claude-sonnet-5-5"


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("claude-3-5-sonnet-20241022", BEFORE_4_7),
        ("claude-sonnet-4-20250514", BEFORE_4_7),
        ("claude-opus-4-5-20251101", BEFORE_4_7),
        ("claude-haiku-4-5", BEFORE_4_7),
        ("claude-sonnet-4.6", BEFORE_4_7),
        ("claude-opus-4-7", CURRENT),
        ("claude-opus-5", CURRENT),
        ("claude-haiku-5-5-20261007", CURRENT),
        ("claude-opus-10-1", CURRENT),
        ("claude-mythos-preview", CURRENT),
        ("house-model", CURRENT),
    ],
)
def test_a_models_generation_is_read_from_its_version(model: str, expected: Generation) -> None:
    assert generation(model) is expected


@pytest.mark.parametrize(("model", "tokens"), [("claude-haiku-4-5", 496), ("claude-sonnet-5", 354), ("other", 286)])
def test_tools_cost_what_the_line_charges_for_them(model: str, tokens: int) -> None:
    assert frame_tokens(model, tools=True) - frame_tokens(model, tools=False) == tokens


@given(st.lists(st.tuples(st.integers(-5, 10**6), st.integers(-5, 10**8)), max_size=30))
def test_no_observation_however_absurd_takes_the_scale_out_of_the_plausible(observed: list[tuple[int, int]]) -> None:
    calibration = Calibration()
    for pieces, tokens in observed:
        calibration.observe(MODEL, "p", pieces, tokens)
    low, high = Calibration.PLAUSIBLE
    prior = CURRENT.tokens_a_piece
    assert low * prior * 0.999 <= calibration.tokens_a_piece(MODEL, "p") <= high * prior * 1.001


@given(st.floats(0.6, 3.0), st.integers(2_000, 200_000))
def test_the_scale_comes_to_what_is_reported_steadily(scale: float, pieces: int) -> None:
    calibration = Calibration()
    for _ in range(40):
        calibration.observe(MODEL, "p", pieces, round(pieces * scale))
    assert calibration.tokens_a_piece(MODEL, "p") == pytest.approx(scale, rel=0.001)


def test_only_so_many_pairs_are_kept() -> None:
    calibration = Calibration()
    for n in range(Calibration.PAIRS + 10):
        calibration.observe(MODEL, f"project {n}", 1_000, 2_000)
    assert len(calibration._sums) == Calibration.PAIRS
    assert calibration.tokens_a_piece(MODEL, "project 0") == CURRENT.tokens_a_piece
    assert calibration.tokens_a_piece(MODEL, f"project {Calibration.PAIRS}") > 1.5
