"""The dashboard on a terminal or in a browser, attached to a running sidecar."""

from __future__ import annotations

import gc
import importlib
from threading import Thread
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from sidecar import __version__
from sidecar.commands.connecting import connection_lines, key_file, owners_key
from sidecar.commands.running import already_running, find, is_claimed
from sidecar.config import is_loopback
from sidecar.home import Home
from sidecar.user_errors import UserError

if TYPE_CHECKING:
    from sidecar.config import Settings

Ending = Literal["stop", "leave"]


def address(home: Home, settings: Settings, named: str | None) -> str:
    """Of the sidecar to look at: the one that is `named`, else the one of this machine. Raises UserError."""
    if named is not None:
        url = named.rstrip("/").removesuffix("/v1")
        if not is_loopback(urlsplit(url).hostname or "") and not (settings.admin_api_key or settings.gateway_api_key):
            raise UserError(f"Set ADMIN_API_KEY to the key of {url}: this machine's own is not shown to others.")
        return url
    if (running := find(home)) is not None:
        return running.url
    if is_claimed(home):
        raise UserError(already_running(home))
    raise UserError("No cgw is running to look at: start one with `cgw up`, or name another with --url.")


def watch(url: str, home: Home, settings: Settings, *, owns_sidecar: bool = False) -> Ending:
    """Shows the sidecar until its user quits; says what is to become of it. Raises HomeError."""
    gc.disable()  # nothing of what is imported is garbage: looking for some takes a tenth of the start, and keys wait
    from tui.app import Dashboard

    lines = connection_lines(url, key_file(home, settings))
    dashboard = Dashboard(
        url,
        owners_key(home, settings),
        lines,
        version=__version__,
        owns_sidecar=owns_sidecar,
        rows=settings.dashboard_rows,
        theme_file=home.theme_file,
    )
    return dashboard.run() or "stop"


def import_meanwhile() -> None:
    """Import what `watch` needs on a thread of its own, while a sidecar starts in another process."""
    Thread(target=importlib.import_module, args=("tui.views.overview",), daemon=True).start()
