"""The variables for programs that can be told a base URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.connect.address import Address, Key
from sidecar.connect.shells import FileContents, OtherVariable
from sidecar.connect.variables import base_url_environment, read_words, word_of

URL = "http://127.0.0.1:4343"
KEY = Key("cgw-secret", file=Path("/home/me/key"))
HERE = Address(URL, KEY)


def test_openais_clients_get_v1_and_anthropics_do_not() -> None:
    words = base_url_environment(HERE, {})
    assert words["OPENAI_BASE_URL"] == words["OPENAI_API_BASE"] == f"{URL}/v1"
    assert words["ANTHROPIC_BASE_URL"] == URL


def test_every_name_of_a_key_has_the_gateways_so_that_no_real_one_goes_out() -> None:
    values = read_words(base_url_environment(HERE, {"ANTHROPIC_API_KEY": "sk-ant-real"}), KEY)
    keys = {value for name, value in values.items() if "KEY" in name or "TOKEN" in name}
    assert keys == {"cgw-secret"}


@pytest.mark.parametrize(
    ("key", "word"),
    [
        (KEY, FileContents(Path("/home/me/key"))),
        (Key("secret", variable="GATEWAY_API_KEY"), OtherVariable("GATEWAY_API_KEY")),
        (Key("secret"), "secret"),
    ],
)
def test_a_shell_is_shown_where_the_key_is_and_the_key_only_where_it_is_nowhere(key: Key, word: object) -> None:
    assert word_of(key) == word


def test_the_key_is_not_shown_by_accident() -> None:
    assert "cgw-secret" not in repr(HERE)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_users_is_not_asked_for_this_machine(name: str) -> None:
    words = base_url_environment(HERE, {name: "http://proxy.example:3128", "NO_PROXY": "corp.example, localhost"})
    assert words["NO_PROXY"] == words["no_proxy"] == "corp.example,localhost,127.0.0.1,::1"


def test_without_a_proxy_nothing_is_said_of_one() -> None:
    assert "NO_PROXY" not in base_url_environment(HERE, {"HTTP_PROXY": ""})
