"""A running server over a store in memory and a scripted language model, with clients on real sockets."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
import trio
from quart import request
from quart_trio import QuartTrio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from actors.effects import Perform
from actors.system import System, open_system
from adapters.bootstrap import open_unserved
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.config import from_environment
from adapters.gateways.drafting import draft_reply
from adapters.gateways.offline_partner import ScriptedModel
from adapters.reference.openapi import openapi
from adapters.server.groups import sole
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits, serve
from adapters.web.app import create_app, sockets_of
from adapters.web.auth import TokenDoor
from adapters.web.settings import WebSettings
from core.conversation import DraftReply, conversation
from core.identifiers import Category, StreamName
from core.ports import EventStore, LanguageModel
from eventstore.memory import MemoryStore
from tests.adapters.web.traffic import Traffic

PATIENCE = 5.0


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The API reference of the whole app, routes for tests included, as a client reads it."""

    async def made() -> bytes:
        async with open_unserved(from_environment({}, {})) as app:
            return msgspec.json.encode(openapi(app))

    read: dict[str, Any] = msgspec.json.decode(trio.run(made))
    return read


@pytest.fixture(autouse=True)
def traffic(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    """Whatever app a test makes: what its described routes are asked and answer is as the API reference says."""
    traffic, process = Traffic(document), QuartTrio.process_response

    async def process_and_look(app: QuartTrio, response: Any, context: Any = None) -> Any:
        processed: Any = await process(app, response, context)
        await traffic.pass_by(app, request, processed)
        return processed

    monkeypatch.setattr(QuartTrio, "process_response", process_and_look)
    yield traffic
    assert traffic.faults == []


@dataclass
class Socket:
    """A client's WebSocket."""

    wire: WebSocketConnection
    stream: trio.SocketStream

    async def send(self, type: str, payload: Any = None, **more: Any) -> None:
        await self.wire.send_message(msgspec.json.encode({"type": type, "payload": payload, **more}).decode())

    async def frame(self, type: str | None = None) -> dict[str, Any]:
        """The next frame, or the next of a type."""
        with trio.fail_after(PATIENCE):
            while True:
                frame = msgspec.json.decode(await self.wire.get_message())
                if type is None or frame["type"] == type:
                    return dict(frame)

    async def frames(self, count: int) -> list[dict[str, Any]]:
        return [await self.frame() for _ in range(count)]

    async def closed(self) -> tuple[int, str | None]:
        """The code and reason of the close; frames before it are read and dropped."""
        with trio.fail_after(PATIENCE):
            while self.wire.closed is None:
                with suppress(ConnectionClosed):
                    await self.wire.get_message()
        return self.wire.closed.code, self.wire.closed.reason


@dataclass
class Server:
    """A server under test."""

    system: System
    app: QuartTrio
    url: str
    http: httpx.AsyncClient
    shutdown: trio.Event = field(default_factory=trio.Event)

    async def opened(self, **body: Any) -> str:
        """The id of a new conversation."""
        answer = await self.http.post("/api/v2/conversations", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def connect(self, path: str, **options: Any) -> AbstractAsyncContextManager[Socket]:
        """A WebSocket of any path."""
        return connected_to(self.url.replace("http", "ws") + path, options)

    def talk(self, id: str, query: str = "", **options: Any) -> AbstractAsyncContextManager[Socket]:
        """A WebSocket of a conversation."""
        return self.connect(f"/api/ws/conversations/{id}{query}", **options)

    async def until(self, id: str, is_so: Callable[[Any], bool]) -> None:
        """Wait until a record of the conversation has left it in such a state."""
        stream = StreamName.of(Category.CONVERSATION, id)
        with trio.fail_after(PATIENCE), self.system.audiences.watch(stream) as records:
            while not is_so((await self.system.look(stream))[0]):
                await records.receive()


@asynccontextmanager
async def connected_to(url: str, options: dict[str, Any]) -> AsyncIterator[Socket]:
    """With a stream of our own: trio-websocket leaves the one it opened to the garbage when the server closes first."""
    target = urlsplit(url)
    async with await trio.open_tcp_stream(target.hostname or "", target.port or 0) as stream:
        try:
            async with trio.open_nursery() as nursery:
                resource = f"{target.path}?{target.query}"
                wire = await wrap_client_stream(nursery, stream, target.netloc, resource, **options)
                yield Socket(wire, stream)
                await wire.aclose()
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            # A ping that meets our own close trips trio-websocket's client up; the socket is closed all the same.
            if not isinstance(sole(group), LocalProtocolError):
                raise sole(group) from None


Start = Callable[..., Awaitable[Server]]


async def _run(
    model: LanguageModel,
    settings: WebSettings,
    store: EventStore,
    limits: ServerLimits | None,
    secret: str | None,
    tls: ssl.SSLContext | None,
    task_status: trio.TaskStatus[Server],
) -> None:
    performers: dict[type, Perform] = {
        DraftReply: draft_reply(model, delta_interval=0.0, response_timeout=settings.response_timeout)
    }
    deciders = {Category.CONVERSATION: conversation}
    async with (
        open_system(
            store, deciders=deciders, performers=performers, clock=SystemClock(), identifiers=TimeOrderedIdentifiers()
        ) as system,
        trio.open_nursery() as nursery,
    ):
        app, shutdown = create_app(system, settings, door=TokenDoor(secret) if secret else None), trio.Event()
        limits = limits or ServerLimits(LinkLimits(max_frame_bytes=settings.max_frame_bytes), graceful_timeout=0.1)
        child = partial(
            serve,
            app,
            ["127.0.0.1:0"],
            shutdown,
            limits=limits,
            tls=tls,
            drain=sockets_of(app).drain,
            tally=sockets_of(app).tally,
        )
        urls = await nursery.start(child)
        async with httpx.AsyncClient(base_url=urls[0], timeout=PATIENCE) as http:
            task_status.started(Server(system, app, urls[0], http, shutdown))
            await shutdown.wait()


@asynccontextmanager
async def starting() -> AsyncIterator[Start]:
    """Starts servers that are shut down in good order at the end."""
    servers: list[Server] = []
    async with trio.open_nursery() as nursery:

        async def start_one(
            *answers: Any,
            settings: WebSettings | None = None,
            store: EventStore | None = None,
            limits: ServerLimits | None = None,
            secret: str | None = None,
            tls: ssl.SSLContext | None = None,
        ) -> Server:
            model = ScriptedModel(*answers or (("Hello ", "there."),))
            settings = settings or WebSettings(model=model.name, response_timeout=2.0, answer_margin=1.0)
            server: Server = await nursery.start(_run, model, settings, store or MemoryStore(), limits, secret, tls)
            servers.append(server)
            return server

        yield start_one
        for server in servers:
            server.shutdown.set()


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts servers that are shut down in good order after the test."""
    async with starting() as start:
        yield start


@pytest.fixture
async def server(start: Start) -> Server:
    return await start()


@pytest.fixture
def small_outlet() -> ServerLimits:
    """Sockets that may lag 16 KiB behind."""
    return ServerLimits(LinkLimits(outlet_bytes=16 * 1024), graceful_timeout=0.1)


@pytest.fixture
def small_frames() -> WebSettings:
    """Frames and bodies of 4000 bytes at most."""
    return WebSettings(model="scripted", max_frame_bytes=4000)
