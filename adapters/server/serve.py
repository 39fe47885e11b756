"""Hypercorn's HTTP on Trio as a child of our own nursery: one process, HTTP/1.1 alone, ended by an event."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework
from hypercorn.utils import wrap_app

from adapters.server.groups import sole
from adapters.server.guard import GuardedServer, Lines
from adapters.server.link import LinkLimits
from adapters.server.statistics import Tally
from adapters.server.wire import Stream

BACKLOG = 1024
SEND_BUFFER = 256 * 1024
"""Bytes the kernel keeps for a client at most, about; what waits beyond is ours to count."""
USER_TIMEOUT = 30.0
"""Seconds after which the kernel itself gives up on a peer that acknowledges nothing, whatever we do."""
SPARE_CONNECTIONS = 64
"""Connections beyond the limit of WebSockets that are still served, so that a full server can say that it is full."""
FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Drain = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Times in seconds. `handshake_deadline` is what a connection has to say what it wants, and waits between requests.

    After `graceful_timeout` whatever is left is cut off. `max_connections` is of WebSockets, 0 for no limit.
    """

    link: LinkLimits = field(default_factory=LinkLimits)
    handshake_deadline: float = 10.0
    graceful_timeout: float = 5.0
    max_connections: int = 0


async def serve(
    app: ASGIFramework,
    binds: Sequence[str],
    shutdown: trio.Event,
    *,
    limits: ServerLimits | None = None,
    tls: ssl.SSLContext | None = None,
    drain: Drain | None = None,
    tally: Tally | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on `binds` (`host:port`; port 0 takes a free one) until `shutdown` is set.

    `tally` counts what its WebSockets do. Starts with the URLs that were really bound. At shutdown nothing new is
    accepted, `drain` runs, and what is left has `graceful_timeout` seconds. Raises OSError when an address cannot be
    bound; its `filename` is that one of `binds`.
    """
    limits = limits or ServerLimits()
    listeners = await _bound(binds)
    server = Server(app, limits)
    try:
        async with trio.open_nursery() as nursery:
            lines = Lines(nursery, limits.link, tally or Tally())
            lines.start()
            async with trio.open_nursery() as accepting:
                secured = [_secured(listener, tls) for listener in listeners]
                connect = partial(server.connect, lines)
                await accepting.start(partial(trio.serve_listeners, connect, secured, handler_nursery=nursery))
                task_status.started([_url(listener, tls) for listener in listeners])
                await shutdown.wait()
                accepting.cancel_scope.cancel()  # closes the listeners
            await server.finish(lines, drain)
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise sole(group) from None


class Server:
    """What serves one app."""

    def __init__(self, app: ASGIFramework, limits: ServerLimits) -> None:
        self._limits, self._config = limits, _configured(limits)
        self._context = WorkerContext(None)
        self._app: AppWrapper = wrap_app(app, self._config.wsgi_max_body_size, "asgi")
        self._most = limits.max_connections + SPARE_CONNECTIONS if limits.max_connections else None

    async def connect(self, lines: Lines, stream: Stream) -> None:
        """Serve one connection to its end."""
        if self._most is not None and lines.connections >= self._most:
            with trio.move_on_after(self._limits.link.write_deadline), suppress(trio.BrokenResourceError):
                await stream.send_all(FULL)
            return
        await GuardedServer(self._app, self._config, self._context, lines, stream).run()

    async def finish(self, lines: Lines, drain: Drain | None) -> None:
        """Say goodbye to who is there, and wait a while for them to go."""
        with trio.move_on_after(self._limits.graceful_timeout):
            if drain is not None:
                await drain()
            await self._context.terminated.set()
            lines.end_resting()
            await lines.all_gone()


async def _bound(binds: Sequence[str]) -> list[trio.SocketListener]:
    """Listeners on all the addresses, or on none: what was bound before one that cannot be is closed again."""
    listeners: list[trio.SocketListener] = []
    try:
        for bind in binds:
            listeners += await _listening(bind)
        for listener in listeners:
            _tune(listener)
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    return listeners


async def _listening(bind: str) -> list[trio.SocketListener]:
    host, _, port = bind.rpartition(":")
    try:
        return await trio.open_tcp_listeners(int(port), host=host.strip("[]"), backlog=BACKLOG)
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror or str(fault), bind) from fault  # which of several it is


def _tune(listener: trio.SocketListener) -> None:
    """Options that every accepted connection inherits."""
    listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(USER_TIMEOUT * 1000))


def _configured(limits: ServerLimits) -> Config:
    config = Config()
    config.keep_alive_timeout = config.ssl_handshake_timeout = limits.handshake_deadline
    config.websocket_ping_interval = None  # the link pings
    config.include_server_header = False
    config.errorlog = logging.getLogger("callboard.server")
    config.accesslog = None
    return config


def _secured(listener: trio.SocketListener, tls: ssl.SSLContext | None) -> trio.abc.Listener[Stream]:
    return listener if tls is None else trio.SSLListener(listener, tls, https_compatible=True)


def _url(listener: trio.SocketListener, tls: ssl.SSLContext | None) -> str:
    host, port = listener.socket.getsockname()[:2]
    return f"{'http' if tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"
