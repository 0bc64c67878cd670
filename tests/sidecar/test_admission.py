import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.admission import Admission
from sidecar.errors import GatewayError

KEY = "cgw-secret"


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in values.items()]


@pytest.mark.parametrize(
    "shown",
    [
        headers(authorization=f"Bearer {KEY}"),
        headers(authorization=f"bearer {KEY}"),
        headers(x_api_key=KEY),
        headers(api_key=KEY),
        headers(authorization="", x_api_key=KEY),
        headers(authorization="Bearer ", x_api_key=KEY),
        headers(authorization="Bearer something-else", x_api_key=KEY),
    ],
)
def test_the_key_opens_wherever_clients_put_it(shown: list[tuple[bytes, bytes]]) -> None:
    Admission(KEY, key_file="key").check(shown)


@pytest.mark.parametrize(
    ("shown", "complaint"),
    [
        ([], "no API key"),
        (headers(authorization=""), "no API key"),
        (headers(authorization=KEY), "no API key"),
        (headers(authorization="Basic abc"), "no API key"),
        (headers(x_api_key=" "), "no API key"),
        (headers(x_api_key="wrong"), "not the gateway's"),
        (headers(authorization="Bearer schl\xfcssel"), "not the gateway's"),
    ],
)
def test_anything_else_is_refused_with_where_to_find_the_key(shown: list[tuple[bytes, bytes]], complaint: str) -> None:
    with pytest.raises(GatewayError, match=complaint) as refusal:
        Admission(KEY, key_file="/home/me/key").check(shown)
    assert refusal.value.status == 401
    assert "/home/me/key" in refusal.value.message
    assert KEY not in refusal.value.message


@given(st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"api-key"]), st.binary(max_size=40))))
def test_no_header_that_lacks_the_key_ever_opens(shown: list[tuple[bytes, bytes]]) -> None:
    if any(KEY.encode() in value for _, value in shown):
        return
    with pytest.raises(GatewayError):
        Admission(KEY, key_file="key").check(shown)
