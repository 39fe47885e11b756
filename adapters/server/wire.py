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

MOST_JOINED = 262_144
"""Bytes joined into one send, unless a single frame is larger."""

Bytes = bytes | memoryview

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing forgets what was not sent yet, and the peer gets a reset."""

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class Wire(Protocol):
    """One connection. Whoever reads is one task; whoever writes is the outlet alone."""

    def send_now(self, body: Bytes) -> int:
        """Hand over what the kernel takes at once; returns how many bytes. Raises BlockingIOError, OSError."""

    @property
    def most(self) -> int:
        """Bytes that may be pushed at once."""

    async def ready(self) -> None:
        """Wait until something can be pushed. Raises OSError, trio.ClosedResourceError."""

    async def push(self, body: Bytes) -> int:
        """Hand over what can be, now that it is ready, waiting where that takes long; returns how many bytes.

        Raises OSError, trio.BrokenResourceError, trio.ClosedResourceError.
        """

    async def receive(self) -> bytes:
        """What came; nothing at the end. Raises trio.BrokenResourceError and trio.ClosedResourceError."""

    async def end(self) -> None:
        """Say that nothing more is sent, where the connection can say so; it is still read. Raises as `push`."""

    def abort(self) -> None:
        """Close at once and forget what was not sent: for a peer that does not read. Whoever waits is woken."""


class PlainWire:
    """A socket without TLS."""

    most = MOST_JOINED

    __slots__ = ("_closed", "_fd", "_stream")

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream, self._fd, self._closed = stream, stream.socket.fileno(), False

    def send_now(self, body: Bytes) -> int:
        if self._closed:  # the number may be another connection's by now
            raise BrokenPipeError
        return os.write(self._fd, body)

    async def ready(self) -> None:
        await trio.lowlevel.wait_writable(self._stream.socket)

    async def push(self, body: Bytes) -> int:
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
    """A socket under TLS: every write may have to wait, so nothing is ever taken at once.

    It is pushed one of TLS's records at a time, so that a slow client is seen to make progress.
    """

    most = 16_384

    __slots__ = ("_stream",)

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream

    def send_now(self, body: Bytes) -> int:  # noqa: ARG002  # the protocol's signature
        raise BlockingIOError

    async def ready(self) -> None:
        await trio.lowlevel.checkpoint()

    async def push(self, body: Bytes) -> int:
        await self._stream.send_all(body)
        return len(body)

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
