from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from sidecar.commands.sockets import BindError, leads_to, listening_socket, reachable_url


def ipv6_works() -> bool:
    try:
        listening_socket("::1", 0).close()
    except BindError:
        return False
    return True


ipv6 = pytest.mark.skipif(not ipv6_works(), reason="this machine has no IPv6 loopback")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


def connects(url: str) -> bool:
    host, _, port = url.removeprefix("http://").rpartition(":")
    with closing(socket.create_connection((host.strip("[]"), int(port)))):
        return True


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0.0.0.0", pytest.param("::1", marks=ipv6), pytest.param("::", marks=ipv6)]
)
def test_clients_reach_the_socket_at_the_url_it_gives(host: str) -> None:
    with closing(listening_socket(host, 0)) as sock:
        assert connects(reachable_url(sock))


def test_asyncio_sees_that_it_is_tcp_and_so_turns_nagle_off() -> None:
    with closing(listening_socket("127.0.0.1", 0)) as sock:
        assert sock.proto == socket.IPPROTO_TCP


def test_a_taken_port_is_told_with_its_number_and_the_way_out(taken: int) -> None:
    with pytest.raises(BindError, match=f"Port {taken} on 127.0.0.1 is taken .* --port"):
        listening_socket("127.0.0.1", taken)


@pytest.mark.parametrize("host", ["203.0.113.7", "not a host"])
def test_a_host_of_somebody_else_is_told(host: str) -> None:
    with pytest.raises(BindError, match=f"{host} is no address of this machine"):
        listening_socket(host, 0)


@pytest.mark.parametrize(
    ("listening", "asked", "same"),
    [
        ("127.0.0.1", "http://127.0.0.1:PORT", True),
        ("127.0.0.1", "http://localhost:PORT/v1", True),
        ("0.0.0.0", "http://127.0.0.1:PORT", True),
        ("127.0.0.1", "http://0.0.0.0:PORT", True),
        pytest.param("::1", "http://[::1]:PORT", True, marks=ipv6),
        ("127.0.0.1", "http://127.0.0.1:1", False),
        ("127.0.0.1", "http://127.0.0.1", False),
        ("127.0.0.1", "https://api.anthropic.com", False),
        ("127.0.0.1", "https://gateway.example:PORT", False),
    ],
)
def test_an_upstream_that_leads_back_here_is_noticed(listening: str, asked: str, same: bool) -> None:
    with closing(listening_socket(listening, 0)) as sock:
        assert leads_to(asked.replace("PORT", str(sock.getsockname()[1])), sock) is same
