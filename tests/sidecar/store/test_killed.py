"""Writers killed in the middle: what they leave opens, and has only whole values."""

from __future__ import annotations

import subprocess
import sys
from hashlib import blake2b

import pytest

from sidecar.home import Home
from sidecar.store.store import open_store

DAY = 86_400
MIB = 2**20
PROCESSES, THREADS = 2, 50

WRITERS = """
import random, sys, threading
from hashlib import blake2b
from pathlib import Path
from sidecar.home import Home
from sidecar.store.store import open_store

store = open_store(Home(Path(sys.argv[1])), None, "files", 8 * 2**20)

def write(number):
    chance = random.Random(number)
    while True:
        body = chance.randbytes(chance.randint(1, 40_000))
        store.set(f"{sys.argv[2]} {number} {chance.randint(0, 3)}", blake2b(body).digest() + body, 86400)
        print(flush=True)

for number in range(int(sys.argv[3])):
    threading.Thread(target=write, args=(number,)).start()
threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a kill that cannot be caught is a signal of Unix")
@pytest.mark.parametrize("writes", [1, 40, 400])
def test_a_hundred_writers_killed_at_once_leave_a_store_of_whole_values(home: Home, writes: int) -> None:
    command = [sys.executable, "-c", WRITERS, str(home.path)]
    running = [subprocess.Popen([*command, name, str(THREADS)], stdout=subprocess.PIPE) for name in "ab"[:PROCESSES]]
    for process in running:
        assert process.stdout is not None
        for _ in range(writes):
            process.stdout.readline()
    for process in running:
        process.kill()
    for process in running:
        process.communicate()
    store = open_store(home, None, "files", 8 * MIB)
    keys = store.keys()
    assert keys
    for value in store.get_many([*keys]).values():
        assert blake2b(value[64:]).digest() == value[:64]
    store.set("after", b"all", DAY)
    assert store.get("after") == b"all"
    assert store.ok  # type: ignore[attr-defined]
    store.close()
