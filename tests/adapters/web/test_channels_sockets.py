"""Channels over real sockets: clients that do not read, and ours through restarts."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from quart_trio import QuartTrio

from actors.backoff import Backoff
from actors.system import System, open_system
from adapters.clients.channels import WebSocketManager
from adapters.clients.wire import open_wire
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.protocols import channels
from adapters.protocols.channels.dialect import endpoints
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits, serve
from adapters.web.app import create_app, sockets_of
from adapters.web.settings import WebSettings
from core.channel import Published, channel, stream_of
from core.identifiers import Category
from core.ports import EventStore
from eventstore.memory import MemoryStore
from tests.adapters.web.conftest import PATIENCE, Server

DECIDERS = {Category.CHANNEL: channel}
QUICK = Backoff(lambda: 0.0, first=0.02, cap=0.02)


@pytest.fixture(autouse=True)
def spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "endpoints", endpoints, raising=False)


@asynccontextmanager
async def serving(store: EventStore, bind: str = "127.0.0.1:0", outlet_bytes: int = 1 << 20) -> AsyncIterator[Server]:
    clock, ids = SystemClock(), TimeOrderedIdentifiers()
    limits = ServerLimits(LinkLimits(outlet_bytes=outlet_bytes), graceful_timeout=0.3)
    async with (
        open_system(store, deciders=DECIDERS, performers={}, clock=clock, identifiers=ids) as system,
        trio.open_nursery() as nursery,
    ):
        server = await _started(nursery, system, bind, limits)
        yield server
        server.shutdown.set()


async def _started(nursery: trio.Nursery, system: System, bind: str, limits: ServerLimits) -> Server:
    app: QuartTrio = create_app(system, WebSettings(), deciders=DECIDERS)
    shutdown, sockets = trio.Event(), sockets_of(app)
    child = partial(serve, app, [bind], shutdown, limits=limits, drain=sockets.drain, tally=sockets.tally)
    [url] = await nursery.start(child)
    return Server(system, app, url, None, shutdown)  # type: ignore[arg-type]  # no HTTP here


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(MemoryStore()) as server:
        yield server


def address(server: Server, path: str = "/") -> str:
    return server.url.replace("http", "ws") + path


def frame(type: str, payload: Any) -> str:
    return json.dumps({"type": type, "payload": payload})


# --- who does not read ------------------------------------------------------------------------------------------


async def test_a_client_that_never_reads_holds_up_nobody() -> None:
    async with serving(MemoryStore(), outlet_bytes=64 * 1024) as server, AsyncExitStack() as stack:
        deaf, ears, mouth = [await stack.enter_async_context(open_wire(address(server))) for _ in range(3)]
        for wire in (deaf, ears):
            await wire.send_message(frame("subscribe", {"channel": "news"}))
            await wire.get_message()
        big, heard = "x" * 20_000, list[int]()

        async def hear() -> None:
            while len(heard) < 300:
                heard.append(json.loads(await ears.get_message())["payload"]["n"])

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hear)
                for n in range(300):
                    await mouth.send_message(frame("news", {"n": n, "text": big}))
                    while n - len(heard) > 2:  # noqa: ASYNC110  # the rate limit is not what is tried here
                        await trio.sleep(0.001)
        assert heard == list(range(300))


# --- our client -------------------------------------------------------------------------------------------------


async def test_our_client_speaks_with_our_server(server: Server) -> None:
    async with (
        WebSocketManager(address(server), "weather-update") as one,
        WebSocketManager(address(server, "/ws/channels"), "weather-update") as two,
    ):
        await one.connect()
        await two.connect()
        one.publish({"message": "hello", "thread_id": "t"})
        with trio.fail_after(PATIENCE):
            message = await anext(two)
    assert message.payload == {"message": "hello", "thread_id": "t"}
    assert message.position == 2
    records = await server.system.store.read_stream(stream_of("weather-update"))
    assert [record.event for record in records][1:] == [Published("weather-update", message.payload)]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def test_nothing_published_after_subscribed_is_missing_through_restarts() -> None:
    store, heard, bind = MemoryStore(), list[int](), f"127.0.0.1:{free_port()}"
    terms: dict[str, Any] = {"backoff": QUICK, "within": 1.0}
    async with (
        WebSocketManager(f"ws://{bind}", "news", **terms) as ears,
        WebSocketManager(f"ws://{bind}", "news", **terms) as mouth,
    ):
        for round in range(4):
            async with serving(store, bind):
                await ears.connect()
                await mouth.connect()
                for n in range(10):
                    mouth.publish({"n": round * 10 + n})
                if round == 3:
                    with trio.fail_after(PATIENCE):
                        while len(heard) < 40:
                            heard.append((await anext(ears)).payload["n"])
        assert (ears.losses, ears.gaps, mouth.dropped_count) == (4, 0, 0)
    assert heard == list(range(40))
