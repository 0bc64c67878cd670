import pytest

from sidecar.accounts.account import UNBILLED, Account
from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Usage
from sidecar.live import line_of
from tests.support.exchanges import an_exchange


def finished(**fields: object) -> Exchange:
    exchange = an_exchange(
        client="aider",
        status=200,
    )
    for name, value in fields.items():
        setattr(exchange, name, value)
    exchange.timing.finished = exchange.timing.received + 3.1
    return exchange


def test_a_line_says_who_asked_what_came_of_it_and_how_long_it_took() -> None:
    exchange = finished(usage=Usage(input_tokens=1345, cache_read_tokens=11_000, output_tokens=512))
    exchange.timing.first_byte = exchange.timing.received + 0.42
    line = line_of(exchange)
    assert line.startswith("200 chat aider sonnet -> claude-sonnet-5-5 | in 12,345 (11,000 cached) out 512 | ")
    assert line.endswith("first 0.42 s, 3.10 s")


def test_a_client_that_left_and_an_error_are_told() -> None:
    assert line_of(finished(cancelled=True)).startswith("left chat")
    error = GatewayError("overloaded_error", "Overloaded")
    assert line_of(finished(status=529, error=error)).endswith("| Overloaded")


def test_input_cannot_forge_a_line() -> None:
    line = line_of(finished(model_asked="x\n200 chat aider fine\x1b[31m", error=GatewayError("api_error", "a\r\nb")))
    assert line.isprintable()


@pytest.mark.parametrize(
    ("account", "told"),
    [
        (Account(20 * 10**9, 89 * 10**8, (("prompt_cache", 111 * 10**8),)), "| $0.0089 saved $0.011 |"),
        (Account(28 * 10**7, 28 * 10**7, estimated=True), "| ~$0.00028 |"),
        (Account(10**12, 15 * 10**11, (("prompt_cache", -5 * 10**11),)), "| $1.50 lost $0.50 |"),
    ],
)
def test_a_line_says_what_it_cost_and_what_that_saved(account: Account, told: str) -> None:
    assert told in line_of(finished(account=account))


def test_nothing_is_said_of_the_cost_where_there_was_none() -> None:
    assert "$" not in line_of(finished(account=UNBILLED))
