"""A server of the dialect `streams` alone, over stores in memory, with a scripted transcriber."""

from __future__ import annotations

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
from core.ports import Transcriber
from core.session import Transcribe, session
from eventstore.memory import MemoryStore
from tests.adapters.web.conftest import Server

DECIDERS: Mapping[Category, AnyDecider] = {Category.CONVERSATION: conversation, Category.SESSION: session}


class Blobs(MemoryBlobs):
    """Bytes that cannot be kept while the store `is_full`, nor before the `gate` is open."""

    is_full = False
    gate: trio.Event | None = None

    async def put(self, content: bytes) -> str:
        if self.gate is not None:
            await self.gate.wait()
        if self.is_full:
            raise OSError(28, "No space left on device")
        return await super().put(content)


@dataclass(kw_only=True)
class StreamsServer(Server):
    blobs: Blobs


@asynccontextmanager
async def streaming(transcriber: Transcriber | None = None) -> AsyncIterator[StreamsServer]:
    blobs, twin = Blobs(), transcriber or ScriptedTranscriber()
    performers: dict[type, Perform] = {Transcribe: transcribe_performer(twin, blobs)}
    opening = open_system(
        MemoryStore(),
        deciders=DECIDERS,
        performers=performers,
        clock=SystemClock(),
        identifiers=TimeOrderedIdentifiers(),
    )
    async with opening as system, trio.open_nursery() as nursery:
        app = create_app(system, WebSettings(), deciders=DECIDERS, blobs=blobs)
        sockets, shutdown = sockets_of(app), trio.Event()
        app.register_blueprint(streams_blueprint(system, lambda: sockets.sessions(STREAMS.name)))
        limits = ServerLimits(LinkLimits(), graceful_timeout=0.1)
        child = partial(serve, app, ["127.0.0.1:0"], shutdown, limits=limits, drain=sockets.drain, tally=sockets.tally)
        (url,) = await nursery.start(child)
        async with httpx.AsyncClient(base_url=url, timeout=10.0) as http:
            yield StreamsServer(system, app, url, http, shutdown, blobs=blobs)
        shutdown.set()
