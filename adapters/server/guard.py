"""Hypercorn's connection, made safe: each measure answers a defect of the stock path (tests/adapters/server has them).

HTTP/1.1 alone; no extension of WebSocket; whatever goes wrong with one connection ends that connection; nothing is
written without a deadline. A WebSocket belongs to Hypercorn until its handshake is answered, and then to its link.
"""

from __future__ import annotations

import re
from math import inf
from typing import Any, cast
from urllib.parse import urlsplit

import h11
import structlog
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from adapters.server.link import Link, LinkLimits
from adapters.server.outlet import Flusher
from adapters.server.pulse import Pulse
from adapters.server.statistics import Tally
from adapters.server.wire import MOST_RECEIVED, Stream, wire_over

LINK = "link"
"""Where a WebSocket's handler finds its link: in the `state` of its scope."""
MOST_WRITTEN = 65_536
"""Bytes of an HTTP answer that are written against one deadline."""
MOST_EARLY = 262_144
"""Bytes that a client may send between its handshake and the answer."""
LAST_WORDS = 1.0
"""Seconds in which TLS may say that it ends."""

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9_-]{1,63}(?:\.|$|(?=:)))*)(?::[0-9]{1,5})?")
"""A host as a name, an address or nothing, perhaps with a port (RFC 9110, 7.2)."""

log = structlog.get_logger("callboard.server")


class Lines:
    """All connections of one server, and what they share."""

    def __init__(self, nursery: trio.Nursery, limits: LinkLimits, tally: Tally) -> None:
        self.nursery, self.limits, self.tally = nursery, limits, tally
        self.flusher = Flusher(nursery.start_soon, limits.write_deadline, tally)
        self.pulse = Pulse()
        self.connections = 0
        self.resting: set[trio.CancelScope] = set()
        self._quiet = trio.Event()
        tally.outlet_waiting = self._waiting

    def _waiting(self) -> tuple[int, int]:
        """Bytes that wait in all outlets, and in the fullest."""
        pending = [link.outlet.pending for link in self.pulse.links]
        return sum(pending), max(pending, default=0)

    def start(self) -> None:
        self.nursery.start_soon(self.flusher.run)
        self.nursery.start_soon(self.pulse.run)

    def opened(self) -> None:
        self.connections += 1

    def closed(self) -> None:
        self.connections -= 1
        if not self.connections:
            self._quiet.set()

    def end_resting(self) -> None:
        """End the connections that are between two requests."""
        for scope in self.resting:
            scope.cancel()

    async def all_gone(self) -> None:
        """Wait until there is no connection."""
        while self.connections:
            self._quiet = trio.Event()
            await self._quiet.wait()


