"""The composition root of a server: it names concrete parts and puts them together. Of a log: adapters/opening.py."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import structlog
import trio
from quart_trio import QuartTrio

from actors.backoff import Backoff
from actors.effects import Perform
from actors.system import System, SystemSettings, open_system
from adapters.auditing import keep_indexed
from adapters.channel_mirror import keep_mirrored
from adapters.checkpoints import checkpoints_kept
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.config import BadSetting, CarrierKind, ForecastSource, Settings, TranscriberKind
from adapters.entrance import entrance, revealed, tls_of, warn_of_clear_text
from adapters.gateways.assistant import assistant_performers
from adapters.gateways.blobs import FileBlobs, MemoryBlobs
from adapters.gateways.call_tools import call_tools
from adapters.gateways.calls import call_performers
from adapters.gateways.embedded_carrier import EmbeddedCarrier
from adapters.gateways.forecast import OpenMeteo
from adapters.gateways.http_carrier import HTTPCarrier
from adapters.gateways.models import language_model as language_model
from adapters.gateways.models import models_of
from adapters.gateways.offline_partner import OfflinePartner
from adapters.gateways.scripted_forecast import ScriptedForecast
from adapters.gateways.sessions import session_performers
from adapters.gateways.transcriber import open_sphinx
from adapters.gateways.transcription import transcribe_performer
from adapters.gateways.transcription_api import OpenAITranscriber
from adapters.history_routes import history_of
from adapters.opening import DECIDERS, blob_store, open_store
from adapters.retention import Keeper, Rules, retaining
from adapters.server.serve import serve as serve_app
from adapters.serving import SOCKETS_SHARE, server_limits, web_settings
from adapters.thread_updates import ThreadUpdates
from adapters.web.app import create_app, sockets_of
from adapters.web.labels import labels_blueprint
from adapters.web.lookout import noting
from adapters.web.retell import retell_blueprint
from adapters.web.streams import streams_blueprint
from core.ports import BlobStore, EventStore, LanguageModel, Transcriber
from eventstore.memory import MemoryStore
from eventstore.sqlite import SQLiteStore

FORGET = "callboard.forget"
"""Where an app keeps its adapters.forgetting.Forget, in `app.extensions`."""

log = structlog.get_logger("callboard")


@asynccontextmanager
async def open_transcriber(settings: Settings) -> AsyncIterator[Transcriber]:
    """Whoever is configured to write down speech."""
    if settings.transcriber is TranscriberKind.OPENAI and settings.openai_api_key is not None:
        key, url = settings.openai_api_key.reveal(), settings.openai_base_url
        yield OpenAITranscriber(key) if url is None else OpenAITranscriber(key, url)
        return
    async with open_sphinx() as sphinx:
        yield sphinx


def performers(
    settings: Settings, model: LanguageModel, transcriber: Transcriber, blobs: BlobStore, boot: Callable[[], str]
) -> Mapping[type, Perform]:
    """Who does which effect. `boot` says which run of the server this is, once it runs."""
    interval, patience, clock = settings.delta_interval, settings.response_timeout, SystemClock()
    meteo = OpenMeteo(geocoding_url=settings.geocoding_url, forecast_url=settings.forecast_url)
    forecast = meteo if settings.forecast is ForecastSource.OPEN_METEO else ScriptedForecast()
    url = settings.shipvox_api_url
    carrier = EmbeddedCarrier(clock) if settings.carrier is CarrierKind.EMBEDDED or url is None else HTTPCarrier(url)
    named = models_of(settings)
    of_calls = call_performers(
        model, call_tools(forecast), boot=boot, clock=clock, delta_interval=interval, response_timeout=patience,
        named=named,
    )  # fmt: skip
    transcribe = transcribe_performer(transcriber, blobs)
    return {
        **assistant_performers(model, forecast, delta_interval=interval, response_timeout=patience, named=named),
        **of_calls,
        **session_performers(carrier, blobs, clock, boot, public_url=settings.public_url or "", transcribe=transcribe),
    }


def actors_over(
    store: EventStore, perform: Mapping[type, Perform], settings: SystemSettings | None = None
) -> AbstractAsyncContextManager[System]:
    """The actors of a log, by this machine's clock."""
    clock, identifiers = SystemClock(), TimeOrderedIdentifiers()
    return open_system(
        store, deciders=DECIDERS, performers=perform, clock=clock, identifiers=identifiers, settings=settings
    )


