"""The server as a client of its own: WebSockets opened to the address the current request came in by."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from quart import request
from trio_websocket import HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

from adapters.server.groups import sole
from adapters.web.answers import Problem

HANDSHAKE = 5.0
"""Seconds a connection to ourselves may take to open."""

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class Loopback:
    """Where this server can be reached from within, as the current request shows it."""

    def __init__(self) -> None:
        server = request.scope.get("server")
        if server is None or server[1] is None:
            raise Problem(503, "This server has no address of its own to connect to")
        self._host, self._port = server[0], server[1]
        self._tls = _unverified() if request.scheme == "https" else None

    @asynccontextmanager
    async def conversation(self, id: str) -> AsyncIterator[WebSocketConnection]:
        """A WebSocket of the conversation. Raises Problem 503 when it cannot be opened."""
        try:
            async with await self._stream() as stream, trio.open_nursery() as nursery:
                socket = await self._shake_hands(nursery, stream, f"/api/ws/conversations/{id}")
                yield socket
                await socket.aclose()
        except (HandshakeError, OSError, trio.TooSlowError) as error:
            raise Problem(503, f"No WebSocket to this server itself: {type(error).__name__}", 1.0) from None
        except BaseExceptionGroup as group:
            # A ping that meets our own close trips trio-websocket's client up; the socket is closed all the same.
            if not isinstance(sole(group), LocalProtocolError):
                raise sole(group) from None

    async def _stream(self) -> Stream:
        """Our own stream, as trio-websocket does not close the one it opened when the server closes first."""
        stream = await trio.open_tcp_stream(self._host, self._port)
        if self._tls is None:
            return stream
        return trio.SSLStream(stream, self._tls, server_hostname=self._host, https_compatible=True)

    async def _shake_hands(self, nursery: trio.Nursery, stream: Stream, path: str) -> WebSocketConnection:
        with trio.fail_after(HANDSHAKE):
            return await wrap_client_stream(nursery, stream, f"{self._host}:{self._port}", path)


def _unverified() -> ssl.SSLContext:
    """For ourselves alone: the certificate names the public host, not the address we connect to."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
