from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import GatewayError
from sidecar.retries import FIRST_SECONDS, LONGEST_SECONDS, PATIENCE_SECONDS, TRIES, patience, wait_before


def failure(status: int, **told: object) -> GatewayError:
    return GatewayError("api_error", "no", status=status, upstream=True, **told)  # type: ignore[arg-type]


def wait(error: GatewayError, tries: int = 1, left: float = PATIENCE_SECONDS) -> float | None:
    return wait_before(error, tries, left=left, chance=lambda: 1.0)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 520, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert wait(failure(status)) == FIRST_SECONDS


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_claude_refuses_is_not(status: int) -> None:
    assert wait(failure(status)) is None


def test_what_the_gateway_itself_refuses_is_not() -> None:
    assert wait(GatewayError("rate_limit_error", "your minute is full", retry_after=1)) is None


def test_a_certificate_that_is_not_trusted_will_not_be_in_a_moment_either() -> None:
    assert wait(failure(502, code="upstream_untrusted")) is None


@pytest.mark.parametrize(
    ("status", "word", "again"), [(500, "false", False), (400, "true", True), (529, "maybe", True)]
)
def test_claudes_own_word_counts_before_the_status(status: int, word: str, again: bool) -> None:
    assert (wait(failure(status, headers={"x-should-retry": word})) is not None) is again


def test_there_are_only_so_many_tries() -> None:
    assert wait(failure(529), tries=TRIES - 1) is not None
    assert wait(failure(529), tries=TRIES) is None


def test_claude_says_when_and_nobody_comes_sooner() -> None:
    assert wait(failure(429, retry_after=7.0)) == 7.0 + FIRST_SECONDS
    assert wait_before(failure(429, retry_after=7.0), 1, left=60, chance=lambda: 0.0) == 7.0


def test_who_would_have_to_wait_longer_than_the_client_does_hears_of_it_at_once() -> None:
    assert wait(failure(429, retry_after=90.0)) is None
    assert wait(failure(529), left=0.1) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, PATIENCE_SECONDS),
        ({"x-stainless-timeout": "600"}, PATIENCE_SECONDS),
        ({"x-stainless-timeout": "5"}, 5.0),
        ({"x-stainless-read-timeout": "2.5"}, 2.5),
        ({"x-stainless-timeout": "0"}, PATIENCE_SECONDS),
        ({"x-stainless-timeout": "never"}, PATIENCE_SECONDS),
    ],
)
def test_a_clients_own_timeout_bounds_its_patience(headers: dict[str, str], seconds: float) -> None:
    assert patience(headers) == seconds


@given(
    st.integers(100, 599),
    st.integers(1, 10),
    st.floats(0, 100),
    st.floats(0, 1),
    st.none() | st.floats(0, 100),
)
def test_a_wait_is_always_within_patience_and_never_shorter_than_claude_said(
    status: int, tries: int, left: float, chance: float, told: float | None
) -> None:
    seconds = wait_before(failure(status, retry_after=told), tries, left=left, chance=lambda: chance)
    if seconds is not None:
        assert (told or 0) <= seconds < left
        assert seconds - (told or 0) <= LONGEST_SECONDS + 1e-9
