import asyncio
import json
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path

import pytest
from anthropic import AsyncAnthropic

from sidecar import credentials
from sidecar.credentials import wire_headers

KEY = "sk-ant-very-secret"


def as_the_sdk_signs() -> dict[str, str]:
    client = AsyncAnthropic(api_key=KEY)
    spoken = str(client.default_headers["anthropic-version"])
    return {"anthropic-version": spoken, **{name.lower(): value for name, value in client.auth_headers.items()}}


@pytest.fixture
def remembered(tmp_path: Path) -> Path:
    return tmp_path / "sdk-headers.json"


@pytest.fixture
def another_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one that cgw ships with knowledge of."""
    monkeypatch.setattr(credentials, "SHIPPED", Path("nowhere"))


@pytest.fixture
def no_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_ask_the_sdk", lambda: pytest.fail("the SDK was asked"))


def test_what_is_shipped_is_what_the_locked_sdk_says(no_sdk: None) -> None:
    shipped = json.loads(credentials.SHIPPED.read_bytes())
    anew = "python -m sidecar.credentials > sidecar/sdk_headers.json"
    assert shipped["sdk"] == version("anthropic"), f"another SDK is locked: {anew}"
    assert asyncio.run(wire_headers(KEY)) == as_the_sdk_signs(), f"it signs in another way: {anew}"


@pytest.mark.usefixtures("another_sdk")
async def test_headers_are_those_of_the_sdk(remembered: Path) -> None:
    assert await wire_headers(KEY) == as_the_sdk_signs()
    assert await wire_headers(KEY, remembered=remembered) == as_the_sdk_signs()


@pytest.mark.usefixtures("another_sdk")
def test_the_key_is_not_in_what_is_remembered(remembered: Path) -> None:
    asyncio.run(wire_headers(KEY, remembered=remembered))
    assert KEY not in remembered.read_text()


@pytest.mark.usefixtures("another_sdk")
def test_a_later_start_needs_no_sdk(remembered: Path, request: pytest.FixtureRequest) -> None:
    asyncio.run(wire_headers("another-key", remembered=remembered))
    request.getfixturevalue("no_sdk")
    assert asyncio.run(wire_headers(KEY, remembered=remembered)) == as_the_sdk_signs()


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "[]",
        json.dumps({"sdk": "0.0.1", "headers": {"anthropic-version": "2019-01-01", "x-api-key": "KEY-STANDS-HERE"}}),
        json.dumps({"headers": {"anthropic-version": "2019-01-01"}}),
    ],
)
@pytest.mark.usefixtures("another_sdk")
def test_what_another_sdk_said_or_nobody_did_is_not_believed(remembered: Path, kept: str) -> None:
    remembered.write_text(kept)
    assert asyncio.run(wire_headers(KEY, remembered=remembered)) == as_the_sdk_signs()


@pytest.mark.usefixtures("another_sdk")
async def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    remembered = tmp_path / "nowhere" / "sdk-headers.json"
    assert await wire_headers(KEY, remembered=remembered) == as_the_sdk_signs()


def test_the_sdk_is_asked_in_a_process_of_its_own(remembered: Path) -> None:
    code = (
        "import asyncio, json, sys; from pathlib import Path; from sidecar import credentials;"
        "credentials.SHIPPED = Path('nowhere');"
        f"told = asyncio.run(credentials.wire_headers({KEY!r}, remembered=Path({str(remembered)!r})));"
        "print(json.dumps([told, 'anthropic' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert json.loads(done.stdout) == [as_the_sdk_signs(), False]


@pytest.mark.usefixtures("another_sdk")
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for child processes in /proc")
async def test_whoever_stops_does_not_wait_for_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "anthropic")
    others = children()
    asking = asyncio.create_task(wire_headers(KEY))
    while not (asked := children() - others):  # noqa: ASYNC110  # nothing tells of it
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert not asked & children()


def children() -> set[str]:
    return {*Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()}
