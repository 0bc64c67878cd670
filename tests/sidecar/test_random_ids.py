from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from sidecar.random_ids import AT_ONCE, RandomIds


def test_no_two_are_the_same_whichever_thread_asks() -> None:
    random_id, each = RandomIds(), 2 * AT_ONCE + 1
    with ThreadPoolExecutor(8) as threads:
        found = [one for ids in threads.map(lambda _: [random_id() for _ in range(each)], range(8)) for one in ids]
    assert len({*found}) == len(found) == 8 * each
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in found)
