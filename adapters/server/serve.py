"""Hypercorn as a child of our own nursery: one process, HTTP/1.1 alone, ended by an event."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio
from hypercorn.config import Config
from hypercorn.trio import serve as hypercorn_serve
from hypercorn.typing import ASGIFramework

from adapters.server.groups import sole

MAX_FRAME_BYTES = 16 * 1024 * 1024
PING_INTERVAL = 20.0
BACKLOG = 1024

Drain = Callable[[], Awaitable[None]]


async def serve(
    app: ASGIFramework,
    binds: Sequence[str],
    shutdown: trio.Event,
    *,
    max_frame_bytes: int = MAX_FRAME_BYTES,
    graceful_timeout: float = 5.0,
    access_log: bool = False,
    drain: Drain | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` on `binds` (`host:port`; port 0 takes a free one) until `shutdown` is set.

    Starts with the URLs that were really bound. At shutdown `drain` runs first, while connections still work; then
    what is left has `graceful_timeout` seconds. Raises OSError when an address cannot be bound.
    """
    config = _configured(await _bound(binds), max_frame_bytes, graceful_timeout, access_log=access_log)
    child = partial(hypercorn_serve, app, config, shutdown_trigger=partial(_ended, shutdown, drain), mode="asgi")
    try:
        async with trio.open_nursery() as nursery:
            task_status.started(await nursery.start(child))
    except BaseExceptionGroup as group:
        raise sole(group) from None


async def _bound(binds: Sequence[str]) -> list[str]:
    """The addresses, bound by us and named for Hypercorn to take over: binding itself it would leak on failure."""
    listeners: list[trio.SocketListener] = []
    try:
        for bind in binds:
            host, _, port = bind.rpartition(":")
            listeners += await trio.open_tcp_listeners(int(port), host=host.strip("[]"), backlog=BACKLOG)
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise
    return [f"fd://{listener.socket.detach()}" for listener in listeners]


def _configured(binds: Sequence[str], max_frame_bytes: int, graceful_timeout: float, *, access_log: bool) -> Config:
    config = Config()
    config.bind = list(binds)
    config.backlog = BACKLOG
    # HTTP/2 brings failure modes of its own and nothing a WebSocket server needs.
    config.alpn_protocols = ["http/1.1"]
    config.websocket_max_message_size = max_frame_bytes
    config.websocket_ping_interval = PING_INTERVAL
    config.graceful_timeout = graceful_timeout
    config.include_server_header = False
    config.errorlog = logging.getLogger("callboard.server")
    config.accesslog = logging.getLogger("callboard.access") if access_log else None
    return config


async def _ended(shutdown: trio.Event, drain: Drain | None) -> None:
    """Hypercorn's shutdown trigger. It still accepts while this runs, so draining is bounded by nobody but `drain`."""
    await shutdown.wait()
    if drain is not None:
        await drain()
