"""Which conversations go without the layers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.holdout import in_holdout

PERCENT = st.floats(0, 100, allow_nan=False)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), PERCENT, PERCENT)
def test_a_conversation_stays_where_it_is_and_more_percent_only_add_to_the_arm(
    conversation: str, one: float, other: float
) -> None:
    less, more = sorted((one, other))
    assert in_holdout(conversation, one) == in_holdout(conversation, one)
    assert in_holdout(conversation, less) <= in_holdout(conversation, more)
    assert not in_holdout(conversation, 0)
    assert in_holdout(conversation, 100)


def test_the_share_is_the_one_asked_for() -> None:
    for percent in (0.5, 5, 50):
        held = sum(in_holdout(f"conversation {number}", percent) for number in range(20_000))
        assert abs(held / 200 - percent) < 1
