"""One running sidecar: puts the parts together, serves on a bound socket, ends cleanly."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from sidecar import __version__, batches, file_cache, pace_shelf, response_shelf
from sidecar.accounts.bookkeeping import Books
from sidecar.accounts.prices import Prices
from sidecar.admin import AdminRoutes
from sidecar.admission import Admission
from sidecar.assembly import Assembly, OwnCopy
from sidecar.batches import BatchBooks
from sidecar.breaker import Breakers, Trips
from sidecar.commands.sockets import reachable_url
from sidecar.config import Settings, is_loopback
from sidecar.doctor.routes import DoctorRoutes
from sidecar.errors import GatewayError
from sidecar.exchange import Json
from sidecar.fallback import Fallbacks
from sidecar.feed.routes import FeedRoutes
from sidecar.feed.state import SidecarState
from sidecar.file_cache import FileCache
from sidecar.gateway import Gateway
from sidecar.home import Home
from sidecar.house import Asked, House
from sidecar.house_routes import HouseRoutes
from sidecar.http_heads import HEAD_BYTES
from sidecar.intake import ListenerLimits
from sidecar.interception.interceptor import OFF, Interceptor
from sidecar.limits.metering import LazyDatabase, Metering, metering
from sidecar.listener import Listener
from sidecar.live import log_line, log_refusal
from sidecar.memory import ConversationMemory
from sidecar.models import listing as model_list
from sidecar.models.catalogue import Catalogue
from sidecar.overview.routes import OverviewRoutes
from sidecar.own_requests import OwnRequests
from sidecar.pace_shelf import PaceShelf
from sidecar.persistence import Persistence
from sidecar.pipeline import Pipeline, built_in_layers, user_addons
from sidecar.reloading import Reloadable
from sidecar.replies import replies
from sidecar.replies.replies import Replies
from sidecar.response_shelf import ResponseShelf
from sidecar.services import Services
from sidecar.store.shelves import Shelves
from sidecar.upstream import Upstream
from sidecar.user_errors import UserError

if TYPE_CHECKING:
    from sidecar.ledger.writer import LedgerWriter
    from sidecar.metrics import Metrics

log = logging.getLogger(__name__)

DRAIN_SECONDS = 30
"""How long answers in flight may go on after a stop signal."""


HANDED_OVER_SECONDS = 600
"""The same where another process has the port already, so that nobody waits for the end of this one."""

FIRST_REQUEST_SECONDS = 0.5
"""How long a connection that was taken as it ended may still tell what it wants: no client would ask again."""

KEEP_ALIVE_SECONDS = 120
"""How long a connection may stay open between two requests: longer than clients keep one (httpx 5, aiohttp 15, Go and
Rust's reqwest 90). Were it ended here just as its client takes it up again, that request would be lost."""

LAST_WORDS_SECONDS = 2
"""How long those that were cut off then may take to read why."""

SETTLE_SECONDS = 2.0
CONVERSATIONS_BYTES = 512 * 1024 * 1024
"""What conversations may take on disk; the least recently used go first."""


class StartError(UserError):
    """The sidecar cannot start; the message is one sentence with what to do."""


class Server(uvicorn.Server):
    """uvicorn, but the signals stay ours and start-up is announced."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        on_ready: Callable[[], None] | None = None,
        on_stopping: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                http=_http_protocol(),
                h11_max_incomplete_event_size=HEAD_BYTES,
                ws="none",
            )
        )
        self._on_ready = on_ready
        self._on_stopping = on_stopping
        self.drain_seconds = DRAIN_SECONDS
        """How long answers in flight may go on once it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell("on_ready")
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._on_stopping is not None:
            self._on_stopping()
        self._tell("on_stopping")
        cutting = asyncio.get_running_loop().call_later(self.drain_seconds, self.cut_short)
        self.config.timeout_graceful_shutdown = self.drain_seconds + 2 * LAST_WORDS_SECONDS
        try:
            await self._hear_the_last_ones()
            await super().shutdown(sockets)
        finally:
            cutting.cancel()

    async def _hear_the_last_ones(self) -> None:
        """uvicorn would close a connection whose first request it has not read yet: a reset for the client."""
        for server in self.servers:
            server.close()
        until = time.monotonic() + FIRST_REQUEST_SECONDS
        await asyncio.sleep(0)  # what was accepted just now is a connection then
        while not self.force_exit and time.monotonic() < until:
            if all(getattr(connection, "cycle", None) for connection in self.server_state.connections):
                return
            await asyncio.sleep(0.01)

    def cut_short(self) -> None:
        """What is not answered by now gets an error, and a moment to read it."""
        self._tell("on_cut")
        asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, self.hang_up)

    def hang_up(self) -> None:
        """Close every connection, read or not."""
        self.force_exit = True
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def _tell(self, moment: str) -> None:
        for listener in getattr(getattr(self.config.app, "state", None), moment, ()):
            listener()


