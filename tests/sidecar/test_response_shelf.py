"""Kept responses: by project, for a time, within bounds, and the row that they stand in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.dialects.openai_responses import Stored
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.home import Home
from sidecar.response_shelf import NAMESPACE, ResponseShelf
from sidecar.store.shelves import Shelf, Shelves

NOW = 1_800_000_000.0
DAY = 24 * 3600.0


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    home = Home(tmp_path)
    home.open()
    shelves = Shelves(home, None)
    yield shelves(NAMESPACE, 1 << 24)
    shelves.close()


def stored(number: int, before: int | None = None, *, words: str = "hi") -> Stored:
    response: Json = {
        "id": f"resp_{number:032x}",
        "created_at": NOW,
        "previous_response_id": None if before is None else f"resp_{before:032x}",
        "output": [{"type": "message", "id": f"msg_{number:032x}0000", "role": "assistant", "content": f"a{number}"}],
    }
    return Stored(response, [{"role": "user", "content": words}])


async def test_what_is_kept_is_found_at_once_and_by_the_next_process(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY)
    kept.keep("web", stored(1))
    assert await kept.find("web", stored(1).id, NOW) == stored(1)
    shelf.flush()
    assert await ResponseShelf(shelf, kept_seconds=DAY).find("web", stored(1).id, NOW) == stored(1)


async def test_what_is_nested_too_deep_to_be_written_is_not_kept_and_does_no_harm(shelf: Shelf) -> None:
    deep: Json = {}
    for _ in range(300):
        deep = {"inside": deep}
    kept, response = ResponseShelf(shelf, kept_seconds=DAY), stored(1)
    kept.keep("web", Stored(response.response, [{"type": "web_search_call", "action": deep}]))
    with pytest.raises(GatewayError) as raised:
        await kept.find("web", response.id, NOW)
    assert raised.value.status == 404


async def test_no_project_sees_another_ones(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY)
    kept.keep("web", stored(1))
    with pytest.raises(GatewayError, match="another project") as raised:
        await kept.find("api", stored(1).id, NOW)
    assert raised.value.status == 404


async def test_whoever_follows_finds_what_was_settled(shelf: Shelf) -> None:
    shelf.share()
    kept = ResponseShelf(shelf, kept_seconds=DAY)
    kept.keep("web", stored(1))
    await kept.settled()
    assert await ResponseShelf(shelf, kept_seconds=DAY).find("web", stored(1).id, NOW) == stored(1)


async def test_a_response_ends_with_its_time(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY)
    kept.keep("web", stored(1))
    assert await kept.find("web", stored(1).id, NOW + DAY - 1)
    with pytest.raises(GatewayError):
        await kept.find("web", stored(1).id, NOW + DAY)


async def test_a_row_has_the_items_of_all_in_their_order(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY)
    for number, before in ((1, None), (2, 1), (3, 2)):
        kept.keep("web", stored(number, before, words=f"q{number}"))
    row = await kept.history("web", stored(3).id, NOW)
    assert [item["content"] for item, _ in row] == ["q1", "a1", "q2", "a2", "q3", "a3"]
    assert row[2][1] == "previous_response_id[2]"


async def test_a_gap_in_the_row_is_said_and_so_is_a_circle(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY)
    kept.keep("web", stored(2, 1))
    kept.keep("web", stored(3, 3))
    for number in (2, 3):
        with pytest.raises(GatewayError, match="Send the whole conversation") as raised:
            await kept.history("web", stored(number).id, NOW)
        assert (raised.value.status, raised.value.code) == (400, "previous_response_not_found")


async def test_what_a_request_goes_on_from_is_bounded_in_bytes(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY, most_bytes=2_000)
    for number in range(1, 9):
        kept.keep("web", stored(number, number - 1 or None, words="x" * 200))
    shelf.flush()
    size = len(stored(2, 1, words="x" * 200).to_bytes())
    monkeypatch.setattr("sidecar.response_shelf.LARGEST_CHAIN_BYTES", 5 * size)
    assert await kept.history("web", stored(5).id, NOW)
    asked = (
        kept.history("web", stored(6).id, NOW),
        kept.referred_to("web", [f"msg_{number:032x}0000" for number in range(1, 7)], NOW),
    )
    for too_much in asked:
        with pytest.raises(GatewayError, match="summary") as raised:
            await too_much
        assert raised.value.status == 413


async def test_what_is_deleted_is_gone_here_and_on_disk(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY)
    kept.keep("web", stored(1))
    await kept.delete("web", stored(1).id, NOW)
    for one in (kept, ResponseShelf(shelf, kept_seconds=DAY)):
        with pytest.raises(GatewayError):
            await one.find("web", stored(1).id, NOW)
    with pytest.raises(GatewayError):
        await kept.delete("web", stored(1).id, NOW)


async def test_memory_is_bounded_and_the_rest_comes_from_disk(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY, most_bytes=2_000)
    for number in range(40):
        kept.keep("web", stored(number, words="x" * 200))
    assert kept.bytes_in_memory <= 2_000
    shelf.flush()
    assert await kept.find("web", stored(0).id, NOW)
    assert kept.bytes_in_memory <= 2_000


async def test_memory_of_what_was_deleted_is_bounded_too(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY, most_bytes=2_000)
    for number in range(20):
        kept.keep("web", stored(number))
        await kept.delete("web", stored(number).id, NOW)
    assert 0 < kept.bytes_in_memory <= 2_000


async def test_with_no_time_nothing_is_kept(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=0)
    kept.keep("web", stored(1))
    with pytest.raises(GatewayError):
        await kept.find("web", stored(1).id, NOW)


async def test_an_item_leads_to_the_response_that_it_came_from(shelf: Shelf) -> None:
    kept = ResponseShelf(shelf, kept_seconds=DAY)
    kept.keep("web", stored(1))
    found = await kept.referred_to("web", [f"msg_{1:032x}0000", "msg_elsewhere", f"rs_{7:032x}0001"], NOW)
    assert found == {stored(1).id: stored(1)}
