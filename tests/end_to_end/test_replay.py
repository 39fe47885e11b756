"""A server, clients in all dialects, and what the command line tells of them afterwards, byte for byte."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import json
from trio_websocket import ConnectionClosed

from adapters import cli
from adapters.opening import open_history
from adapters.replaying import JOINED
from adapters.setting_values import StoreAddress
from core.messages import Recorded
from tests.adapters.web.conftest import Socket
from tests.adapters.whole import PATIENCE, Whole, serving

DELTAS = "deltas=true"

SEEN = 3
"""Records that a console had seen when it came back."""

Is = Callable[[Any], bool]


class Listener:
    """A client that keeps every frame as it came."""

    def __init__(self, socket: Socket, leave: Callable[[], Awaitable[None]]) -> None:
        self.socket, self.leave, self.frames = socket, leave, list[bytes]()
        self._came = trio.Event()

    async def listen(self) -> None:
        try:
            while True:
                self.frames.append(str(await self.socket.wire.get_message()).encode())
                self._came.set()
                self._came = trio.Event()
        except ConnectionClosed:
            return

    async def say(self, **frame: Any) -> None:
        await self.socket.wire.send_message(json.encode(frame).decode())

    async def until(self, is_it: Is, times: int = 1) -> Any:
        """The frame that is it for this time; it may have come."""
        with trio.fail_after(PATIENCE):
            while len(found := [frame for frame in map(json.decode, self.frames) if is_it(frame)]) < times:
                await self._came.wait()
        return found[times - 1]


class Clients:
    """All that are connected to one server."""

    def __init__(self, server: Whole, stack: AsyncExitStack, nursery: trio.Nursery) -> None:
        self._server, self._stack, self._nursery = server, stack, nursery

    async def connect(self, path: str) -> Listener:
        own = await self._stack.enter_async_context(AsyncExitStack())
        listener = Listener(await own.enter_async_context(self._server.connect(path)), own.aclose)
        self._nursery.start_soon(listener.listen)
        return listener


def of(**wanted: Any) -> Is:
    """A frame that has these fields, in itself or in its payload."""
    return lambda frame: wanted.items() <= {**frame, **_payload(frame)}.items()


def _payload(frame: dict[str, Any]) -> dict[str, Any]:
    payload = frame.get("payload")
    return {key: value for key, value in payload.items() if key != "type"} if isinstance(payload, dict) else {}


class CommandLine:
    """`callboard replay` on one log."""

    def __init__(self, log: Path, capture: pytest.CaptureFixture[bytes]) -> None:
        self._store, self._capture = f"sqlite:///{log}", capture

    async def frames(self, stream: str, dialect: str, *options: str) -> list[bytes]:
        """The bare bytes that it prints, a frame a line."""
        words = ["replay", stream, "--frames", dialect, *options, "--raw", "--store", self._store]
        self._capture.readouterr()
        await trio.to_thread.run_sync(partial(cli.app, words, standalone_mode=False))  # it has an event loop of its own
        return self._capture.readouterr().out.splitlines()


async def records_of(log: Path) -> list[Recorded]:
    async with open_history(StoreAddress(log)) as store:
        return await store.read_all(limit=10_000)


def joins(records: list[Recorded], category: str) -> list[tuple[str, str]]:
    """Who joined what, in order: the stream and the connection."""
    joined = (record for record in records if isinstance(record.event, JOINED))
    return [(str(record.stream), record.stamp.origin) for record in joined if record.stream.category == category]


async def test_what_clients_of_every_dialect_got_is_what_the_log_tells_that_they_were_sent(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    log = tmp_path / "all.db"
    async with (
        serving(
            CALLBOARD_STORE=f"sqlite:///{log}", OBFUSCATED_WS_PATH="secret", CALLBOARD_DELTA_INTERVAL="0.005"
        ) as server,
        trio.open_nursery() as nursery,
        AsyncExitStack() as stack,
    ):
        clients = Clients(server, stack, nursery)
        conversation = await server.opened()
        board = await clients.connect("/console/socket")
        await board.say(type="board", id="b")
        behind = (await board.until(of(type="tuned")))["position"]
        consoles = [await watch(clients, f"conversation-{conversation}")]
        conversations = await converse(clients, conversation, server)
        subscribers = await ask(clients)
        devices = await ship(clients)
        peers = await stream(clients)
        platform = await call(clients)
        consoles.append(await watch(clients, f"conversation-{conversation}", behind=consoles[0]))
        await leave(conversations[0], [*consoles, board])
        nursery.cancel_scope.cancel()
    records, told = await records_of(log), CommandLine(log, capsysbinary)
    for (name, id), listener, query in zip(joins(records, "conversation"), conversations, ("", DELTAS), strict=True):
        own = [frame for frame in listener.frames if b"heartbeat_response" not in frame]
        assert await told.frames(name, "conversations", "--client", id, "--query", query) == own
    sessions = joins(records, "session")
    for (name, id), device in zip(sessions[:2], devices, strict=True):
        own = [frame for frame in device.frames if b'"epoch"' not in frame and b"_received" not in frame]
        assert await told.frames(name, "shipping", "--client", id) == own
    for (name, id), peer in zip(sessions[2:], peers, strict=True):
        assert await told.frames(name, "streams", "--client", id) == peer.frames
    ((name, _),) = joins(records, "call")
    assert await told.frames(name, "retell") == platform.frames
    for subscriber, topic in zip(subscribers, ("channel:news", "channel+position:news"), strict=True):
        assert await told.frames("all", "channels", "--topic", topic) == subscriber.frames[1:], "behind its receipt"
    past = await told.frames(f"conversation-{conversation}", "console")
    assert [console.frames[2:] for console in consoles] == [past, past[SEEN:]], "behind its greeting and its receipt"
    in_short, own_look = await told.frames("all", "console", "--topic", "log"), origin_of(board)
    others = [frame for frame in in_short[behind:] if own_look not in frame]
    assert board.frames[2:] == others[: len(board.frames) - 2], "until it left"


def origin_of(console: Listener) -> bytes:
    """What is in frames of what it did itself: that it looks is told to all others."""
    return f'"origin":"{json.decode(console.frames[0])["connection_id"]}"'.encode()


async def watch(clients: Clients, stream: str, behind: Listener | None = None) -> Listener:
    """A console to which all of the stream is told, or what is behind the first records that another one saw."""
    after = 0 if behind is None else (await behind.until(of(type="record"), SEEN))["position"]
    console = await clients.connect("/console/socket")
    await console.say(type="watch", id="w", stream=stream, after=after)
    await console.until(of(type="tuned"))
    return console


async def leave(last: Listener, consoles: Sequence[Listener]) -> None:
    """The last of a conversation; those who watch it see it go."""
    await last.socket.wire.aclose()
    for console in consoles:
        await console.until(of(event="conversation.client_left"), 2)


async def converse(clients: Clients, id: str, server: Whole) -> list[Listener]:
    """A plain one, and one that is shown answers as they grow; the first errs."""
    path = f"/api/ws/conversations/{id}"
    listeners = [await clients.connect(path)]
    await listeners[0].until(of(type="connection_status"))
    listeners.append(await clients.connect(f"{path}?{DELTAS}"))
    await listeners[1].until(of(type="connection_status"))
    await listeners[0].say(type="transcript_update", payload={"interim_transcript": "ah"})
    await listeners[0].say(
        type="transcript_update", payload={"final_transcript": "ahoy – 再说一遍 🎭"}, command_id="c-1"
    )
    await listeners[0].say(type="heartbeat")
    await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": "Shall we sail?"})
    for listener in listeners:
        await listener.until(of(type="state_update", current_state="waiting_for_user"))
    await listeners[1].leave()
    await listeners[0].until(of(status="disconnected"))
    return listeners


async def ask(clients: Clients) -> list[Listener]:
    listeners = [await clients.connect("/ws/channels") for _ in range(2)]
    for listener, more in zip(listeners, ({}, {"envelope": True}), strict=True):
        await listener.say(type="subscribe", payload={"channel": "news", **more})
        await listener.until(of(type="subscribed"))
    await listeners[0].say(type="ask", payload={"channel": "news", "message": "What is the weather in Oslo?"})
    for listener in listeners:
        await listener.until(of(status="completed"))
    return listeners


async def ship(clients: Clients) -> list[Listener]:
    listeners = [await clients.connect("/ws")]
    await listeners[0].say(type="ping")
    session = (await listeners[0].until(of(type="pong")))["session_id"]
    listeners.append(await clients.connect(f"/ws?session_id={session}"))
    await listeners[1].say(type="ping")
    await listeners[1].until(of(type="pong"))
    await listeners[0].say(type="contextual_update", text="looking", data={"at": 1})
    await listeners[0].say(type="get_rates", payload={"origin_zip": "04101", "destination_zip": "02108", "weight": 2})
    await listeners[0].until(of(type="quote_ready"))
    await listeners[1].say(type="ping", broadcast=True)
    for listener, times in zip(listeners, (2, 2), strict=True):
        await listener.until(of(type="pong"), times)
    return listeners


async def stream(clients: Clients) -> list[Listener]:
    """Two in one session, one in another, whose chat all hear."""
    listeners = []
    for session in ("my session", "my session", "elsewhere"):
        listeners.append(await clients.connect(f"/api/stream/ws/{session.replace(' ', '%20')}"))
        await listeners[-1].until(of(type="connection_established"))
    await listeners[0].say(type="audio", data=b64encode(b"RIFF").decode())
    await listeners[0].until(of(type="audio_received"))
    await listeners[0].say(type="webrtc_offer", sdp="v=0")
    await listeners[1].until(of(type="webrtc_offer"))
    await listeners[2].say(type="chat", message="from elsewhere")
    for listener in listeners:
        await listener.until(of(type="chat_message"))
    return listeners


async def call(clients: Clients) -> Listener:
    platform = await clients.connect("/secret/call-1")
    await platform.say(interaction_type="call_details", call={"call_id": "call-1"})
    await platform.until(of(response_id=0))
    transcript = [{"role": "user", "content": "What is the weather in Rome?"}]
    await platform.say(interaction_type="response_required", response_id=1, transcript=transcript)
    await platform.until(of(response_id=1, content_complete=True))
    return platform
