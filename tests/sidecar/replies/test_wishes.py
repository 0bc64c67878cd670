"""What a client may say of the cache, and that nothing it writes breaks anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replies.wishes import LONGEST_TTL, NONE, CacheWishes, wishes_of


@pytest.mark.parametrize(
    ("headers", "wishes"),
    [
        ({}, NONE),
        ({"cache-control": "no-store"}, CacheWishes(no_store=True)),
        ({"cache-control": "No-Store, max-age=5"}, CacheWishes(no_store=True, max_age=5)),
        ({"cache-control": "no-cache"}, CacheWishes(max_age=0)),
        ({"cache-control": "max-age=0"}, CacheWishes(max_age=0)),
        ({"cache-control": ' max-age="30" '}, CacheWishes(max_age=30)),
        ({"cache-control": "max-age=soon, private"}, NONE),
        ({"cache-control": "max-age=-1"}, NONE),
        ({"x-gateway-cache-ttl": " 90 "}, CacheWishes(ttl=90)),
        ({"x-gateway-cache-ttl": "0"}, CacheWishes(ttl=0)),
        ({"x-gateway-cache-ttl": "99999999999"}, CacheWishes(ttl=LONGEST_TTL)),
        ({"x-gateway-cache-ttl": "1.5"}, CacheWishes(misread="1.5")),
        ({"x-gateway-cache-ttl": ""}, CacheWishes(misread="")),
    ],
)
def test_each_wish_is_understood(headers: dict[str, str], wishes: CacheWishes) -> None:
    assert wishes_of(headers) == wishes


def test_only_no_cache_and_its_like_want_an_answer_of_their_own() -> None:
    assert wishes_of({"cache-control": "no-cache"}).fresh
    assert wishes_of({"cache-control": "max-age=0"}).fresh
    assert not wishes_of({"cache-control": "max-age=1"}).fresh
    assert not NONE.fresh


@given(control=st.text(max_size=60), ttl=st.none() | st.text(max_size=20))
def test_whatever_is_written_is_read_as_something(control: str, ttl: str | None) -> None:
    wishes = wishes_of({"cache-control": control} | ({"x-gateway-cache-ttl": ttl} if ttl is not None else {}))
    assert wishes.max_age is None or wishes.max_age >= 0
    assert wishes.ttl is None or 0 <= wishes.ttl <= LONGEST_TTL
