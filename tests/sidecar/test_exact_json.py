"""JSON that is read and written again without a loss, or refused."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.exact_json import DEEPEST, loads_exactly

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


@given(values)
def test_what_is_read_is_written_again_as_it_was(value: object) -> None:
    text = json.dumps(value)
    try:
        read = loads_exactly(text)
    except ValueError:
        assert any(abs(int(number)) >= 2**63 for number in integers_in(value))
    else:
        assert json.loads(orjson.dumps(read)) == value


def integers_in(value: object) -> list[int]:
    found: list[str] = []
    json.loads(json.dumps(value), parse_int=found.append)
    return [int(digits) for digits in found]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "1e999",
        "[" * 300 + "]" * 300,
        '{"n": 123456789012345678901234567890}',
        "[-9223372036854775809]",
        "18446744073709551616",
    ],
)
def test_what_would_be_spoilt_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        loads_exactly(text)


@pytest.mark.parametrize(
    "text", ["18446744073709551615", "[-9223372036854775808]", "1e300", "[" * DEEPEST + "]" * DEEPEST]
)
def test_what_only_looks_dangerous_is_read(text: str) -> None:
    assert json.loads(orjson.dumps(loads_exactly(text))) == json.loads(text)
