"""One WebSocket from the client's side, with what trio-websocket leaves to its callers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

CLOSED_WITHIN = 2.0
"""Seconds the peer has to answer our close."""


class CannotConnect(Exception):
    """There is no server, it does not answer in time, or it refuses the handshake; the message says which."""


@asynccontextmanager
async def open_wire(
    url: str, *, within: float = 5.0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[WebSocketConnection]:
    """A connection to `url`, made within that many seconds and closed with the block, whatever happens.

    With `tls` it is encrypted, whatever the URL's scheme.

    Raises CannotConnect; and what the block raises, ConnectionClosed among it, by itself rather than in a group. The
    socket is ours and closed by us: a peer that was killed would otherwise leave it open.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    resource = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    failure: BaseException | None = None
    met = False
    try:
        async with await _connect(host, port, within, tls) as stream, trio.open_nursery() as nursery:
            try:
                with trio.fail_after(within):
                    wire = await wrap_client_stream(nursery, stream, parts.netloc, resource)
                met = True
            except (HandshakeError, trio.TooSlowError) as refusal:
                failure = CannotConnect(f"{url} does not take us: {refusal!r}")
            else:
                try:
                    yield wire
                except Exception as error:  # noqa: BLE001  # raised again below: the nursery would wrap it
                    failure = error
                await _part(wire)
            nursery.cancel_scope.cancel()
    except* (LocalProtocolError, RemoteProtocolError, HandshakeError) as broken:
        # From trio-websocket's reader: a ping that crossed our close, a peer that refuses or speaks something else.
        if not met:
            failure = CannotConnect(f"{url} does not take us: {broken.exceptions[0]!r}")
    if failure is not None:
        raise failure


async def _connect(host: str, port: int, within: float, tls: ssl.SSLContext | None) -> Stream:
    try:
        with trio.fail_after(within):
            stream = await trio.open_tcp_stream(host, port)
    except (OSError, trio.TooSlowError) as fault:
        raise CannotConnect(f"nobody answers at {host}:{port}") from fault
    return stream if tls is None else trio.SSLStream(stream, tls, server_hostname=host, https_compatible=True)


async def _part(wire: WebSocketConnection) -> None:
    with trio.move_on_after(CLOSED_WITHIN):
        try:
            await wire.aclose()
        except ConnectionClosed:
            return
