"""Whose connection it is."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from sidecar.interception import peers
from sidecar.interception.peers import Address, Unknowable, owner_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@pytest.fixture(params=["127.0.0.1", "::ffff:127.0.0.1"])
def connection(request: pytest.FixtureRequest) -> Iterator[tuple[Address, Address]]:
    """Who connects, as the other side sees it, and where it arrives."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        here = listening.getsockname()
        family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
        with closing(socket.socket(family)) as client:
            client.connect((request.param, here[1]))
            accepted, peer = listening.accept()
            with closing(accepted):
                yield peer, here


def test_the_user_at_the_other_end_is_known(connection: tuple[Address, Address]) -> None:
    assert owner_of(*connection) == os.getuid()


def test_where_nobody_is_connected_nobody_is_known(connection: tuple[Address, Address]) -> None:
    (address, port), here = connection
    assert owner_of((address, port % 60_000 + 1), here) is None


def test_a_system_that_does_not_tell_says_so(
    connection: tuple[Address, Address], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "TABLES", ())
    with pytest.raises(Unknowable):
        owner_of(*connection)
