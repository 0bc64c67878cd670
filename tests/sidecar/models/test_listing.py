"""Anthropic's own list of models, asked for and from disk."""

import asyncio
import json
import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from sidecar.models import listing as model_list
from sidecar.models.catalogue import Catalogue
from sidecar.simulator.catalogue import model_info
from sidecar.simulator.models import MODELS
from sidecar.simulator.server import RunningSimulator
from sidecar.upstream import Upstream

HERE = "https://api.anthropic.com"
LIST = [model_info(row) for row in MODELS]


async def fetched(url: str, key: str = "sk-ant-test") -> list[dict[str, Any]]:
    async with Upstream(base_url=url, api_key=key) as upstream:
        return await model_list.fetch(upstream)


@asynccontextmanager
async def _serving(server: uvicorn.Server) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


class TestAsking:
    async def test_gives_every_model_retired_ones_included_ready_for_the_catalogue(self):
        with RunningSimulator() as anthropic:
            infos = await fetched(anthropic.url, anthropic.api_key)
        assert [info["id"] for info in infos] == [row.id for row in MODELS]
        catalogue = Catalogue()
        catalogue.update(infos)
        assert catalogue.resolve("opus").card.id == "claude-opus-5-5"
        assert catalogue.resolve("claude-sonnet-4-20250514").reason == "retired"

    async def test_with_a_wrong_key_says_so(self):
        with RunningSimulator() as anthropic, pytest.raises(model_list.FetchError, match="could not be had"):
            await fetched(anthropic.url, "sk-ant-wrong")

    async def test_without_a_network_says_so(self):
        with RunningSimulator() as anthropic:
            url = anthropic.url
        with pytest.raises(model_list.FetchError, match="could not be had"):
            await fetched(url)

    @pytest.mark.parametrize(
        "rows",
        [
            [],
            [{"id": "claude-opus-6"}],
            [{**LIST[0], "lifecycle": "sleeping"}],
            [{**LIST[0], "created_at": "yesterday"}],
            [{**LIST[0], "capabilities": {"thinking": "yes"}}],
        ],
    )
    async def test_an_address_that_lists_nonsense_says_so(self, rows: list[Any]):
        page = JSONResponse({"data": rows, "has_more": False, "first_id": None, "last_id": None})
        await self._refused(page)

    @pytest.mark.parametrize(
        "page",
        [HTMLResponse("<h1>Sign in</h1>"), JSONResponse([]), JSONResponse({"data": 7})],
        ids=["web", "list", "7"],
    )
    async def test_an_address_that_is_not_anthropics_says_so(self, page: Response):
        await self._refused(page)

    async def _refused(self, page: Response) -> None:
        async def listed(_request: Request) -> Response:
            return page

        server = uvicorn.Server(
            uvicorn.Config(Starlette(routes=[Route("/v1/models", listed)]), port=0, log_level="error", lifespan="off")
        )
        async with _serving(server) as url:
            with pytest.raises(model_list.FetchError, match="makes no sense"):
                await fetched(url)

    def test_the_sdk_is_not_imported_before_it_is_needed(self):
        code = "import sys, sidecar.models.listing, sidecar.fit; sys.exit('anthropic' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestKeeping:
    def test_brings_back_what_was_kept(self, tmp_path: Path):
        path = tmp_path / "cache" / "models.json"
        model_list.save(path, LIST, source=HERE)
        assert model_list.load(path) == LIST
        assert json.loads(path.read_bytes())["fetched_at"].endswith("+00:00")
        assert [entry.name for entry in path.parent.iterdir()] == ["models.json"]

    def test_is_good_for_a_day_and_only_for_the_address_it_came_from(self, tmp_path: Path):
        path = tmp_path / "models.json"
        assert model_list.due_in(path, HERE) == 0
        model_list.save(path, LIST, source=HERE)
        assert 0 < model_list.due_in(path, HERE) <= model_list.REFRESH_SECONDS
        assert model_list.due_in(path, "http://127.0.0.1:4555") == 0

    @pytest.mark.parametrize(
        "kept",
        [
            b"{",
            b"[]",
            b'{"models": []}',
            b'{"source": "https://api.anthropic.com", "fetched_at": 7}',
            b'{"source": "https://api.anthropic.com", "fetched_at": "2020-01-01T00:00:00+00:00"}',
            b'{"source": "https://api.anthropic.com", "fetched_at": "2120-01-01T00:00:00+00:00"}',
        ],
    )
    def test_is_due_when_it_is_old_from_the_future_or_makes_no_sense(self, tmp_path: Path, kept: bytes):
        path = tmp_path / "models.json"
        path.write_bytes(kept)
        assert model_list.due_in(path, HERE) == 0

    @pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
    def test_is_for_the_users_eyes_only(self, tmp_path: Path):
        model_list.save(tmp_path / "models.json", LIST, source=HERE)
        assert stat.S_IMODE((tmp_path / "models.json").stat().st_mode) == 0o600

    def test_replaces_the_list_before(self, tmp_path: Path):
        path = tmp_path / "models.json"
        model_list.save(path, LIST, source=HERE)
        model_list.save(path, LIST[:1], source=HERE)
        assert model_list.load(path) == LIST[:1]

    def test_without_a_list_is_silent(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        assert model_list.load(tmp_path / "models.json") is None
        assert not caplog.records

    @pytest.mark.parametrize(
        "written",
        [
            b"",
            b"\xff\xfe",
            b"[]",
            b"{}",
            b'{"models": []}',
            b'{"models": {}}',
            b'{"models": [1]}',
            b'{"models": [{"id": 7, "lifecycle": "active", "created_at": "2026-01-01"}]}',
            b'{"models": [{"id": "claude-x", "lifecycle": "active", "created_at": 5}]}',
            json.dumps({"models": LIST}).encode()[:-40],
        ],
    )
    def test_ignores_a_broken_file_with_a_line_in_the_log(
        self, tmp_path: Path, written: bytes, caplog: pytest.LogCaptureFixture
    ):
        path = tmp_path / "models.json"
        path.write_bytes(written)
        with caplog.at_level(logging.WARNING):
            assert model_list.load(path) is None
        assert str(path) in caplog.text

    def test_on_a_disk_that_refuses_goes_on_with_a_line_in_the_log(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        (tmp_path / "file").write_text("in the way")
        with caplog.at_level(logging.WARNING):
            model_list.save(tmp_path / "file" / "models.json", LIST, source=HERE)
        assert "could not be kept" in caplog.text
