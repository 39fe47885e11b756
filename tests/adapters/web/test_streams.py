from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import trio
import trio.testing

from adapters.gateways.transcriber import open_sphinx
from core.identifiers import Category, StreamName
from core.session import JoinDevice, MediaReceived, OpenSession
from tests.adapters.gateways.speech import spoken
from tests.adapters.latency import assert_answered_within, ping_until
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
    async with talk(streams, "a") as one, talk(streams, "a") as two, talk(streams, "b") as three:
        for socket in (one, two, three):
            await socket.frame("connection_established")
        assert await status_of(streams, "a") == {
            "status": "websocket_only",
            "connection_state": "connected",
            "websocket_connected": True,
            "active_sessions": ["a", "b"],
            "total_connections": 3,
        }


async def test_a_peer_that_reports_itself_is_seen_in_the_status(streams: StreamsServer) -> None:
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


@pytest.mark.parametrize("id", ["two words", "a\tb", "100%", "%20", "späť", "-", "x" * 128])
async def test_a_session_may_be_called_anything(streams: StreamsServer, id: str) -> None:
    path = quote(id, safe="")
    async with talk(streams, path) as one, talk(streams, path) as two:
        for socket in (one, two):
            frame = await socket.frame("connection_established")
            assert (frame["session_id"], frame["message"]) == (id, f"Connected to session {id}")
        await say(one, type="chat", message="hello")
        assert (await two.frame())["session_id"] == id
        await say(one, type="webrtc_state", state="connected")
        assert (await two.frame("webrtc_connected"))["session_id"] == id
        assert (await status_of(streams, path))["active_sessions"] == [id]
        assert (await streams.http.delete(f"/api/stream/disconnect/{path}")).status_code == 200
        assert (await one.closed())[0] == (await two.closed())[0] == 1000


async def test_sessions_whose_names_differ_are_different_ones(streams: StreamsServer) -> None:
    async with talk(streams, "a%20b") as blank, talk(streams, "a%2520b") as written:
        assert (await blank.frame())["seq"] == (await written.frame())["seq"] == 2


async def test_who_has_left_is_connected_no_more(streams: StreamsServer) -> None:
    async with talk(streams, "a") as stays:
        await stays.frame("connection_established")
        async with talk(streams, "b") as goes:
            await goes.frame("connection_established")
            assert (await status_of(streams, "a"))["total_connections"] == 2
        with trio.fail_after(5):
            while (await status_of(streams, "a"))["active_sessions"] != ["a"]:  # noqa: ASYNC110  # asked over HTTP
                await trio.sleep(0.01)
        assert await status_of(streams, "b") == {"status": "not_connected"}


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
    for command in (OpenSession("ann", "shipping", 1), JoinDevice("b.1", "ann", "shipping", 2)):
        await streams.system.ask(stream, command, streams.system.stamp())
    await streams.http.delete("/api/stream/disconnect/parcel")
    assert streams.system.store.head == 2


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


async def test_bytes_are_in_the_blob_store_before_their_event_and_in_the_order_they_came(
    streams: StreamsServer,
) -> None:
    chunks = [bytes([n]) * 200_000 for n in range(1, 9)]
    async with talk(streams, "a") as socket:
        await socket.frame("connection_established")
        for chunk in chunks:
            await say(socket, type="audio", data=base64.b64encode(chunk).decode())
        for _ in chunks:
            assert (await socket.frame())["type"] == "audio_received"
    records = await streams.system.store.read_stream(StreamName.of(Category.SESSION, "a"))
    media = [record.event.media for record in records if isinstance(record.event, MediaReceived)]
    assert [await streams.blobs.get(one.digest) for one in media] == chunks


async def test_who_sends_faster_than_bytes_are_kept_is_read_no_faster(streams: StreamsServer) -> None:
    """More than may wait in memory at one time, and nobody is closed for it."""
    frame = msgspec.json.encode({"type": "audio", "data": base64.b64encode(bytes(6_000_000)).decode()}).decode()
    gate = streams.blobs.gate = trio.Event()
    async with talk(streams, "a") as socket, trio.open_nursery() as nursery:
        await socket.frame("connection_established")

        async def send() -> None:
            for _ in range(5):
                await socket.wire.send_message(frame)

        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked(0.05)
        gate.set()
        for _ in range(5):
            assert (await socket.frame())["type"] == "audio_received"


async def test_bytes_that_cannot_be_kept_are_an_error_and_no_event(streams: StreamsServer) -> None:
    streams.blobs.is_full = True
    async with talk(streams, "a") as socket:
        await socket.frame("connection_established")
        head = streams.system.store.head
        await say(socket, type="audio", data="AAAA", command_id="a-1")
        frame = await socket.frame()
        assert (frame["type"], frame["command_id"]) == ("error", "a-1")
        await say(socket, type="transcription_request", data="AAAA")
        assert (await socket.frame())["type"] == "transcription_error"
        assert streams.system.store.head == head


async def test_spoken_audio_is_transcribed_while_pings_of_others_are_answered_at_once(tmp_path: Path) -> None:
    """Twice, as the first time the engine is started, and the second all of the time is recognition."""
    clip = await spoken("the quick brown fox jumps over the lazy dog", tmp_path)
    async with (
        open_sphinx() as sphinx,
        streaming(sphinx) as server,
        talk(server, "a") as speaker,
        talk(server, "b") as other,
    ):
        for socket in (speaker, other):
            await socket.frame("connection_established")
        for _ in range(2):
            await say(speaker, type="transcription_request", data=base64.b64encode(clip).decode())
            began = trio.current_time()
            frame, pongs = await transcribed(speaker, other)
            assert frame["type"] == "transcription_result"
            assert {"quick", "brown", "fox", "lazy", "dog"} <= set(frame["transcript"].split())
            assert_answered_within(0.05, pongs, standstill=(trio.current_time() - began) / 2)


async def transcribed(speaker: Socket, other: Socket) -> tuple[dict[str, Any], list[float]]:
    """What the speaker hears next, and the seconds each ping took that the other sent until then."""
    is_over, pongs = trio.Event(), list[float]()

    async def ping() -> None:
        await say(other, type="ping")
        await other.frame("pong")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ping_until, is_over.is_set, ping, pongs)
        with trio.fail_after(60):
            frame = msgspec.json.decode(await speaker.wire.get_message())
        is_over.set()
    return frame, pongs
