"""`/admin/files`, as the dashboard reads it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from sidecar.admin import AdminRoutes
from sidecar.errors import GatewayError
from sidecar.file_cache import FileCache
from sidecar.store.shelves import Shelf
from tests.support.stores import DictStore

KEY = {"x-api-key": "admin"}


def no_database() -> Any:
    raise AssertionError("files are not in the database")


@pytest.fixture
def files() -> FileCache:
    return FileCache(Shelf(DictStore(), "files"))


@pytest.fixture
def client(files: FileCache) -> TestClient:
    routes = AdminRoutes(
        key="admin", key_name="ADMIN_API_KEY", database=no_database, health=dict, metrics=None, files=files
    )
    return TestClient(Starlette(routes=routes.routes()))


def test_the_files_resent_most(client: TestClient, files: FileCache) -> None:
    for name in (b"one", b"two", b"two", b"three", b"three", b"three"):
        files.seen("web", f"{name.decode()}.py", name, tokens=100, saved=40, now=1000.0)
    told = client.get("/admin/files", headers=KEY)
    assert told.headers["cache-control"] == "no-store"
    assert [(file["path"], file["resent_tokens"], file["saved_tokens"]) for file in told.json()["files"]] == [
        ("three.py", 200, 120),
        ("two.py", 100, 80),
    ]
    assert len(client.get("/admin/files?limit=1", headers=KEY).json()["files"]) == 1


def test_it_needs_the_admin_key(client: TestClient) -> None:
    with pytest.raises(GatewayError, match="needs ADMIN_API_KEY"):
        client.get("/admin/files", headers={"x-api-key": "somebody's"})


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1001", "٣", "9" * 5000])
def test_a_limit_is_a_number(client: TestClient, limit: str) -> None:
    with pytest.raises(GatewayError, match="number from 1 to 1000"):
        client.get("/admin/files", params={"limit": limit}, headers=KEY)