class GuardedServer(TCPServer):
    """One connection."""

    def __init__(self, app: AppWrapper, config: Config, context: WorkerContext, lines: Lines, stream: Stream) -> None:
        super().__init__(app, config, context, {}, cast("Any", stream))
        self._lines, self._ssl = lines, isinstance(stream, trio.SSLStream)
        self._http = trio.CancelScope()
        self._wire = wire_over(stream)
        self._link = Link(self._wire, lines.limits, lines.flusher, lines.nursery, self._http.cancel)

    async def run(self) -> None:
        """Serve the connection to its end. Never raises but Cancelled."""
        self._lines.opened()
        try:
            if await self._greeted():
                await self._talk_http()
                if self._link.begun:
                    await self._talk_websocket()
        except* OSError:
            pass
        except* Exception:
            log.exception("a connection failed")
        finally:
            self._link.finish()
            self._lines.closed()
            with trio.move_on_after(LAST_WORDS, shield=True):
                await self._close()
            self._wire.abort()

    async def _greeted(self) -> bool:
        """Under TLS: whether the handshake came about in time."""
        if not self._ssl:
            return True
        try:
            with trio.fail_after(self.config.ssl_handshake_timeout):
                await self.stream.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError):
            return False
        return True

    async def _talk_http(self) -> None:
        """Hypercorn's part: until the end, or until a WebSocket's handshake is answered."""
        sock = (self.stream.transport_stream if self._ssl else self.stream).socket
        async with TaskGroup() as self._task_group:
            self.protocol = cast("Any", OneProtocol(
                self.app, self.config, self.context, self._task_group, ConnectionState({LINK: self._link}), self._ssl,
                parse_socket_addr(sock.family, sock.getpeername()), parse_socket_addr(sock.family, sock.getsockname()),
                self.protocol_send,
            ))  # fmt: skip
            await self.protocol.initiate()
            self._rest(idle=True)
            try:
                with self._http:
                    await self._read()
            finally:
                self._rest(idle=False)
            if not self._link.begun:
                await self.protocol.handle(Closed())

    async def _talk_websocket(self) -> None:
        self.protocol = cast("Any", None)  # what Hypercorn and the framework held of the handshake may go
        self._lines.pulse.links.add(self._link)
        try:
            await self._link.run()
        finally:
            self._lines.pulse.links.discard(self._link)

    async def _read(self) -> None:
        while True:
            try:
                data = bytes(await self.stream.receive_some(MOST_RECEIVED))
            except (trio.ClosedResourceError, trio.BrokenResourceError):
                break
            if data and self._link.expected:
                self._link.feed(data)
            elif data and isinstance(cast("OneProtocol", self.protocol).connection, H11WSConnection):
                self._link.early += data  # it does not wait for the answer to its handshake
                if len(self._link.early) > MOST_EARLY:
                    self._wire.abort()
                    break
            else:
                await self.protocol.handle(RawData(data))
            if not data:
                break

    async def protocol_send(self, event: Event) -> None:
        if self._link.begun:
            return  # the connection is the link's, and what Hypercorn has to say of its end goes nowhere
        match event:
            case RawData(data):
                async with self.send_lock:
                    await self._write(data)
            case Closed():
                await self._close()
                await self._over()
            case Updated(idle):
                self._rest(idle=idle)
            case _:
                raise AssertionError(event)

    def _rest(self, *, idle: bool) -> None:
        """Between requests the connection has a deadline, and ends at once when the server does.

        Hypercorn has a task for that, which it starts in the middle of Quart's cancellation, and so does not.
        """
        if idle:
            self._http.deadline = trio.current_time() + self.config.keep_alive_timeout
            self._lines.resting.add(self._http)
        else:
            self._http.deadline = inf
            self._lines.resting.discard(self._http)

    async def _write(self, data: bytes) -> None:
        """Write a piece at a time, each within the deadline. One that is cut short leaves nothing to go on with."""
        try:
            for start in range(0, len(data), MOST_WRITTEN):
                with trio.fail_after(self._lines.limits.write_deadline):
                    await self.stream.send_all(data[start : start + MOST_WRITTEN])
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):  # it is being closed
            await self._over()
        except trio.TooSlowError:
            self._wire.abort()
            await self._over()
        except trio.Cancelled:
            self._wire.abort()
            raise

    async def _over(self) -> None:
        """Nothing more can be written: nobody waits for what comes, nor for the answer before the next request."""
        self._http.cancel()
        await self.protocol.handle(Closed())


class OneProtocol(H11Protocol):
    """HTTP/1.1, and nothing that a client would rather speak."""

    async def _check_protocol(self, event: h11.Request) -> None:
        """An `Upgrade: h2c` is ignored, as a server may (RFC 9110, 7.8)."""

    async def _maybe_recycle(self) -> None:
        """An answer is complete. Quart cancels itself when it is told so, which must not leave us in between."""
        with trio.move_on_after(LAST_WORDS, shield=True) as patience:
            await super()._maybe_recycle()
        if patience.cancelled_caught:
            await self.send(Closed())

    async def _create_stream(self, request: h11.Request) -> None:
        if status := _refusal(request):
            await self._send_error_response(status)
            await self.send(Closed())
            return
        headers = [(name, value) for name, value in request.headers if name != b"sec-websocket-extensions"]
        target, version = request.target, request.http_version
        request = h11.Request(method=request.method, target=target, headers=headers, http_version=version)
        link: Link = self.connection_state[LINK]
        link.early = bytes(self.connection.trailing_data[0])  # frames that came with the handshake, if it is one
        await super()._create_stream(request)
        if isinstance(self.connection, H11WSConnection):
            self.connection.buffer.clear()


def _refusal(request: h11.Request) -> int:
    """The status of a request that gets no further than here; 0 for all others.

    What Hypercorn lets pass of a handshake, and fails at later, is refused here (RFC 6455, 4.2.1); but for the length
    of the key, which protects a client alone, and which the debug command of seed 003 gets wrong.
    """
    if request.http_version not in (b"1.0", b"1.1"):  # `PRI * HTTP/2.0` begins so
        return 505
    headers = request.headers
    hosts = [value for name, value in headers if name == b"host"]
    if not _is_target(request.target.decode("latin-1")) or not all(map(_HOST.fullmatch, hosts)):
        return 400
    if not any(name == b"upgrade" and value.lower() == b"websocket" for name, value in headers):
        return 0
    keys = [value for name, value in headers if name == b"sec-websocket-key"]
    ascii_only = all(value.isascii() for name, value in headers if name.startswith(b"sec-websocket-"))
    return 0 if ascii_only and len(keys) == 1 and keys[0] else 400


def _is_target(target: str) -> bool:
    """A path, a whole URL with one, or the asterisk of OPTIONS; nothing that fails to be taken apart later."""
    try:
        return target == "*" or urlsplit(target).path.startswith("/")
    except ValueError:
        return False
