"""The two kinds of connection as bytes: a plain socket, which takes what it can at once, and one under TLS."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import Protocol

import trio

MOST_RECEIVED = 65_536
"""Bytes read at a time."""

MOST_SEALED = 16_384
"""Bytes written under TLS at a time: one of its records, so that a slow client is seen to make progress."""

Bytes = bytes | memoryview

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing forgets what was not sent yet, and the peer gets a reset."""

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class Wire(Protocol):
    """One connection. Whoever reads is one task; whoever writes is the outlet alone."""

    def send_now(self, body: Bytes) -> int:
        """Hand over what the kernel takes at once; returns how many bytes. Raises BlockingIOError, OSError."""

    async def push(self, body: Bytes) -> int:
        """Wait until some of it was taken; returns how many bytes. Raises OSError, trio.BrokenResourceError."""

    async def receive(self) -> bytes:
        """What came; nothing at the end. Raises trio.BrokenResourceError and trio.ClosedResourceError."""

    async def end(self) -> None:
        """Say that nothing more is sent, where the connection can say so; it is still read. Raises as `push`."""

    def abort(self) -> None:
        """Close at once and forget what was not sent: for a peer that does not read. Whoever waits is woken."""


class PlainWire:
    """A socket without TLS."""

    __slots__ = ("_closed", "_fd", "_stream")

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream, self._fd, self._closed = stream, stream.socket.fileno(), False

    def send_now(self, body: Bytes) -> int:
        if self._closed:  # the number may be another connection's by now
            raise BrokenPipeError
        return os.write(self._fd, body)

    async def push(self, body: Bytes) -> int:
        try:
            await trio.lowlevel.wait_writable(self._stream.socket)
        except trio.ClosedResourceError:
            raise BrokenPipeError from None
        try:
            return self.send_now(body)
        except BlockingIOError:
            return 0

    async def receive(self) -> bytes:
        return bytes(await self._stream.receive_some(MOST_RECEIVED))

    async def end(self) -> None:
        await self._stream.send_eof()

    def abort(self) -> None:
        self._closed = True
        _abort(self._stream.socket)


class TLSWire:
    """A socket under TLS: every write may have to wait, so nothing is ever taken at once."""

    __slots__ = ("_stream",)

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream

    def send_now(self, body: Bytes) -> int:  # noqa: ARG002  # the protocol's signature
        raise BlockingIOError

    async def push(self, body: Bytes) -> int:
        part = body[:MOST_SEALED]
        await self._stream.send_all(part)
        return len(part)

    async def receive(self) -> bytes:
        return bytes(await self._stream.receive_some(MOST_RECEIVED))

    async def end(self) -> None:
        """TLS has no half of a connection."""

    def abort(self) -> None:
        _abort(self._stream.transport_stream.socket)


def wire_over(stream: Stream) -> Wire:
    return PlainWire(stream) if isinstance(stream, trio.SocketStream) else TLSWire(stream)


def _abort(sock: trio.socket.SocketType) -> None:
    if sock.fileno() >= 0:
        with suppress(OSError):  # it is gone already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.close()
