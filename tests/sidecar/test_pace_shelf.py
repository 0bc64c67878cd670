"""What every layer may ask of clients' habits."""

from collections.abc import Callable

from sidecar.pace import FURTHER_PRIOR, Pace
from sidecar.pace_shelf import PaceShelf


class Shelf(dict[str, bytes]):
    def put(self, key: str, value: bytes | Callable[[], bytes], ttl_seconds: float) -> None:
        self[key] = value if isinstance(value, bytes) else value()


async def test_until_it_has_been_read_conversations_go_on_as_the_prior_says() -> None:
    assert PaceShelf(Shelf()).further("aider", 1) == FURTHER_PRIOR


async def test_a_client_of_short_conversations_is_expected_to_end_also_after_a_restart() -> None:
    shelf = Shelf()
    paces = PaceShelf(shelf)
    await paces.read()
    assert isinstance(paces.known, Pace)
    client = paces.known.of("aider")
    for _ in range(100):
        client = client.after_request(1)
    paces.known.learn("aider", client)
    paces.save()
    again = PaceShelf(shelf)
    await again.read()
    assert again.further("aider", 1) < 2
    assert again.further("cline", 1) == FURTHER_PRIOR
