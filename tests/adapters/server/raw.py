"""A client that sends what it likes, byte for byte, and reads when it likes: for what well-behaved clients never do."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import trio

PATIENCE = 5.0
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x12\x34\x56\x78"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of RFC 6455's own example."""


class Gone(Exception):
    """The server has closed the connection, or cut it off."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered a request with. `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it came."""

    opcode: int
    payload: bytes
    fin: bool
    rsv: int

    @property
    def code(self) -> int:
        """Of a close frame; 1005 when it has none."""
        return int.from_bytes(self.payload[:2]) if self.payload else 1005


def masked(payload: bytes, mask: bytes) -> bytes:
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(len(payload))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    announced: int | None = None,
) -> bytes:
    """A client's frame. `rsv` are the three reserved bits, `announced` a length that need not be the payload's."""
    size = len(payload) if announced is None else announced
    bit = 0 if mask is None else 0x80
    first = fin << 7 | rsv << 4 | opcode
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    return head + payload if mask is None else head + mask + masked(payload, mask)


def text(value: Any, **more: Any) -> bytes:
    """A text frame of JSON."""
    return frame(TEXT, msgspec.json.encode(value), **more)


def heartbeat(command_id: str) -> bytes:
    """A conversations client's question whether the server lives; it changes nothing and is answered at once."""
    return text({"type": "heartbeat", "command_id": command_id})


def speech(**data: Any) -> bytes:
    """A frame of the conversations dialect that everybody hears as it was said."""
    return text({"type": "speech_event", "payload": {"event_type": "noise", "data": data}})


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2) + reason)


def handshake(path: str, *headers: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """A WebSocket's opening request. `headers` replace those of the same name; `"Name"` alone leaves that one out."""
    standard = [
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
    ]
    chosen = {header.partition(":")[0].lower() for header in headers}
    lines = [line for line in standard if line.partition(":")[0].lower() not in chosen]
    lines += [header for header in headers if ":" in header]
    return "\r\n".join([f"{method} {path} {version}", *lines, "", ""]).encode("latin-1", "surrogateescape")


def request(path: str, *headers: str, method: str = "GET", body: bytes = b"", host: str = "localhost") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "surrogateescape") + body


class Wire:
    """One TCP connection to a server.

    Pings that are met while reading are answered, unless `answers_pings` is set to False. All that reads raises Gone
    at the end of the connection, and TooSlowError when nothing comes.
    """

    def __init__(self, stream: trio.abc.Stream, sock: socket.SocketType | trio.socket.SocketType) -> None:
        self.stream, self.socket = stream, sock
        self.answers_pings = True
        self.pings = 0
        self._bytes = bytearray()
        self._sending = trio.Lock()

    async def send(self, *parts: bytes) -> None:
        """Send them as one; who reads meanwhile may answer pings. Raises Gone."""
        try:
            with trio.fail_after(PATIENCE):
                async with self._sending:
                    await self.stream.send_all(b"".join(parts))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Gone from None

    async def shake(self, path: str, *headers: str) -> Answer:
        """Open a WebSocket."""
        await self.send(handshake(path, *headers))
        return await self.answer()

    async def answer(self) -> Answer:
        """The next HTTP answer, by its content-length."""
        with trio.fail_after(PATIENCE):
            while (end := self._bytes.find(b"\r\n\r\n")) < 0:
                await self._more()
            lines = self._take(end + 4).decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await self._exactly(int(headers.get("content-length", "0")))
        return Answer(int(lines[0].split(" ")[1]), headers, body)

    async def frame(self) -> Frame:
        """The next frame that is no ping we answer."""
        with trio.fail_after(PATIENCE):
            while True:
                found = await self._frame()
                if found.opcode != PING:
                    return found
                self.pings += 1
                if self.answers_pings:
                    await self.send(frame(PONG, found.payload))

    async def _frame(self) -> Frame:
        first, second = await self._exactly(2)
        assert not second & 0x80, "a server masks nothing"
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(await self._exactly(2 if size == 126 else 8))
        return Frame(first & 0x0F, await self._exactly(size), bool(first & 0x80), first >> 4 & 0x7)

    async def told(self, type: str | None = None) -> dict[str, Any]:
        """The next JSON frame, or the next of a type; what comes before is dropped."""
        with trio.fail_after(PATIENCE):
            while True:
                found = await self.frame()
                if found.opcode == CLOSE:
                    raise Gone(f"closed with {found.code}")
                if found.opcode == TEXT:
                    value = dict(msgspec.json.decode(found.payload))
                    if type is None or value["type"] == type:
                        return value

    async def closed(self) -> Frame:
        """The close frame; what comes before is dropped. Raises Gone when the connection ends without one."""
        with trio.fail_after(PATIENCE):
            while (found := await self.frame()).opcode != CLOSE:
                pass
        return found

    async def gone(self) -> None:
        """Read and drop until the server has ended the connection."""
        with trio.fail_after(PATIENCE):
            try:
                while True:
                    self._bytes.clear()
                    await self._more()
            except Gone:
                return

    def vanish(self) -> None:
        """End the connection with a reset, as a crash does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def _exactly(self, size: int) -> bytes:
        while len(self._bytes) < size:
            await self._more()
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._bytes[:size])
        del self._bytes[:size]
        return taken

    async def _more(self) -> None:
        try:
            chunk = await self.stream.receive_some(65536)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Gone from None
        if not chunk:
            raise Gone
        self._bytes += chunk


@asynccontextmanager
async def connected(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[Wire]:
    """A connection to a server on this machine; a small `receive_buffer` (bytes) is soon full."""
    with trio.socket.socket() as sock:
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        with trio.fail_after(PATIENCE):
            await sock.connect(("127.0.0.1", port))
        yield Wire(trio.SocketStream(sock), sock)