def _http_protocol() -> type[asyncio.Protocol]:
    """The faster parser where it is installed."""
    try:
        from sidecar.http_protocol import BoundedHttp
    except ImportError:
        from sidecar.plain_http_protocol import BoundedH11

        return BoundedH11
    return BoundedHttp


@asynccontextmanager
async def sidecar_app(
    settings: Settings,
    home: Home,
    *,
    url: str,
    addon_files: Sequence[Path] = (),
    interceptor: Interceptor | None = None,
    house: House | None = None,
) -> AsyncIterator[Starlette]:
    """The whole gateway as an ASGI application, alive while the block runs. Raises StartError.

    Without a `house` it is one of its own.
    """
    from addons import BUILT_IN

    if not settings.anthropic_api_key:
        raise StartError(
            "There is no Anthropic API key: export ANTHROPIC_API_KEY=sk-ant-..., or write it into "
            f"{home.config_file}; `cgw demo` needs none."
        )
    is_lodger = house is not None
    house = house or House.of(settings, home)
    api_key = settings.anthropic_api_key.get_secret_value()
    gateway_key = _gateway_key(settings, home)
    catalogue = Catalogue(overrides=settings.models)
    if (known := model_list.load(home.models_file)) is not None:
        catalogue.update(known)
    upstream = Upstream(
        base_url=settings.anthropic_base_url,
        api_key=api_key,
        api_version=settings.anthropic_version,
        proxy=settings.upstream_proxy,
        timeout_seconds=settings.upstream_timeout_seconds,
        sdk_headers=home.sdk_headers_file,
    )
    database_url = settings.database_url.get_secret_value() if settings.database_url else None
    database = LazyDatabase(database_url, home.path)
    prices = Prices(catalogue.same_line)
    books = Books(database, home.path, prices)
    shelves = Shelves(home, settings.redis_url.get_secret_value() if settings.redis_url else None)
    memory = ConversationMemory(
        shelves("conversations", CONVERSATIONS_BYTES),
        holdout_percent=settings.holdout_percent,
        reduce_with_thinking=settings.reduce_with_thinking,
    )
    files = FileCache(shelves(file_cache.NAMESPACE, file_cache.SIZE_LIMIT_BYTES, shared=False))
    breakers = Breakers(_trips(settings))
    services = Services(
        settings=settings,
        home=home,
        catalogue=catalogue,
        prices=prices,
        memory=memory,
        shelves=shelves,
        files=files,
        pace=PaceShelf(shelves(pace_shelf.NAMESPACE, pace_shelf.SIZE_LIMIT_BYTES, shared=False)),
        replies=Replies(shelves(replies.NAMESPACE, replies.SIZE_LIMIT_BYTES)),
        api_version=upstream.api_version,
        fallbacks=Fallbacks(_chains(settings, catalogue), catalogue=catalogue, refuses=breakers.refuses),
        own_requests=OwnRequests(upstream, prices, books.accountant),
    )
    async with AsyncExitStack() as running:
        running.push_async_callback(asyncio.to_thread, shelves.close)
        if not is_lodger:
            running.push_async_callback(asyncio.to_thread, house.recorder.close)
        await running.enter_async_context(upstream)
        try:
            meters = await running.enter_async_context(
                metering(settings, database, catalogue=catalogue, flush=books.flush, minutes=house.minutes)
            )
        except ValueError as error:
            raise StartError(str(error)) from error
        persistence = Persistence(breakers, retry=settings.retry_enabled)
        own_addons = user_addons(addon_files)
        switches, kept, feed = house.switches, house.kept, house.feed
        gateway = Gateway(
            catalogue=catalogue,
            upstream=upstream,
            pipeline=Pipeline(
                [
                    memory,
                    *built_in_layers(BUILT_IN, services),
                    Assembly(catalogue),
                    *([OwnCopy(), *own_addons] if own_addons else []),
                ]
            ),
            default_max_tokens=settings.default_max_tokens,
            toll=meters.toll.pay,
            accepted=memory.accepted,
            taken_back=memory.taken_back,
            persistence=persistence,
            fallbacks=services.fallbacks,
            begun=feed.begun,
            keeps_answers=lambda: kept.wanted,
            listeners=[books.accountant],
        )
        house.move_in(gateway)
        running.callback(house.move_out, gateway)
        health = _health(house, url, books, meters, interceptor)
        state = SidecarState(
            health=health,
            switches=switches,
            recording=lambda: house.recorder.on,
            breakers=persistence.breakers,
            upstream_url=settings.anthropic_base_url,
            budgets=meters.budgets,
            projects=meters.directory.all,
        )
        feed.speak_of(hello=lambda: {name: health()[name] for name in ("instance", "version", "url")}, state=state)
        await running.enter_async_context(
            books.kept(
                [log_line, meters.toll.settle, house.recorder, state.ended, feed.ended],
                after=upstream.api_version(),
                metrics=_metrics(gateway, persistence.breakers, shelves),
            )
        )
        running.push_async_callback(gateway.settled)
        admin = AdminRoutes(
            key=settings.admin_api_key.get_secret_value() if settings.admin_api_key else gateway_key,
            key_name="ADMIN_API_KEY" if settings.admin_api_key else f"the key from {home.gateway_key_file}",
            database=database,
            health=lambda: {"ledger": books.health(), **meters.health()},
            metrics=books.metrics if settings.prometheus_enabled else None,
            files=files,
            replies=services.replies,
        )
        watching = FeedRoutes(
            admin.check,
            feed,
            kept,
            switches,
            prices=prices,
            upstream_url=settings.anthropic_base_url,
            url=url,
            gateway_key=gateway_key,
        )
        overview = OverviewRoutes(
            admin.check,
            database,
            settings=settings,
            directory=meters.directory,
            budgets=lambda: state()["budgets"],
            has_body=feed.has_body,
        )
        doctor = DoctorRoutes(admin.check, home, settings, url=url, health=health, database=database)
        housekeeping = HouseRoutes(admin.check, house)
        listener = Listener(
            gateway,
            Admission(gateway_key, meters.directory, key_file=str(home.gateway_key_file)),
            meters.limiter,
            limits=ListenerLimits(
                settings.max_body_bytes,
                settings.min_body_rate,
                settings.max_in_flight,
                settings.ping_seconds,
                allowed_hosts=settings.allowed_hosts,
                allowed_origins=settings.allowed_origins,
                open_to_others=not is_loopback(settings.host),
                test_clock=settings.test_clock,
            ),
            responses=ResponseShelf(
                shelves(response_shelf.NAMESPACE, response_shelf.SIZE_LIMIT_BYTES),
                kept_seconds=settings.stored_responses_days * 24 * 3600,
            ),
            health=health,
            batch_books=BatchBooks(
                lambda: shelves(batches.NAMESPACE, batches.SIZE_LIMIT_BYTES), prices, books.accountant
            ),
            more_routes=[
                *admin.routes(),
                *watching.routes(),
                *overview.routes(),
                *doctor.routes(),
                *housekeeping.routes(),
            ],
            bypass=lambda: switches.bypass,
            refused=_told(log_refusal, feed.refused),
        )
        remember = asyncio.create_task(asyncio.to_thread(files.load), name="read what is known of files")
        refresh = asyncio.create_task(
            _keep_models_fresh(catalogue, home, upstream, settings.anthropic_base_url),
            name="refresh the model list",
        )
        app = listener.app()
        app.state.flush = shelves.flush
        app.state.on_ready = [upstream.warm]
        app.state.on_stopping = [feed.close]  # their streams would keep the server from ending
        app.state.on_cut = [gateway.cut]
        app.state.on_followed = [shelves.share]
        try:
            yield app
        finally:
            feed.close()
            refresh.cancel()
            await asyncio.wait({refresh, remember})


