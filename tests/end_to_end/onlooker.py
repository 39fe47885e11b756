"""One client that puts a conversation together over many connections, and keeps every frame as it came.

It speaks through wsproto on a bare socket, as it must do what no library lets one do: stop reading, or vanish by RST.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import trio
from msgspec import json
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError

PATIENCE = 20.0
"""Seconds for what must happen, on a machine that has other work too."""
LOST = 1006
"""The code of a connection that ended without one."""


class Line:
    """One WebSocket connection. `code` is what it was closed with, None while it is open."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.code: int | None = None
        self.taking = trio.Event()
        self.taking.set()
        self._stream, self._wire = stream, WSConnection(ConnectionType.CLIENT)
        self._sending = trio.Lock()
        self._parts: list[str] = []
        self._whole: deque[str] = deque()

    @classmethod
    async def open(cls, port: int, resource: str) -> Line:
        """Connected, with the handshake on its way. Raises OSError when nobody listens."""
        line = cls(await trio.open_tcp_stream("127.0.0.1", port))
        await line._send(Request(host=f"127.0.0.1:{port}", target=resource))
        return line

    async def say(self, text: str) -> None:
        await self._send(TextMessage(text))

    async def _send(self, event: Event) -> None:
        """Into the void when the connection is no more, or our own close has been sent."""
        try:
            async with self._sending:
                await self._stream.send_all(self._wire.send(event))
        except (trio.BrokenResourceError, trio.ClosedResourceError, LocalProtocolError):
            return

    async def part(self) -> None:
        """Begin the closing handshake; the answer ends the connection."""
        await self._send(CloseConnection(1000))

    async def reset(self) -> None:
        """Go without a word: the peer gets an RST."""
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self._stream.aclose()

    async def next(self) -> str | None:
        """The next whole text frame, None after the last. Waits while `taking` is not set."""
        while not self._whole and self.code is None:
            await self._take_in()
            for event in self._wire.events():
                await self._attend(event)
        return self._whole.popleft() if self._whole else None

    async def _take_in(self) -> None:
        await self.taking.wait()
        try:
            heard = await self._stream.receive_some()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            heard = b""
        if heard:
            self._wire.receive_data(heard)
        else:
            self.code = LOST

    async def _attend(self, event: Event) -> None:
        match event:
            case Message():
                self._assemble(event)
            case AcceptConnection():
                return
            case Ping():
                await self._send(event.response())
            case CloseConnection(code=code):
                await self._send(event.response())
                self.code = code
            case RejectConnection():
                self.code = LOST
            case _:
                raise AssertionError(f"a server sends no such thing: {event}")

    def _assemble(self, event: Message[Any]) -> None:
        self._parts.append(str(event.data))
        if event.message_finished:
            self._whole.append("".join(self._parts))
            self._parts.clear()

    async def aclose(self) -> None:
        await self._stream.aclose()


@dataclass
class Onlooker:
    """One device. `seen` are the frames from the log, as version and text, over all its connections in order.

    `first` is the greeting `seen` begins after; `resumed` are the later ones, each with the version it was asked for.
    """

    port: int
    conversation: str
    deltas: bool = False
    first: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[int, str]] = field(default_factory=list)
    resumed: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    _line: Line | None = None
    _news: trio.Condition = field(default_factory=trio.Condition)

    async def connect(self, nursery: trio.Nursery) -> None:
        """Listen, behind what was seen last; nothing when it listens already, or nobody answers."""
        if self._line is not None:
            return
        since = self.seen[-1][0] if self.seen else None
        try:
            self._line = await Line.open(self.port, self._resource(since))
        except OSError:
            return
        nursery.start_soon(self._listen, self._line, since)

    def _resource(self, since: int | None) -> str:
        query = f"deltas={str(self.deltas).lower()}"
        if since is not None:
            query += f"&since={since}&epoch={self.first['epoch']}"
        return f"/api/ws/conversations/{self.conversation}?{query}"

    async def _listen(self, line: Line, since: int | None) -> None:
        try:
            while (text := await line.next()) is not None and line is self._line:
                self._note(text, since)
                await self._tell_news()
            self.codes.append(line.code or LOST)
            if line is self._line:
                self._line = None
            await self._tell_news()
        finally:
            with trio.CancelScope(shield=True):
                await line.aclose()

    def _note(self, text: str, since: int | None) -> None:
        frame = json.decode(text)
        if "epoch" not in frame:
            if "seq" in frame:
                self.seen.append((frame["seq"], text))
        elif since is None:
            self.first = frame
        else:
            self.resumed.append((since, frame))

    async def _tell_news(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for a frame, or an end, after which it is so."""
        with trio.fail_after(PATIENCE):
            async with self._news:
                while not is_so():
                    await self._news.wait()

    @property
    def version(self) -> int:
        """How far it has come; 0 while it has seen nothing."""
        return self.seen[-1][0] if self.seen else 0

    @property
    def connected(self) -> bool:
        """As far as it knows: while it does not read it learns nothing."""
        return self._line is not None

    async def say(self, type: str, payload: dict[str, Any]) -> None:
        if self._line is not None:
            await self._line.say(json.encode({"type": type, "payload": payload}).decode())

    def pause(self) -> None:
        """Read nothing more, whatever comes."""
        if self._line is not None and self._line.taking.is_set():
            self._line.taking = trio.Event()

    def go_on(self) -> None:
        if self._line is not None:
            self._line.taking.set()

    async def part(self) -> None:
        """Close politely, and see to it that the answer is read."""
        if self._line is not None:
            self.go_on()
            await self._line.part()

    async def reset(self) -> None:
        """Vanish."""
        line, self._line = self._line, None
        if line is not None:
            line.taking.set()
            await line.reset()
