"""Catch-up, then live: one cursor over the log, in commit order, every event once, without a gap.

A store hands every commit to its `Tail`. A subscription takes what the tail still has and reads the log itself for
what is older; so a slow subscriber costs reads, never memory, and needs no second mechanism to get back to live.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import trio

from core.messages import Recorded
from core.ports import StoreUnavailable

KEPT = 8192
"""Records the tail keeps at least, once it has had as many."""
BATCH = 1000
"""Records a subscription gives out at one time at most."""


class Tail:
    """The newest records of a log, and the wake-up call of those who wait for more."""

    def __init__(self, head: int) -> None:
        self.head = head
        self._records: list[Recorded] = []
        self._waiting = trio.lowlevel.ParkingLot()
        self._closed: str | None = None

    def extend(self, records: Sequence[Recorded]) -> None:
        """Take a commit. After a gap (a commit that became durable unnoticed) the log itself must be read again."""
        if not records or records[-1].position <= self.head:  # `skip_to` knew of it already
            return
        if records[0].position != self.head + 1:
            self._records.clear()
        self._records.extend(records)
        self.head = records[-1].position
        if len(self._records) > 2 * KEPT:
            del self._records[:-KEPT]
        self._waiting.unpark_all()

    def skip_to(self, head: int) -> None:
        """The log has grown to `head` by somebody else's commits; subscribers read them from the log itself."""
        if head > self.head:
            self._records.clear()
            self.head = head
            self._waiting.unpark_all()

    def drop(self) -> None:
        """Keep no records: subscribers read them from the log."""
        self._records.clear()

    def after(self, position: int) -> Sequence[Recorded] | None:
        """Up to BATCH records behind `position`; () when there are none yet, None when only the log has them."""
        if position >= self.head:
            return ()
        missing = self.head - position
        if missing > len(self._records):
            return None
        start = len(self._records) - missing
        return self._records[start : start + BATCH]

    async def grown(self) -> None:
        """Wait for the next commit. Raises StoreUnavailable once the tail is closed."""
        if self._closed is None:
            await self._waiting.park()
        if self._closed is not None:
            raise StoreUnavailable(self._closed)

    def close(self, reason: str) -> None:
        self._closed = reason
        self._waiting.unpark_all()


class LogSubscription:
    """`core.ports.Subscription` over a tail and a way to read the log."""

    def __init__(self, tail: Tail, read: Callable[[int, int], Awaitable[list[Recorded]]], after: int) -> None:
        self._tail, self._read = tail, read
        self.position = after

    def __aiter__(self) -> AsyncIterator[Sequence[Recorded]]:
        return self

    async def __anext__(self) -> Sequence[Recorded]:
        await trio.lowlevel.checkpoint()
        while not (batch := self._tail.after(self.position)):
            if batch is None:
                batch = await self._read(self.position, BATCH)
                break
            await self._tail.grown()
        if not batch or batch[0].position != self.position + 1:
            raise StoreUnavailable(f"the log has a gap behind position {self.position}")
        self.position = batch[-1].position
        return batch