async def serve(
    settings: Settings,
    home: Home,
    *,
    sock: socket.socket,
    addon_files: Sequence[Path] = (),
    on_ready: Callable[[], None] | None = None,
    read: Callable[[], Settings] | None = None,
    restart: Callable[[int], Awaitable[Json]] | None = None,
    successor_ended: Callable[[], Awaitable[None]] | None = None,
    takes_over: int | None = None,
    reload_on_hangup: bool = False,
) -> None:
    """Serves until SIGINT or SIGTERM, then lets answers in flight finish for up to `DRAIN_SECONDS`.

    `read` reads the settings anew; `restart` is given the port of our interceptor (0 without one) and returns once
    another process answers on `sock`, and this one then ends with its last answer, or soon after the other one, which
    `successor_ended` waits for. `takes_over` is that port where this one is such another.

    Raises StartError, InterceptorError or UserFileError, each with one sentence for the user.
    """
    url = reachable_url(sock)
    house = House.of(settings, home)
    interceptor = None
    if settings.intercept:
        key = _gateway_key(settings, home)
        interceptor = Interceptor(settings, home, key=key, sidecar_url=url, takes_over=takes_over)

    @asynccontextmanager
    async def make(settings: Settings) -> AsyncIterator[Starlette]:
        async with sidecar_app(
            settings, home, url=url, addon_files=addon_files, interceptor=interceptor, house=house
        ) as app:
            house.furnish(settings)  # only what can be used
            yield app

    async with AsyncExitStack() as running:
        running.push_async_callback(asyncio.to_thread, house.recorder.close)
        app = await running.enter_async_context(Reloadable(settings, make, read))
        if interceptor is not None:
            await running.enter_async_context(interceptor.running())
        server = Server(app, on_ready=on_ready, on_stopping=interceptor.stop if interceptor else None)

        async def restarted() -> Json:
            assert restart is not None
            for listener in app.state.on_followed:  # for a moment both take what comes
                listener()
            told = await restart(interceptor.port if interceptor is not None else 0)
            server.drain_seconds = HANDED_OVER_SECONDS
            server.should_exit = True
            if successor_ended is not None:
                last.append(asyncio.create_task(end_soon_after(successor_ended), name="watch the successor"))
            return told

        async def end_soon_after(other: Callable[[], Awaitable[None]]) -> None:
            """Whoever started this process starts another one only when it has ended, and nobody has the port now."""
            await other()
            log.warning(
                "The process that took over has ended: what is not answered here in %s s is cut.", DRAIN_SECONDS
            )
            await asyncio.sleep(DRAIN_SECONDS)
            server.cut_short()

        last: list[asyncio.Task[None]] = []

        house.reload = app.reload if read else None
        house.restart = restarted if restart else None
        with _told_by_signals(server, reload=app.reload if reload_on_hangup and read else None):
            try:
                await server.serve(sockets=[sock])
            finally:
                for task in last:
                    task.cancel()


