"""Where thinking waits for its turn: found again after a restart, bounded, and never served when it is broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.home import Home
from sidecar.store.shelves import Shelf, Shelves
from sidecar.thinking import KeptThinking
from sidecar.thinking_shelf import KEPT_SECONDS, LARGEST_BYTES, ThinkingShelf


def thought(signature: str = "c2ln") -> KeptThinking:
    block = {"type": "thinking", "thinking": "", "signature": signature}
    return KeptThinking(project="web", model="m", at=0.0, turn="t", ahead=((0, (block,)),), tokens=7)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelves = Shelves(Home(tmp_path), None)
    yield shelves("thinking", 1024 * 1024)
    shelves.close()


async def test_it_is_found_again_after_a_restart_by_its_project_alone(shelf: Shelf) -> None:
    ThinkingShelf(shelf).keep("web", "msg_1", thought())
    shelf.flush()
    again = ThinkingShelf(shelf)
    assert await again.find("web", "msg_1", 1.0) == thought()
    assert await again.find("app", "msg_1", 1.0) is None
    assert await again.find("web", "msg_2", 1.0) is None


async def test_only_of_an_answer_that_was_kept_without_it_is_known_that_there_is_none(
    shelf: Shelf,
) -> None:
    thinking = ThinkingShelf(shelf)
    thinking.keep("web", "msg_1", thought())
    thinking.keep("web", "msg_2", None)
    assert [thinking.is_without("web", f"msg_{number}") for number in (1, 2, 3)] == [False, True, False]
    assert not thinking.is_without("app", "msg_2")
    shelf.flush()
    again = ThinkingShelf(shelf)
    assert not again.is_without("web", "msg_1")
    assert await again.find("web", "msg_1", 1.0) == thought()
    assert not again.is_without("web", "msg_1")


async def test_what_is_no_thinking_is_thrown_away_and_counted(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    ThinkingShelf(shelf).keep("web", "msg_1", thought())
    shelf.flush()
    [(key, _)] = shelf.entries()
    for value in (b"{}", b"7", b"no json"):
        shelf.put(key, value, 60)
        shelf.flush()
        assert await ThinkingShelf(shelf).find("web", "msg_1", 1.0) is None
    assert shelf.corrupt == 3
    assert "thrown away" in caplog.text
    shelf.flush()
    assert not [*shelf.entries()]


async def test_memory_holds_so_many_and_so_many_bytes_and_the_store_has_the_others(shelf: Shelf) -> None:
    for bounds in ({"most_entries": 3}, {"most_bytes": 500}):
        thoughts = ThinkingShelf(shelf, **bounds)
        for number in range(6):
            thoughts.keep("web", f"msg_{number}", thought(str(number)))
        assert 0 < len(thoughts) <= 3
        shelf.flush()
        assert await thoughts.find("web", "msg_0", 1.0) == thought("0")


async def test_too_old_and_too_large_is_not_kept(shelf: Shelf) -> None:
    thoughts = ThinkingShelf(shelf)
    thoughts.keep("web", "msg_1", thought())
    thoughts.keep("web", "msg_2", thought("x" * LARGEST_BYTES))
    assert await thoughts.find("web", "msg_1", KEPT_SECONDS - 1.0) is not None
    assert await thoughts.find("web", "msg_1", KEPT_SECONDS + 1.0) is None
    assert await thoughts.find("web", "msg_2", 1.0) is None
    shelf.flush()
    assert [entry.project for _, entry in shelf.entries()] == ["web"]
