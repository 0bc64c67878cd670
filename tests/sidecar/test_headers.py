from hypothesis import given
from hypothesis import strategies as st

from sidecar.exchange import Note
from sidecar.headers import REPORT_LIMIT, client_headers, for_client, for_upstream, printable, report_of
from tests.support.exchanges import an_exchange


def test_credentials_are_left_out_of_what_an_exchange_keeps() -> None:
    raw = [(b"Authorization", b"Bearer k"), (b"X-Api-Key", b"k"), (b"Cookie", b"c"), (b"User-Agent", b"me")]
    assert client_headers(raw) == {"user-agent": "me"}


def test_repeated_headers_are_joined() -> None:
    assert client_headers([(b"anthropic-beta", b"a"), (b"anthropic-beta", b"b")]) == {"anthropic-beta": "a, b"}


def test_the_native_route_passes_what_is_not_about_this_hop() -> None:
    passed = for_upstream(
        {
            "anthropic-beta": "new-thing-2027-01-01",
            "anthropic-version": "2023-06-01",
            "user-agent": "claude-cli",
            "x-app": "cli",
            "x-gateway-strict": "1",
            "x-cgw-clock": "1",
            "x-project": "web",
            "host": "localhost:4343",
            "content-length": "10",
            "origin": "https://evil.example",
        },
        "anthropic_messages",
    )
    assert passed == {
        "anthropic-beta": "new-thing-2027-01-01",
        "anthropic-version": "2023-06-01",
        "user-agent": "claude-cli",
        "x-app": "cli",
    }


def test_the_translated_route_passes_what_is_meant_for_anthropic_only() -> None:
    meant = {"anthropic-beta": "b", "anthropic-version": "2023-06-01"}
    assert for_upstream({**meant, "user-agent": "OpenAI", "openai-organization": "o"}, "openai_chat") == meant


@given(st.dictionaries(st.sampled_from(["x-gateway-", "x-cgw-", "x-project", "x-api-key", "authorization"]), st.text()))
def test_what_is_meant_for_the_gateway_never_goes_upstream(headers: dict[str, str]) -> None:
    headers = {name + ("strict" if name.endswith("-") else ""): value for name, value in headers.items()}
    assert for_upstream(headers, "anthropic_messages") == {}


@given(st.lists(st.builds(Note, st.text(), st.sampled_from(["dropped", "mapped"]), st.text())))
def test_a_report_is_one_line_of_ascii_within_its_limit(notes: list[Note]) -> None:
    report = report_of(notes)
    assert report.isascii()
    assert report.isprintable()
    assert len(report) <= REPORT_LIMIT + len("; and 100 more")


def test_a_report_names_each_thing_once_and_says_when_it_was_cut() -> None:
    note = Note("temperature", "dropped", "this model takes none")
    assert report_of([note, note]) == "temperature=dropped (this model takes none)"
    many = report_of([Note(f"messages[{n}]", "repaired", "x" * 100) for n in range(100)])
    assert many.endswith(" more")


def test_a_log_line_cannot_be_forged() -> None:
    assert printable("gpt\r\n200 all fine\x1b[2J") == "gpt??200 all fine?[2J"


def test_an_answer_says_who_answered_and_hands_on_claudes_own_headers() -> None:
    exchange = an_exchange(
        stream=False,
    )
    exchange.upstream_headers = {"request-id": "req_up", "anthropic-ratelimit-requests-limit": "50", "x-other": "no"}
    assert for_client(exchange) == {
        "request-id": "req_up",
        "anthropic-ratelimit-requests-limit": "50",
        "x-gateway": "claude-gateway",
        "x-cache": "MISS",
        "x-request-id": "req_1",
        "x-gateway-model": "claude-sonnet-5-5",
    }


@given(st.text(max_size=20))
def test_whatever_claudes_headers_say_can_be_handed_on(said: str) -> None:
    told = for_client(an_exchange(upstream_headers={"request-id": said, "anthropic-x": said}))
    for value in told.values():
        assert value.isascii()
        assert value.isprintable()


def test_what_a_client_calls_a_header_of_this_connection_stays_here() -> None:
    headers = {"connection": "Keep-Alive, X-Of-This-Hop", "x-of-this-hop": "1", "x-of-the-tool": "2"}
    assert for_upstream(headers, "anthropic_messages") == {"x-of-the-tool": "2"}
