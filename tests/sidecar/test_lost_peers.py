"""Peers that are gone without a word. A network of its own is needed to lose one, which only Linux gives to anybody."""

import shutil
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from sidecar.commands.sockets import listening_socket
from sidecar.lost_peers import CLIENT_SECONDS, UPSTREAM_SECONDS, upstream_socket

ALONE = ["unshare", "--map-root-user", "--net"]


def can_be_alone() -> bool:
    if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "ip"))):
        return False
    return subprocess.run([*ALONE, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_be_alone(), reason="needs `unshare --map-root-user --net` and `ip` (Linux)")
def test_a_machine_that_vanishes_is_given_up_in_mid_answer() -> None:
    done = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.support.vanished"],
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    assert sorted(done.stdout.splitlines()) == ["client: TimeoutError", "upstream: 502 upstream_broken"]


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system gives up by rules of its own")
def test_either_side_has_its_patience() -> None:
    upstream = upstream_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1)))
    listening = listening_socket("127.0.0.1", 0)
    with closing(upstream), closing(listening), closing(socket.create_connection(listening.getsockname())):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with closing(accepted):
            for sock, seconds in ((upstream, UPSTREAM_SECONDS), (accepted, CLIENT_SECONDS)):
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == seconds * 1000
