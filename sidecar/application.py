"""The whole gateway as an ASGI application: puts the parts together, and takes them apart at its end."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from sidecar import __version__, batches, file_cache, pace_shelf, response_shelf
from sidecar.accounts.bookkeeping import Books
from sidecar.accounts.prices import Prices
from sidecar.admin import AdminRoutes
from sidecar.admission import Admission
from sidecar.assembly import Assembly, OwnCopy
from sidecar.batches import BatchBooks
from sidecar.breaker import Breakers, Trips
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
from sidecar.house import House
from sidecar.house_routes import HouseRoutes
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
from sidecar.quiet import GivesBack
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

SETTLE_SECONDS = 2.0
"""After a start: they belong to the first requests."""

CONVERSATIONS_BYTES = 512 * 1024 * 1024
"""What conversations may take on disk; the least recently used go first."""


class StartError(UserError):
    """The sidecar cannot start; the message is one sentence with what to do."""


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
    gateway_key = gateway_key_of(settings, home)
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
        gives_back = GivesBack(lambda: house.in_flight)
        running.callback(gives_back.close)
        await running.enter_async_context(
            books.kept(
                [log_line, meters.toll.settle, house.recorder, state.ended, feed.ended, gives_back],
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


def _told(*listeners: Callable[[str, str, int, GatewayError], None]) -> Callable[[str, str, int, GatewayError], None]:
    def tell(method: str, path: str, status: int, error: GatewayError) -> None:
        for listener in listeners:
            listener(method, path, status, error)

    return tell


def gateway_key_of(settings: Settings, home: Home) -> str:
    return settings.gateway_api_key.get_secret_value() if settings.gateway_api_key else home.gateway_key()


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
