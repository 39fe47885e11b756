"""The server as a client of its own: WebSockets opened to the address the current request came in by."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from quart import request
from trio_websocket import WebSocketConnection

from adapters.clients.wire import CannotConnect, open_wire
from adapters.web.answers import Problem


class Loopback:
    """Where this server can be reached from within, as the current request shows it."""

    def __init__(self) -> None:
        server = request.scope.get("server")
        if server is None or server[1] is None:
            raise Problem(503, "This server has no address of its own to connect to")
        host, port = server
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._tls = _unverified() if request.scheme == "https" else None
        self._headers = _credentials()

    @asynccontextmanager
    async def conversation(self, id: str) -> AsyncIterator[WebSocketConnection]:
        """A WebSocket of the conversation. Raises Problem 503 when it cannot be opened."""
        try:
            url = f"ws://{self._address}/api/ws/conversations/{id}"
            async with open_wire(url, tls=self._tls, headers=self._headers) as socket:
                yield socket
        except CannotConnect as error:
            raise Problem(503, f"No WebSocket to this server itself: {error}", 1.0) from None


def _credentials() -> dict[str, str]:
    """What the current request was let in with opens the door for us too."""
    given = request.headers.get("Authorization")
    token = request.args.get("token")
    if given is None and token is not None:
        given = f"Bearer {token}"
    # No credential has others, and no header may: with `none` as auth anything may stand there.
    fits = given is not None and given.isascii() and given.isprintable() and given == given.strip()
    return {"Authorization": given} if given is not None and fits else {}


def _unverified() -> ssl.SSLContext:
    """For ourselves alone: the certificate names the public host, not the address we connect to."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