def _told(*listeners: Callable[[str, str, int, GatewayError], None]) -> Callable[[str, str, int, GatewayError], None]:
    def tell(method: str, path: str, status: int, error: GatewayError) -> None:
        for listener in listeners:
            listener(method, path, status, error)

    return tell


def _gateway_key(settings: Settings, home: Home) -> str:
    return settings.gateway_api_key.get_secret_value() if settings.gateway_api_key else home.gateway_key()


@contextmanager
def _told_by_signals(server: Server, *, reload: Asked | None) -> Iterator[None]:
    """The first wish to end drains, the second one cuts off what is not answered yet, the third one ends at once. A
    hang-up reads the settings anew. Only the main thread may listen to signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    loop = asyncio.get_running_loop()
    told = 0

    def stop(*_: object) -> None:
        nonlocal told
        told += 1
        server.should_exit = True
        if told > 1:
            loop.call_soon_threadsafe(server.cut_short if told == 2 else server.hang_up)

    async def read_anew() -> None:
        assert reload is not None
        with suppress(GatewayError):  # the log has it
            await reload()

    def hang_up(*_: object) -> None:
        loop.call_soon_threadsafe(lambda: reading.add(loop.create_task(read_anew(), name="read the settings anew")))

    reading: set[asyncio.Task[None]] = set()
    ours: dict[signal.Signals, Callable[..., None]] = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if reload is not None and sys.platform != "win32":
        ours[signal.SIGHUP] = hang_up
    before = {number: signal.signal(number, handler) for number, handler in ours.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is ours[number]:  # a handover keeps them
                signal.signal(number, handler)


def _metrics(gateway: Gateway, breakers: Breakers, shelves: Shelves) -> Callable[[LedgerWriter], Metrics]:
    def made(writer: LedgerWriter) -> Metrics:
        from sidecar.metrics import Metrics

        return Metrics(
            knows_model=gateway.catalogue.knows,
            in_flight=lambda: gateway.in_flight,
            breaker=breakers.worst,
            corrupt=shelves.corrupt,
            ledger=writer,
        )

    return made


def _trips(settings: Settings) -> Trips | None:
    if not settings.circuit_breaker_enabled:
        return None
    return Trips(
        settings.breaker_failure_percent,
        settings.breaker_calls,
        settings.breaker_seconds,
        settings.breaker_open_seconds,
    )


def _chains(settings: Settings, catalogue: Catalogue) -> dict[str, list[str]]:
    """By Claude ids. Raises StartError for a model that nobody knows."""
    try:
        return {
            catalogue.resolve(model).card.id: [catalogue.resolve(instead).card.id for instead in chain]
            for model, chain in settings.fallback.items()
        }
    except GatewayError as error:
        raise StartError(f"[fallback] in cgw.toml: {error.message}") from error


def _health(
    house: House, url: str, books: Books, meters: Metering, interceptor: Interceptor | None
) -> Callable[[], Json]:
    def health() -> Json:
        return {
            "status": "ok",
            "version": __version__,
            "instance": house.instance,
            "pid": os.getpid(),
            "url": url,
            "uptime_seconds": round(time.monotonic() - house.started, 3),
            "requests": house.requests,
            "in_flight": house.in_flight,
            "ledger": books.public_health(),
            "interceptor": interceptor.health() if interceptor else OFF,
            "warnings": meters.warnings(),
        }

    return health


async def _keep_models_fresh(catalogue: Catalogue, home: Home, upstream: Upstream, base_url: str) -> None:
    """Anthropic's own list, once a day and not in the first seconds, which belong to the first requests; without a
    network the last known list stays in use."""
    await asyncio.sleep(max(SETTLE_SECONDS, model_list.due_in(home.models_file, base_url)))
    while True:
        try:
            infos = await model_list.fetch(upstream)
        except model_list.FetchError as error:
            log.warning("%s", error)
            await asyncio.sleep(model_list.RETRY_SECONDS)
        else:
            catalogue.update(infos)
            model_list.save(home.models_file, infos, source=base_url)
            await asyncio.sleep(model_list.REFRESH_SECONDS)