@asynccontextmanager
async def open_callboard(settings: Settings, model: LanguageModel, blobs: BlobStore) -> AsyncIterator[System]:
    """The log and the actors, running. Raises StoreUnavailable."""
    running: list[System] = []
    system_settings = SystemSettings(
        mailbox=settings.mailbox,
        passivate_after=settings.passivate_after,
        graceful_timeout=settings.graceful_timeout * (1 - SOCKETS_SHARE) / 2,
        backoff=Backoff(random.random),
    )
    async with (
        open_store(settings.store, settings.encryption_key) as store,
        checkpoints_kept(settings, store, SystemClock()),
        open_transcriber(settings) as transcriber,
        actors_over(
            store, performers(settings, model, transcriber, blobs, lambda: running[0].boot), system_settings
        ) as system,
        trio.open_nursery() as nursery,
    ):
        running.append(system)
        nursery.start_soon(ThreadUpdates(system, Backoff(random.random)).run)
        nursery.start_soon(keep_mirrored, store, settings.websocket_channel, settings.websocket_uri)
        nursery.start_soon(keep_indexed, settings.store.path, store)
        yield system
        nursery.cancel_scope.cancel()


def settle_interpreter() -> None:
    """Two settings of the process that pay for threads that read beside an event loop that thinks.

    The interpreter's lock is handed over after 0.1 ms instead of 5: readers need it for moments between their
    statements, and would else wait for the loop to have nothing to do. The cyclic collector looks seldom: our values
    hold no cycles, and a thousand actors make it look at much.
    """
    sys.setswitchinterval(1e-4)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def assemble(settings: Settings, system: System, model: LanguageModel, blobs: FileBlobs | MemoryBlobs) -> QuartTrio:
    """The whole web side around a system. Raises BadSetting."""
    door, tokens = entrance(settings, system.clock)
    webhook = retell_blueprint(system, revealed(settings.retell_api_key))
    more, web = [tokens, labels_blueprint(blobs), webhook], web_settings(settings, model)
    app = create_app(system, web, deciders=DECIDERS, door=door, blobs=blobs, more=more)
    history = history_of(settings, system, blobs, sockets_of(app))
    for routes in history.routes:
        app.register_blueprint(routes)
    app.extensions[FORGET] = history.forget
    app.register_blueprint(streams_blueprint(system, lambda: sockets_of(app).sessions("streams")))
    return app


@asynccontextmanager
async def open_unserved(settings: Settings) -> AsyncIterator[QuartTrio]:
    """The same, to be looked at: its log is empty and in memory, and its actors have nobody who does what they want."""
    async with actors_over(MemoryStore(epoch="unserved"), {}) as system:
        yield assemble(settings, system, OfflinePartner(), MemoryBlobs())


async def serve(
    settings: Settings, shutdown: trio.Event, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
) -> None:
    """The whole server, until `shutdown`. Starts with its URLs. Raises StoreUnavailable, BadSetting."""
    settle_interpreter()
    model, tls, blobs = language_model(settings), tls_of(settings), blob_store(settings.store)
    warn_of_clear_text(settings)
    async with open_callboard(settings, model, blobs) as system:
        app = assemble(settings, system, model, blobs)
        sockets, binds = sockets_of(app), [str(bind) for bind in settings.bind]
        async with noting(sockets, settings.seen_interval), retaining(_keeper(settings, system, app)):
            try:
                await serve_app(
                    app,
                    binds,
                    shutdown,
                    limits=server_limits(settings),
                    tls=tls,
                    drain=sockets.drain,
                    tally=sockets.tally,
                    task_status=task_status,
                )
            except OSError as fault:
                refused = fault.filename or ", ".join(binds)
                reason = f"cannot listen on {refused}: {fault.strerror or fault}; choose another with --bind"
                raise BadSetting((reason,)) from fault


def _keeper(settings: Settings, system: System, app: QuartTrio) -> Keeper | None:
    """Who follows the rules of retention, where there are any."""
    rules, store, path = Rules(settings.archive_after, settings.forget_after), system.store, settings.store.path
    if rules == Rules() or path is None or not isinstance(store, SQLiteStore):
        return None
    return Keeper(rules, system, store, path, DECIDERS, app.extensions[FORGET])
