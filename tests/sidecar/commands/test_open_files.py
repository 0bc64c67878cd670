"""How many files may be open."""

import sys
from collections.abc import Iterator

import pytest

from sidecar.commands.open_files import ENOUGH, allow_enough_files

resource = pytest.importorskip("resource", reason="Windows has no such limit")
if sys.platform == "win32":  # for the type checker
    raise AssertionError


@pytest.fixture
def few() -> Iterator[int]:
    """As macOS begins; what the system lets us have at most."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_there_are_enough_for_all_requests_that_may_be_answered_at_one_time(few: int) -> None:
    allow_enough_files()
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert allowed == (ENOUGH if few == resource.RLIM_INFINITY else min(ENOUGH, few))
    assert most == few


def test_what_is_allowed_is_never_lowered(few: int) -> None:
    more = ENOUGH + 1 if few == resource.RLIM_INFINITY else min(ENOUGH + 1, few)
    resource.setrlimit(resource.RLIMIT_NOFILE, (more, few))
    allow_enough_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (more, few)
