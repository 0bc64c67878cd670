import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from anthropic import AsyncAnthropic

from sidecar import credentials
from sidecar.credentials import wire_headers

KEY = "sk-ant-very-secret"
HERE = "https://api.anthropic.com"


def as_the_sdk_signs() -> dict[str, str]:
    client = AsyncAnthropic(api_key=KEY)
    version = str(client.default_headers["anthropic-version"])
    return {"anthropic-version": version, **{name.lower(): value for name, value in client.auth_headers.items()}}


@pytest.fixture
def remembered(tmp_path: Path) -> Path:
    return tmp_path / "sdk-headers.json"


@pytest.fixture
def no_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "_ask_the_sdk", lambda _: pytest.fail("the SDK was asked"))


async def test_headers_are_those_of_the_sdk(remembered: Path) -> None:
    assert await wire_headers(KEY, HERE) == as_the_sdk_signs()
    assert await wire_headers(KEY, HERE, remembered=remembered) == as_the_sdk_signs()


def test_the_key_is_not_in_what_is_remembered(remembered: Path) -> None:
    asyncio.run(wire_headers(KEY, HERE, remembered=remembered))
    assert KEY not in remembered.read_text()


def test_a_later_start_needs_no_sdk(remembered: Path, request: pytest.FixtureRequest) -> None:
    asyncio.run(wire_headers("another-key", HERE, remembered=remembered))
    request.getfixturevalue("no_sdk")
    assert asyncio.run(wire_headers(KEY, HERE, remembered=remembered)) == as_the_sdk_signs()


@pytest.mark.parametrize(
    "kept",
    [
        "{",
        "[]",
        json.dumps({"sdk": "0.0.1", "headers": {"anthropic-version": "2019-01-01", "x-api-key": "KEY-STANDS-HERE"}}),
        json.dumps({"headers": {"anthropic-version": "2019-01-01"}}),
    ],
)
def test_what_another_sdk_said_or_nobody_did_is_not_believed(remembered: Path, kept: str) -> None:
    remembered.write_text(kept)
    assert asyncio.run(wire_headers(KEY, HERE, remembered=remembered)) == as_the_sdk_signs()


async def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    remembered = tmp_path / "nowhere" / "sdk-headers.json"
    assert await wire_headers(KEY, HERE, remembered=remembered) == as_the_sdk_signs()


def test_the_sdk_is_asked_in_a_process_of_its_own(remembered: Path) -> None:
    code = (
        "import asyncio, json, sys; from pathlib import Path; from sidecar.credentials import wire_headers;"
        f"told = asyncio.run(wire_headers({KEY!r}, {HERE!r}, remembered=Path({str(remembered)!r})));"
        "print(json.dumps([told, 'anthropic' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert json.loads(done.stdout) == [as_the_sdk_signs(), False]
