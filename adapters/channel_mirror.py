"""What a channel of ours carries, published on somebody else's server too: the seed's own deployment.

It follows the log, and goes no further in it than what the other server is known to have: while that is away the log is
the buffer, and nothing is dropped. After a crash the last messages are sent again, under the ids they had: a Callboard
takes them for what it has already, another server may show them twice.

A message keeps the id of the log where it was published first, through all mirrors, and is not sent to where it comes
from. So servers may mirror each other, and a server that is told to mirror to itself sends nothing.
"""

from __future__ import annotations

import math
import random
from collections import deque
from typing import Any, NoReturn

import structlog
import trio

from actors.backoff import Backoff
from adapters.clients.channels import SubscriptionFailed, WebSocketManager
from adapters.clients.follower import Closed
from adapters.clients.wire import CannotConnect
from core.channel import Published, stream_of
from core.messages import Recorded
from core.ports import EventStore, StoreUnavailable

MIRRORED = "mirror:"
"""What the ids of mirrored messages begin with; the epoch of the log they come from and their position there follow."""
RETRY = Backoff(random.random, first=1.0, cap=60.0)
"""For a server that says that it does not want us: somebody may change its mind."""

log = structlog.get_logger("callboard.mirror")


async def keep_mirrored(
    store: EventStore, channel: str, uri: str | None, backoff: Backoff = RETRY, **terms: Any
) -> None:
    """For ever, whatever becomes of the server at `uri`; what does is logged, and disturbs nothing else. None: nothing
    is mirrored. `terms` are those of `adapters.clients.follower.Terms`."""
    failures = 0
    while uri is not None:
        try:
            async with WebSocketManager(uri, channel, **terms) as manager:
                await mirror(store, channel, manager, backoff)
        except (CannotConnect, SubscriptionFailed, Closed) as reason:
            failures += 1
            log.warning("a channel is not mirrored now", channel=channel, uri=uri, reason=str(reason))
        await trio.sleep(backoff.delay(failures))


async def mirror(store: EventStore, channel: str, manager: WebSocketManager, backoff: Backoff) -> NoReturn:
    """For ever, from where it was; the first time, from the log's end. Raises what ends the manager's talk for good."""
    progress, ended = Progress(store, f"mirror/1 {channel} {manager.uri} {manager.channel}"), list[Exception]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(progress.keep, manager)
        try:
            await _follow(store, channel, manager, progress, backoff)
        except Exception as error:  # noqa: BLE001  # raised again below: the nursery would wrap it
            ended.append(error)
        nursery.cancel_scope.cancel()
    raise ended[0]


class Progress:
    """How far the other server is known to have it all, kept beside the log."""

    def __init__(self, store: EventStore, checkpoint: str) -> None:
        self._store, self._checkpoint = store, checkpoint
        self._first = store.head
        self._sent = deque[int]()

    async def begin(self) -> int:
        """Behind which position to go on. Raises StoreUnavailable."""
        saved = await self._store.load_checkpoint(self._checkpoint)
        after = self._first if saved is None else min(saved[0], self._store.head)
        await self._store.save_checkpoint(self._checkpoint, after, b"")
        return after

    def publish(self, manager: WebSocketManager, record: Recorded) -> None:
        """Unless it comes from there."""
        event, chosen = record.event, record.stamp.command_id or ""
        id = chosen if chosen.startswith(MIRRORED) else f"{MIRRORED}{self._store.epoch}:{record.position}"
        if manager.epoch is None or not id.startswith(f"{MIRRORED}{manager.epoch}:"):
            manager.publish(event.payload, id)
            self._sent.append(record.position)

    async def keep(self, manager: WebSocketManager) -> None:
        while True:
            arrived = None
            while len(self._sent) > manager.unconfirmed:
                arrived = self._sent.popleft()
            if arrived is not None:
                await self._save(arrived)
            await manager.changed()

    async def _save(self, position: int) -> None:
        try:
            await self._store.save_checkpoint(self._checkpoint, position, b"")
        except StoreUnavailable as reason:
            log.warning("how far a channel is mirrored cannot be kept now", reason=str(reason))


async def _follow(
    store: EventStore, channel: str, manager: WebSocketManager, progress: Progress, backoff: Backoff
) -> NoReturn:
    stream, failures, after = stream_of(channel), 0, None
    while True:
        try:
            after = await progress.begin() if after is None else after
            async for batch in store.subscribe(after=after):
                failures = 0
                for record in batch:
                    if record.stream == stream and isinstance(record.event, Published):
                        await manager.connect(math.inf)
                        progress.publish(manager, record)
                        await manager.flushed()
                    after = record.position
        except StoreUnavailable as reason:
            failures += 1
            log.warning("the log cannot be followed now", reason=str(reason))
            await trio.sleep(backoff.delay(failures))
