"""Anthropic's own list of models: asked for once a day, kept on disk for starts without a network.

Not over the SDK, whose import alone takes seconds, and 40 MB for good.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlencode

import orjson

from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.models.catalogue import Lifecycle

if TYPE_CHECKING:
    from sidecar.upstream import Upstream

log = logging.getLogger(__name__)

REFRESH_SECONDS = 24 * 60 * 60
"""How long a list is good for."""

RETRY_SECONDS = 60 * 60
"""After a list that could not be had."""

LIFECYCLES: tuple[Lifecycle, ...] = get_args(Lifecycle)
"""Retired models only come when asked for by name; a client may still want one."""

QUERY = urlencode([("limit", 1000), *(("lifecycle[]", one) for one in LIFECYCLES)])
"""The API's most: the list comes in one page."""
PATIENCE = 30.0
"""Seconds."""


class FetchError(Exception):
    """Anthropic's list could not be had; the last one known stays in use."""


def load(path: Path) -> list[Json] | None:
    """The list that `save` left at `path`, or None. A file that makes no sense is none, and a line in the log."""
    try:
        return _checked(orjson.loads(path.read_bytes())["models"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("the model list in %s is ignored: %s", path, error)
        return None


def due_in(path: Path, source: str) -> float:
    """Seconds until the list at `path` should be asked for again; 0 where there is none that `source` gave."""
    try:
        kept = orjson.loads(path.read_bytes())
        if kept["source"] != source:
            return 0.0
        age = (datetime.now(UTC) - datetime.fromisoformat(kept["fetched_at"])).total_seconds()
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
    return REFRESH_SECONDS - age if 0 <= age < REFRESH_SECONDS else 0.0


def save(path: Path, infos: list[Json], *, source: str) -> None:
    """Keep `infos` at `path`, with the time and the address they came from: whole or not at all.

    A disk that refuses is a line in the log.
    """
    kept = {"fetched_at": datetime.now(UTC), "source": source, "models": infos}
    body = orjson.dumps(kept, option=orjson.OPT_INDENT_2)
    try:
        _replace(path, body)
    except OSError as error:
        log.warning("the model list could not be kept in %s: %s", path, error)


async def fetch(upstream: Upstream) -> list[Json]:
    """Every model that the key of `upstream` may see, retired ones included, as Anthropic's `ModelInfo`. Raises
    FetchError."""
    try:
        async with asyncio.timeout(PATIENCE), upstream.send("GET", "/v1/models", None, {}, query=QUERY) as answer:
            body = await answer.body()
    except (GatewayError, TimeoutError) as error:
        why = error.message if isinstance(error, GatewayError) else f"nothing came for {PATIENCE:.0f} s"
        raise FetchError(f"Anthropic's list of models could not be had: {why}") from error
    try:
        return _checked(orjson.loads(body)["data"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FetchError(f"what should be Anthropic's list of models makes no sense: {error}") from error


def _checked(infos: Any) -> list[Json]:
    """`infos`, if it is what `Catalogue.update` can read. Raises ValueError, KeyError or TypeError."""
    if not isinstance(infos, list) or not infos:
        raise ValueError("there is no model in it")
    for info in infos:
        if not isinstance(info["id"], str) or info["lifecycle"] not in LIFECYCLES:
            raise ValueError(f"{info['id']!r} is no model")
        for moment in ("created_at", "deprecated_at", "retires_at"):
            if info.get(moment) is not None or moment == "created_at":
                datetime.fromisoformat(info[moment])
        _check_capabilities(info.get("capabilities"))
    return infos


def _check_capabilities(capabilities: Any) -> None:
    """Objects all the way down to each `supported`."""
    if capabilities is None:
        return
    for name, support in capabilities.items():
        if support is not None and not isinstance(support, dict | bool):
            raise ValueError(f"{name} is no capability")
        if isinstance(support, dict):
            _check_capabilities(support)


def _replace(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
