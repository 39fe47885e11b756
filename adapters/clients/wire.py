"""One WebSocket from the client's side, with what trio-websocket leaves to its callers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Opens a stream to a host and port. Raises OSError."""

CLOSED_WITHIN = 2.0
"""Seconds the peer has to answer our close."""
MAX_FRAME_BYTES = 16 * 1024 * 1024
"""As much as the server takes itself."""
WAITING_FRAMES = 64
"""Frames read ahead of who asks for them."""


class CannotConnect(Exception):
    """There is no server, it does not answer in time, or it refuses the handshake; the message says which.

    `status` is the HTTP status of a refusal.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Pulse:
    """A ping every so many seconds, and how many seconds without a byte the peer has until it counts as lost."""

    every: float = 25.0
    silence: float = 60.0


@asynccontextmanager
async def open_wire(
    url: str,
    *,
    within: float = 5.0,
    tls: ssl.SSLContext | None = None,
    headers: Mapping[str, str] = {},
    subprotocols: Sequence[str] = (),
    pulse: Pulse | None = None,
    dial: Dial = trio.open_tcp_stream,
) -> AsyncIterator[WebSocketConnection]:
    """A connection to `url`, made within that many seconds and closed with the block, whatever happens.

    With `tls` it is encrypted, whatever the URL's scheme; `wss:` without it checks against the system's authorities.
    With `pulse` a peer that falls silent is a connection closed with 1006.

    Raises CannotConnect; and what the block raises, ConnectionClosed among it, by itself rather than in a group. The
    socket is ours and closed by us: a peer that was killed would otherwise leave it open.
    """
    parts = urlsplit(url)
    resource = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    sent = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    failure: BaseException | None = None
    met = False
    try:
        async with await _connect(url, within, tls, dial) as stream, trio.open_nursery() as nursery:
            heard = stream if pulse is None else _Attentive(stream, pulse.silence)
            try:
                with trio.fail_after(within):
                    wire = await wrap_client_stream(
                        nursery, heard, parts.netloc.rpartition("@")[2], resource,  # type: ignore[arg-type]  # any stream
                        subprotocols=subprotocols, extra_headers=sent,
                        message_queue_size=WAITING_FRAMES, max_message_size=MAX_FRAME_BYTES,
                    )  # fmt: skip
                met = True
            except (HandshakeError, trio.TooSlowError) as refusal:
                failure = CannotConnect(f"{url} does not take us: {refusal!r}")
            else:
                if pulse is not None:
                    nursery.start_soon(_ping, wire, pulse.every)
                try:
                    yield wire
                except Exception as error:  # noqa: BLE001  # raised again below: the nursery would wrap it
                    failure = error
                await _part(wire)
            nursery.cancel_scope.cancel()
    except* (LocalProtocolError, RemoteProtocolError, HandshakeError) as broken:
        # From trio-websocket's reader: a ping that crossed our close, a peer that refuses or speaks something else.
        if not met:
            reason = broken.exceptions[0]
            status = reason.status_code if isinstance(reason, ConnectionRejected) else None
            failure = CannotConnect(f"{url} does not take us: {reason!r}", status)
    if failure is not None:
        raise failure


async def _connect(url: str, within: float, tls: ssl.SSLContext | None, dial: Dial) -> trio.abc.Stream:
    parts = urlsplit(url)
    if tls is None and parts.scheme == "wss":
        tls = ssl.create_default_context()
    host, port = parts.hostname or "", parts.port or (80 if tls is None else 443)
    try:
        with trio.fail_after(within):
            stream = await dial(host, port)
    except (OSError, trio.TooSlowError) as fault:
        raise CannotConnect(f"nobody answers at {host}:{port}") from fault
    return stream if tls is None else trio.SSLStream(stream, tls, server_hostname=host, https_compatible=True)


async def _ping(wire: WebSocketConnection, every: float) -> None:
    """Give a living peer something to answer. Whether it does is seen by who reads."""
    while True:
        await trio.sleep(every)
        with trio.move_on_after(every):
            try:
                await wire.ping()
            except ConnectionClosed:
                return


async def _part(wire: WebSocketConnection) -> None:
    with trio.move_on_after(CLOSED_WITHIN):
        try:
            await wire.aclose()
        except ConnectionClosed:
            return


class _Attentive(trio.abc.Stream):
    """A stream that breaks when nothing comes for so long. While nobody reads from it the peer is not to blame."""

    def __init__(self, stream: trio.abc.Stream, silence: float) -> None:
        self._stream, self._silence = stream, silence

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        with trio.move_on_after(self._silence):
            return await self._stream.receive_some(max_bytes)
        raise trio.BrokenResourceError(f"nothing came for {self._silence:.0f} s")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
