"""Asking the sidecar on behalf of something on the screen, which may be gone when the answer comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from textual.app import App
from textual.widget import Widget


async def asked[T](whose: App[Any] | Widget, answer: Awaitable[T]) -> T:
    """The answer, or what it raises, while there is somebody to show it. A screen's widgets go one after the other, and
    the worker that waits for them last: it ends here instead of looking for those that are gone."""
    try:
        return await answer
    finally:
        if not is_there(whose):
            raise asyncio.CancelledError


def is_there(whose: App[Any] | Widget) -> bool:
    """Whether it still has all of its widgets."""
    if isinstance(whose, App):
        return whose.is_running
    return whose.app.is_running and whose.screen.display
