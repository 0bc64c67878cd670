"""Runs the addons' hooks over an exchange; knows the hooks' names, not the addons.

An addon is any object with some of these methods, plain or async:

    arrived(exchange)                 the request is here, and nobody has looked into it: there is no `prompt` yet; may
                                      set `exchange.answer`
    request(exchange)                 before it goes upstream; may edit the request, may set `exchange.answer`
    response_event(exchange, event)   one parsed stream event, as it comes from Claude for this exchange: not for an
                                      answer from the cache, nor for one that is shared with an earlier exchange
    response(exchange)                the answer is complete, with usage
    error(exchange)                   the exchange ended without a complete answer

An addon that raises is reported and skipped for the rest of that exchange; it never breaks the answer. Only a
GatewayError is more than that: the refusal of the request, for the client to read.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sidecar.errors import GatewayError
from sidecar.exchange import Exchange, Json
from sidecar.services import Services
from sidecar.stretch import Stretch
from sidecar.user_files import UserFileError, loaded

if TYPE_CHECKING:
    from sidecar.prompt import Snapshot

log = logging.getLogger(__name__)

HOOKS = ("arrived", "request", "response_event", "response", "error")

Hook = Callable[..., Awaitable[None] | None]


class Pipeline:
    def __init__(self, addons: Iterable[object] = ()) -> None:
        self.addons = tuple(addons)
        self._hooks: dict[str, list[tuple[object, Hook]]] = {
            name: [(addon, getattr(addon, name)) for addon in self.addons if hasattr(addon, name)] for name in HOOKS
        }
        self._since: dict[type[object], list[tuple[object, Hook]]] = {}
        """What runs before a request goes upstream, from the first addon of a class on."""

    @property
    def reads_events(self) -> bool:
        """Whether any addon wants the events of a stream one by one."""
        return bool(self._hooks["response_event"])

    @property
    def reads_answers(self) -> bool:
        """Whether any addon wants the whole answer once it is there."""
        return bool(self._hooks["response"])

    async def request(self, exchange: Exchange, *, since: type[object] = object) -> None:
        """Runs until one answers or joins an equal request; with `since`, from the first addon of that class on and
        without those who hear of its arrival."""
        stretch = Stretch()
        hooks = self._since.get(since)
        if hooks is None:
            first = self._hooks["arrived"] if since is object else []
            rest = dropwhile(lambda row: not isinstance(row[0], since), self._hooks["request"])
            hooks = self._since[since] = [*first, *rest]
        before: Snapshot | None = None
        for addon, hook in hooks:
            if exchange.failed_addons and type(addon).__name__ in exchange.failed_addons:
                continue
            prompt = exchange.prompt
            if prompt is not None and (before is None or before.changes != prompt.changes):
                before = prompt.snapshot()  # a layer may fail half-way, and most change nothing
            try:  # here and not in `_run`: a coroutine for each layer costs more than most layers
                if (waiting := hook(exchange)) is not None:
                    await waiting
            except GatewayError:
                raise
            except Exception:
                if exchange.prompt is not None and before is not None:
                    exchange.prompt.restore(before)
                log.exception(*_failed(addon, hook, exchange))
            if exchange.answer is not None or exchange.joined is not None:
                return
            if stretch.is_long:
                await stretch.pause()

    async def response_event(self, exchange: Exchange, event: Json) -> None:
        for addon, hook in self._hooks["response_event"]:
            await self._run(addon, hook, exchange, event)

    async def response(self, exchange: Exchange) -> None:
        for addon, hook in self._hooks["response"]:
            await self._run(addon, hook, exchange)

    async def error(self, exchange: Exchange) -> None:
        for addon, hook in self._hooks["error"]:
            await self._run(addon, hook, exchange)

    async def _run(self, addon: object, hook: Hook, exchange: Exchange, *more: Any) -> None:
        if exchange.failed_addons and type(addon).__name__ in exchange.failed_addons:
            return
        try:
            if (waiting := hook(exchange, *more)) is not None:
                await waiting
        except GatewayError:
            raise  # a refusal is what it wants
        except Exception:
            log.exception(*_failed(addon, hook, exchange))


def _failed(addon: object, hook: Hook, exchange: Exchange) -> tuple[str, str, str, str]:
    """It sits out the rest of the exchange; what the log is to say of that."""
    name = type(addon).__name__
    exchange.failed_addons.add(name)
    return "addon %s failed in %s; request %s goes on without it", name, hook.__name__, exchange.id


def built_in_layers(names: Sequence[str], services: Services) -> list[object]:
    """The built-in layers, each named `module:Class`."""
    layers = []
    for name in names:
        module, _, class_name = name.partition(":")
        layers.append(getattr(importlib.import_module(module), class_name)(services))
    return layers


def user_addons(files: Sequence[Path]) -> list[object]:
    """The addons of the user's files in the order given. Raises UserFileError."""
    return [addon for path in files for addon in load_addon_file(path)]


def load_addon_file(path: Path) -> list[object]:
    """The addons of one Python file: its `addons` list where it has one (as for mitmproxy), else one of each class it
    defines.

    Only classes with at least one hook count. Raises UserFileError.
    """
    with loaded("addon", path) as module:
        found = getattr(module, "addons", None)
        if found is None:
            found = [
                member()
                for _, member in inspect.getmembers(module, inspect.isclass)
                if member.__module__ == module.__name__ and any(hasattr(member, hook) for hook in HOOKS)
            ]
        if not found:
            raise UserFileError(f"--addon {path}: it has no class with a hook ({', '.join(HOOKS)}).")
        return cast(list[object], list(found))
