"""The stable part of a system prompt is found by looking at other conversations."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.repair.stable import LEAST_STABLE, split_point

RULES = "".join(f"Rule {number}: read before you write.\n" for number in range(1, 100))


def at(clock: str, rules: str = RULES) -> str:
    return f"{rules}<env>\nTime: {clock}\n</env>\n"


def test_the_cut_stands_before_the_line_that_varies() -> None:
    current = at("10:05")
    cut = split_point([at("09:00"), at("09:30")], current)
    assert cut is not None
    assert current[cut:] == "Time: 10:05\n</env>\n"


def test_most_earlier_conversations_decide() -> None:
    current = at("10:05")
    others = [at("09:00"), RULES[: LEAST_STABLE + 100] + "other rules\n", at("09:30")]
    assert split_point(others, current) == current.index("Time")


def test_the_same_text_says_nothing_about_what_varies() -> None:
    assert split_point([at("10:05")] * 3, at("10:05")) is None
    assert split_point([at("10:05")] * 3 + [at("09:00")], at("10:05")) == at("10:05").index("Time")


def test_too_little_in_common_is_not_worth_a_cut() -> None:
    assert split_point([at("09:00", "Be brief.\n")], at("10:05", "Be brief.\n")) is None
    assert split_point([], at("10:05")) is None


def test_a_text_of_one_line_is_cut_between_words() -> None:
    line = RULES.replace("\n", " ")
    current = f"{line}It is 10:05 now."
    cut = split_point([f"{line}It is 09:30 now."], current)
    assert cut is not None
    assert current[cut:] == "10:05 now."


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=50), st.lists(st.text(max_size=50), max_size=4))
def test_what_stands_before_the_cut_is_shared_with_an_earlier_text(tail: str, tails: list[str]) -> None:
    current, earlier = RULES + tail, [RULES + other for other in tails]
    cut = split_point(earlier, current)
    if cut is not None:
        assert LEAST_STABLE <= cut < len(current)
        assert any(text.startswith(current[:cut]) and text != current for text in earlier)
