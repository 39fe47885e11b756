from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from core.identifiers import Category, StreamName
from core.session import OpenSession
from tests.adapters.web.conftest import Socket
from tests.adapters.web.streams_server import StreamsServer, streaming


@pytest.fixture
async def streams() -> AsyncIterator[StreamsServer]:
    async with streaming() as server:
        yield server


def talk(server: StreamsServer, id: str) -> AbstractAsyncContextManager[Socket]:
    return server.connect(f"/api/stream/ws/{id}")


async def say(socket: Socket, **frame: Any) -> None:
    await socket.wire.send_message(msgspec.json.encode(frame).decode())


async def status_of(server: StreamsServer, id: str) -> dict[str, Any]:
    answer = await server.http.get(f"/api/stream/status/{id}")
    assert answer.status_code == 200
    return dict(answer.json())


async def test_a_session_nobody_is_connected_to_is_not_connected(streams: StreamsServer) -> None:
    for id in ("unknown", "two words", "x" * 200):
        assert await status_of(streams, id) == {"status": "not_connected"}


async def test_a_session_with_sockets_says_how_many_there_are_and_where(streams: StreamsServer) -> None:
    streams.connected.update({"b": 1, "a": 2})
    async with talk(streams, "a") as socket:
        await socket.frame("connection_established")
        assert await status_of(streams, "a") == {
            "status": "websocket_only",
            "connection_state": "connected",
            "websocket_connected": True,
            "active_sessions": ["a", "b"],
            "total_connections": 3,
        }


async def test_a_peer_that_reports_itself_is_seen_in_the_status(streams: StreamsServer) -> None:
    streams.connected.update({"a": 2})
    async with talk(streams, "a") as socket, talk(streams, "a") as other:
        await socket.frame("connection_established")
        await other.frame("connection_established")
        for state, frame in (("connected", "webrtc_connected"), ("failed", "webrtc_disconnected")):
            await say(socket, type="webrtc_state", state=state)
            await other.frame(frame)
            status = await status_of(streams, "a")
            assert (status["status"], status["connection_state"]) == ("webrtc", state)
        await say(socket, type="webrtc_state", state="closed")
        await other.frame("webrtc_disconnected")
        assert (await status_of(streams, "a"))["status"] == "websocket_only"


async def test_disconnecting_closes_the_sessions_sockets_and_no_others(streams: StreamsServer) -> None:
    async with talk(streams, "a") as one, talk(streams, "a") as two, talk(streams, "b") as other:
        for socket in (one, two, other):
            await socket.frame("connection_established")
        answer = await streams.http.delete("/api/stream/disconnect/a")
        assert (answer.status_code, answer.json()) == (200, {"status": "disconnected"})
        assert await one.closed() == (1000, "Disconnected")
        assert await two.closed() == (1000, "Disconnected")
        await say(other, type="ping")
        assert (await other.frame())["type"] == "pong"


@pytest.mark.parametrize("id", ["unknown", "two words", "x" * 200])
async def test_disconnecting_what_is_unknown_is_done_already(streams: StreamsServer, id: str) -> None:
    answer = await streams.http.delete(f"/api/stream/disconnect/{id}")
    assert (answer.status_code, answer.json()) == (200, {"status": "disconnected"})
    assert streams.system.store.head == 0


async def test_a_session_of_another_dialect_is_not_disconnected_from_here(streams: StreamsServer) -> None:
    stream = StreamName.of(Category.SESSION, "parcel")
    await streams.system.ask(stream, OpenSession("ann", "shipping", 1), streams.system.stamp())
    await streams.http.delete("/api/stream/disconnect/parcel")
    assert streams.system.store.head == 1


async def test_chat_is_heard_in_all_sessions_and_media_by_their_sender(streams: StreamsServer) -> None:
    async with talk(streams, "a") as one, talk(streams, "b") as two:
        assert (await one.frame())["type"] == "connection_established"
        assert (await two.frame())["type"] == "connection_established"
        await say(one, type="chat", message="hello")
        for socket in (one, two):
            frame = await socket.frame()
            assert (frame["type"], frame["message"], frame["session_id"]) == ("chat_message", "hello", "a")
        await say(two, type="video", data="AAAA")
        assert (await two.frame())["type"] == "video_received"
        await say(one, type="ping")
        assert (await one.frame())["type"] == "pong"


async def test_the_page_is_ours_alone_and_may_be_asked_about_again(streams: StreamsServer) -> None:
    page = await streams.http.get("/api/stream/test-page")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for outside in ("http://", "https://", "localhost", "127.0.0.1"):
        assert outside not in page.text
    again = await streams.http.get("/api/stream/test-page", headers={"If-None-Match": page.headers["etag"]})
    assert again.status_code == 304
