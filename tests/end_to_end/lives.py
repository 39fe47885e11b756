"""Short lives of every kind, lived on a running server and ended in every way there is."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import trio
from msgspec import json
from trio_websocket import WebSocketConnection

from adapters.clients.wire import open_wire
from tests.adapters.gateways.test_shipments import PARAMETERS

PATIENCE = 60.0
SECRET = "ws-default"  # a path

Frame = dict[str, Any]


class Client:
    """One WebSocket. `lose` cuts it off without a word."""

    def __init__(self, wire: WebSocketConnection, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        self._wire, self._stream, self._scope = wire, stream, scope

    async def send(self, **frame: Any) -> None:
        await self._wire.send_message(json.encode(frame).decode())

    async def nonsense(self) -> None:
        await self._wire.send_message("{")

    async def until(self, is_it: Callable[[Frame], bool]) -> Frame:
        with trio.fail_after(PATIENCE):
            while True:
                frame: Frame = json.decode(await self._wire.get_message())
                if is_it(frame):
                    return frame

    async def get(self, type: str) -> Frame:
        return await self.until(lambda frame: type in (frame.get("type"), frame.get("response_type")))

    async def lose(self) -> None:
        """The peer sees a reset: not even a FIN."""
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._stream.socket.close()
        self._scope.cancel()
        await trio.sleep_forever()


@dataclass(frozen=True)
class Site:
    """A server as its visitors know it."""

    http: httpx.AsyncClient

    @asynccontextmanager
    async def connect(self, path: str) -> AsyncIterator[Client]:
        streams: list[trio.SocketStream] = []

        async def dial(host: str, port: int) -> trio.SocketStream:
            streams.append(await trio.open_tcp_stream(host, port))
            return streams[0]

        url = str(self.http.base_url).rstrip("/").replace("http", "ws", 1) + path
        with trio.CancelScope() as scope:
            async with open_wire(url, within=PATIENCE, dial=dial) as wire:
                yield Client(wire, streams[0], scope)

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers; an error too."""
        return (await self.http.request(method, path, json=body, timeout=PATIENCE)).json()


# --- conversations ----------------------------------------------------------------------------------------------


async def opened(site: Site) -> str:
    return str((await site.call("POST", "/api/v2/conversations", {}))["id"])


async def say(site: Site, id: str) -> None:
    await site.call("POST", f"/api/v2/conversations/{id}/messages", {"content": "I like the sea."})


async def conversation_to_its_end(site: Site, name: str) -> None:  # a life's signature
    id = await opened(site)
    async with site.connect(f"/api/ws/conversations/{id}") as first, site.connect(f"/api/ws/conversations/{id}"):
        epoch = (await first.get("state_update"))["epoch"]
        await first.nonsense()
        await say(site, id)
        await first.get("ai_response")
    async with site.connect(f"/api/ws/conversations/{id}?since=0&epoch={epoch}") as again:
        await again.get("ai_response")
        await site.call("PUT", f"/api/v2/conversations/{id}/end")
        await again.until(lambda frame: frame["payload"].get("current_state") == "ended")


async def conversation_lost_in_mid_answer(site: Site, name: str) -> None:  # as above
    id = await opened(site)
    async with trio.open_nursery() as nursery:
        async with site.connect(f"/api/ws/conversations/{id}?deltas=1") as client:
            await client.get("state_update")
            nursery.start_soon(say, site, id)
            await client.until(lambda frame: frame["payload"].get("current_state") == "speaking")
            await client.lose()
        await site.call("PUT", f"/api/v2/conversations/{id}/end")


async def conversation_nobody_ends(site: Site, name: str) -> None:  # as above
    id = await opened(site)
    async with site.connect(f"/api/ws/conversations/{id}") as client:
        await client.send(type="transcript_update", payload={"interim_transcript": "and"})
        await client.get("transcript_update")
    await site.call("GET", f"/api/v2/conversations/{id}")


# --- calls ------------------------------------------------------------------------------------------------------


async def ask(client: Client, number: int, *said: str) -> None:
    transcript = [{"role": "user", "content": text} for text in said]
    await client.send(interaction_type="response_required", response_id=number, transcript=transcript)


async def call_to_its_end(site: Site, name: str) -> None:
    """With a tool, an interruption, and a second socket that takes it over; ended by the webhook."""
    path = f"/{SECRET}/{name}"
    async with site.connect(path) as first, site.connect(path) as second:
        await first.get("config")
        await second.send(interaction_type="call_details", call={"call_id": name})
        await ask(second, 1, "Tell me a story.")
        await second.until(lambda frame: frame.get("response_id") == 1)
        await ask(second, 2, "Tell me a story.", f"What is the weather in {name}?")
        await second.get("tool_call_result")
        await second.until(lambda frame: frame.get("response_id") == 2 and frame["content_complete"])
        await site.call("POST", "/webhook", {"event": "call_ended", "call": {"call_id": name}})


