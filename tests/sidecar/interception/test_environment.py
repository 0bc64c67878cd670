"""The variables for programs that come through the interceptor."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.interception.environment import proxy_environment

URL = "http://127.0.0.1:4344"
BUNDLE = Path("/home/me/ca/bundle.pem")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", URL),
        ("https_proxy", URL),
        ("NO_PROXY", "localhost,127.0.0.1,::1"),
        ("no_proxy", "localhost,127.0.0.1,::1"),
        ("SSL_CERT_FILE", str(BUNDLE)),
        ("REQUESTS_CA_BUNDLE", str(BUNDLE)),
        ("CURL_CA_BUNDLE", str(BUNDLE)),
        ("NODE_EXTRA_CA_CERTS", str(BUNDLE)),
        ("NODE_USE_ENV_PROXY", "1"),
    ],
)
def test_each_client_finds_what_it_reads(name: str, value: str) -> None:
    assert proxy_environment(URL, BUNDLE)[name] == value


def test_what_is_not_encrypted_stays_where_it_is() -> None:
    names = {name.upper() for name in proxy_environment(URL, BUNDLE)}
    assert not names & {"HTTP_PROXY", "ALL_PROXY"}
