"""Both stores, really: every test that takes `store` runs on the disk and in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from sidecar.home import Home
from sidecar.store.store import Store, open_store

MIB = 2**20

_namespaces = (f"of_test_{'abcdefghij'[n // 100]}{'abcdefghij'[n // 10 % 10]}{'abcdefghij'[n % 10]}" for n in count())

Opens = Callable[..., Store]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.open()
    return home


@pytest.fixture(params=["disk", "redis"])
def opens(request: pytest.FixtureRequest, home: Home) -> Iterator[Opens]:
    """Opens a namespace of its own, as often as asked: as other sidecars would."""
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    ours, opened = next(_namespaces), list[Store]()

    def open_it(namespace: str = ours) -> Store:
        opened.append(open_store(home, url, namespace, 8 * MIB))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(opens: Opens) -> Store:
    return opens()
