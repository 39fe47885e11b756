"""A server of the dialect `streams` alone, over stores in memory, with a scripted transcriber."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx
import trio

from actors.effects import Perform
from actors.system import open_system
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.gateways.blobs import MemoryBlobs
from adapters.gateways.transcriber import ScriptedTranscriber
from adapters.gateways.transcription import transcribe_performer
from adapters.protocols.streams import STREAMS
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits, serve
from adapters.web.app import create_app, sockets_of
from adapters.web.settings import WebSettings
from adapters.web.streams import streams_blueprint
from core.conversation import conversation
from core.decider import AnyDecider
from core.identifiers import Category
from core.session import Transcribe, session
from eventstore.memory import MemoryStore
from tests.adapters.web.conftest import Server

DECIDERS: Mapping[Category, AnyDecider] = {Category.CONVERSATION: conversation, Category.SESSION: session}


@dataclass(kw_only=True)
class StreamsServer(Server):
    """`connected` is what the routes believe of who is connected."""

    blobs: MemoryBlobs
    transcriber: ScriptedTranscriber
    connected: Counter[str]


@asynccontextmanager
async def streaming(*answers: str) -> AsyncIterator[StreamsServer]:
    blobs, twin, connected = MemoryBlobs(), ScriptedTranscriber(*answers), Counter[str]()
    performers: dict[type, Perform] = {Transcribe: transcribe_performer(twin, blobs)}
    opening = open_system(
        MemoryStore(),
        deciders=DECIDERS,
        performers=performers,
        clock=SystemClock(),
        identifiers=TimeOrderedIdentifiers(),
    )
    async with opening as system, trio.open_nursery() as nursery:
        routes = streams_blueprint(system, lambda: connected)
        app = create_app(system, WebSettings(), deciders=DECIDERS, more=[routes])
        sockets, shutdown = sockets_of(app), trio.Event()

        async def talk(**path: str) -> None:
            await sockets.talk(STREAMS, path)

        app.add_websocket("/api/stream/ws/<session_id>", endpoint="streams", view_func=talk)
        limits = ServerLimits(LinkLimits(), graceful_timeout=0.1)
        child = partial(serve, app, ["127.0.0.1:0"], shutdown, limits=limits, drain=sockets.drain, tally=sockets.tally)
        (url,) = await nursery.start(child)
        async with httpx.AsyncClient(base_url=url, timeout=10.0) as http:
            yield StreamsServer(system, app, url, http, shutdown, blobs=blobs, transcriber=twin, connected=connected)
        shutdown.set()
