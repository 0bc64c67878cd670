import typing

import orjson
import pytest
from anthropic.types import ErrorResponse
from anthropic.types.shared import ErrorType
from hypothesis import given
from hypothesis import strategies as st

from sidecar.dialects.anthropic_messages import decode_upstream_error, encode_error, error_event, error_in
from sidecar.errors import STATUS_OF_KIND, GatewayError
from sidecar.sse import EventSplitter


def anthropic_body(kind: str, message: str = "why", **more: object) -> bytes:
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "req_011"})


@pytest.mark.parametrize(("kind", "status"), STATUS_OF_KIND.items())
def test_every_kind_comes_and_goes_with_its_status(kind: str, status: int) -> None:
    body = anthropic_body(kind)
    error = decode_upstream_error(status, body, {})
    assert (error.kind, error.status, error.raw) == (kind, status, body)
    assert error.message.endswith("why")
    assert encode_error(error) == (status, {"type": "error", "error": {"type": kind, "message": error.message}})


@pytest.mark.parametrize(
    "kind", sorted(STATUS_OF_KIND.keys() - {"request_too_large"})
)  # the SDK has no type for that one
def test_every_error_is_one_that_the_sdk_knows(kind: str) -> None:
    _, body = encode_error(GatewayError(kind, "why"))
    assert ErrorResponse.model_validate(body).error.message == "why"


@pytest.mark.parametrize("kind", typing.get_args(ErrorType))
def test_every_error_type_of_the_sdk_is_known_or_read_by_its_status(kind: str) -> None:
    error = decode_upstream_error(409, anthropic_body(kind), {})
    assert error.kind == (kind if kind in STATUS_OF_KIND else "invalid_request_error")
    assert error.status == 409


@pytest.mark.parametrize(
    ("status", "kind"), [(418, "invalid_request_error"), (599, "api_error"), (503, "overloaded_error")]
)
def test_a_type_from_tomorrow_is_read_by_its_status(status: int, kind: str) -> None:
    error = decode_upstream_error(status, anthropic_body("error_of_tomorrow"), {})
    assert (error.kind, error.status) == (kind, status)


def test_a_refused_key_is_said_to_be_the_gateways_and_not_the_clients() -> None:
    error = decode_upstream_error(401, anthropic_body("authentication_error", "invalid x-api-key"), {})
    assert error.message == "Anthropic did not accept cgw's own key (ANTHROPIC_API_KEY): invalid x-api-key"


def test_the_stable_code_of_the_cause_is_kept() -> None:
    body = anthropic_body("rate_limit_error", details={"error_code": "contract_spend_limit_reached"})
    assert decode_upstream_error(429, body, {}).code == "contract_spend_limit_reached"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17.0),
        ({"retry-after": " 0.5 "}, 0.5),
        (
            {"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"},
            30.0,
        ),
        ({"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 -0000", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_servers_clock(headers: dict[str, str], seconds: float | None) -> None:
    error = decode_upstream_error(429, anthropic_body("rate_limit_error"), headers)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (
            502,
            b"<html>\n<head><title>502 Bad\n Gateway</title></head><body>cloudflare</body></html>",
            "Something between cgw and Claude answered 502, not Claude's API: 502 Bad Gateway.",
        ),
        (
            403,
            b"Access denied by policy.\r\n",
            "Something between cgw and Claude answered 403, not Claude's API: Access denied by policy.",
        ),
        (
            413,
            b"<html><h1>nope</h1></html>",
            (
                "Something between cgw and Claude answered 413, not Claude's API: "
                "the request is larger than Claude's API takes (32 MB)."
            ),
        ),
        (500, b"", "Something between cgw and Claude answered 500, not Claude's API: no explanation."),
        (500, b"[]", "Something between cgw and Claude answered 500, not Claude's API: no explanation."),
        (
            404,
            b'{"error": "no such route"}',
            "Something between cgw and Claude answered 404, not Claude's API: no such route.",
        ),
        (
            400,
            b'{"error": {"message": "bad", "type": "x"}}',
            "Something between cgw and Claude answered 400, not Claude's API: bad.",
        ),
        (422, b'{"detail": "unfit"}', "Something between cgw and Claude answered 422, not Claude's API: unfit."),
    ],
)
def test_an_answer_from_something_in_between_becomes_one_sentence(status: int, body: bytes, sentence: str) -> None:
    error = decode_upstream_error(status, body, {})
    assert error.message == sentence
    assert error.status == status
    assert error.raw is None


def test_a_redirect_asks_about_the_address() -> None:
    error = decode_upstream_error(302, b"", {"location": "https://login.example/"})
    assert error.status == 502
    assert error.message == "Claude's address redirects to https://login.example/: is ANTHROPIC_BASE_URL right?"


def test_a_proxy_that_wants_credentials_is_not_handed_on_as_such() -> None:
    error = decode_upstream_error(407, b"<p>", {})
    assert error.status == 502
    assert "the proxy on the way to Claude wants credentials" in error.message


def test_long_pages_are_cut() -> None:
    for page in (b"x", b"<title", b"<title>"):
        assert len(decode_upstream_error(500, page * 100_000, {}).message) < 300


@given(
    st.integers(300, 599),
    st.binary(max_size=60) | st.text(alphabet='{}[]":, errortypmsag1', max_size=60).map(str.encode),
    st.dictionaries(st.sampled_from(["retry-after", "date", "location"]), st.text(max_size=30)),
)
def test_no_answer_however_odd_raises_or_breaks_a_line(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = decode_upstream_error(status, body, headers)
    assert error.kind in STATUS_OF_KIND
    assert 400 <= error.status <= 599
    assert error.message.isprintable()
    assert error.retry_after is None or error.retry_after >= 0


def test_an_overload_inside_a_stream_is_an_overload() -> None:
    data = anthropic_body("overloaded_error", "Overloaded")
    error = error_in(data)
    assert (error.kind, error.status, error.message, error.raw) == ("overloaded_error", 529, "Overloaded", data)


@pytest.mark.parametrize("data", [b"", b"oops", b"{}", b"[1]", b'{"type":"error","error":null}'])
def test_an_error_event_that_says_nothing_is_still_an_error(data: bytes) -> None:
    error = error_in(data)
    assert (error.kind, error.status) == ("api_error", 500)
    assert error.message == "Claude broke off its answer without saying why."


def test_an_error_in_mid_stream_is_one_event_with_claudes_own_words_where_there_are_any() -> None:
    own = anthropic_body("overloaded_error", "Overloaded", unknown=1)
    assert error_event(GatewayError("overloaded_error", "m", raw=own)) == b"event: error\ndata: " + own + b"\n\n"
    made = error_event(GatewayError("api_error", "broken", status=502))
    (event,) = EventSplitter().feed(made)
    assert event.name == b"error"
    assert orjson.loads(event.data) == {"type": "error", "error": {"type": "api_error", "message": "broken"}}


def test_a_pretty_printed_error_stays_one_event() -> None:
    raw = b'{\n "type": "error"\n}'
    (event,) = EventSplitter().feed(error_event(GatewayError("api_error", "m", raw=raw)))
    assert orjson.loads(event.data)["error"]["message"] == "m"