async def call_lost_in_mid_answer(site: Site, name: str) -> None:
    async with site.connect(f"/{SECRET}/{name}") as client:
        await ask(client, 1, f"What is the weather in {name}?")
        await client.get("tool_call_invocation")
        await client.lose()


async def call_that_breaks_off(site: Site, name: str) -> None:
    """A fault: the server closes. Then the call is ended before it came back."""
    async with site.connect(f"/{SECRET}/{name}") as client:
        await ask(client, 1, "Tell me a story.")
        await client.until(lambda frame: frame.get("response_id") == 1)
        await client.nonsense()
    await site.call("POST", "/webhook", {"event": "call_ended", "call": {"call_id": name}})


# --- sessions ---------------------------------------------------------------------------------------------------


async def parcel(site: Site, name: str) -> None:  # as above
    """Two devices, a label and rates; then they go, and the session expires."""
    async with site.connect("/ws") as first:
        await first.send(type="ping")
        id = (await first.get("pong"))["session_id"]
        async with site.connect(f"/ws?session_id={id}") as second:
            await second.send(type="ping")
            await second.get("pong")
            label = {"tool_name": "create_label", "tool_call_id": "t-1", "parameters": PARAMETERS}
            await first.send(type="client_tool_call", client_tool_call=label)
            rates = {"origin_zip": "89501", "destination_zip": "04530", "weight": 5}
            await second.send(type="get_rates", payload=rates)
            await second.get("quote_ready")
            await first.get("client_tool_result")


async def parcel_lost(site: Site, name: str) -> None:  # as above
    async with site.connect("/ws") as client:
        label = {"tool_name": "create_label", "tool_call_id": "t-1", "parameters": PARAMETERS}
        await client.send(type="client_tool_call", client_tool_call=label)
        await client.lose()


async def stream(site: Site, name: str) -> None:
    """Chat, bytes, signals and a transcription that fails; closed from outside."""
    path = f"/api/stream/ws/{name}"
    async with site.connect(path) as first, site.connect(path) as second:
        await first.get("connection_established")
        await second.get("connection_established")
        await first.send(type="chat", message="hello")
        await first.send(type="webrtc_offer", offer={"type": "offer", "sdp": "v=0"})
        await second.get("webrtc_offer")
        await second.send(type="webrtc_state", state="connected")
        await second.send(type="audio", data="YXVkaW8gZGF0YQ==")
        await second.send(type="transcription_request")
        await first.get("transcription_error")
        await site.call("DELETE", f"/api/stream/disconnect/{name}")


async def stream_lost(site: Site, name: str) -> None:
    async with site.connect(f"/api/stream/ws/{name}") as client:
        await client.send(type="webrtc_state", state="connected")
        await client.send(type="video", data="YXVkaW8gZGF0YQ==" * 10_000)
        await client.send(type="transcription_request", data="UklGRg==")
        await client.lose()


# --- channels, and who follows the log --------------------------------------------------------------------------


async def channel(site: Site, name: str) -> None:
    """Subscribed twice over, once from the beginning; the assistant is asked there."""
    thread = str(uuid4())
    async with site.connect("/ws/channels") as client, site.connect("/ws/channels") as other:
        await other.send(type="subscribe", payload={"channel": name, "since": 0, "envelope": True})
        await other.get("subscribed")
        await client.send(type="subscribe", payload={"channel": name})
        await client.send(type=name, payload={"n": 1})
        await client.send(type="ask", payload={"channel": name, "thread_id": thread, "message": f"Weather in {name}?"})
        await client.until(lambda frame: frame["payload"].get("status") == "completed")
        await client.send(type="unsubscribe", payload={"channel": name})
        await client.get("unsubscribed")
        await other.lose()
    await site.call("PUT", f"/api/v2/conversations/{thread}/end")


async def follow_the_log(site: Site, name: str) -> None:  # as above
    """The records from the first one on, until it has heard some."""
    url = site.http.base_url
    stream = await trio.open_tcp_stream(url.host, url.port or 0)
    async with stream:
        await stream.send_all(b"GET /api/log/stream?since=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with trio.fail_after(PATIENCE):
            while b"data:" not in await stream.receive_some():
                pass


async def stray(site: Site, name: str) -> None:
    """What is not there, and what is no call's id."""
    await site.http.get(f"/{name}")
    await site.call("GET", f"/api/v2/conversations/{name}")
    async with site.connect(f"/{SECRET}/{'x' * 300}") as client:
        await client.get("config")


Life = Callable[[Site, str], Awaitable[None]]
LIVES: tuple[Life, ...] = (
    conversation_to_its_end, conversation_lost_in_mid_answer, conversation_nobody_ends, call_to_its_end,
    call_lost_in_mid_answer, call_that_breaks_off, parcel, parcel_lost, stream, stream_lost, channel, follow_the_log,
    stray,
)  # fmt: skip
CONVERSATIONS = 4
"""Of these lives, those that open a conversation."""
