"""What an event stream is fed from: the whole log or one stream of it, read from any place on, then live.

A feed is asked for what comes after a place, so that whoever asks owns the place: an answer that never arrived because
of a cancellation is simply asked for again, and nothing is lost or said twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Protocol

import trio

from actors.audience import Audiences
from core.identifiers import StreamName
from core.messages import Recorded
from core.ports import EventStore

PAGE = 500
"""Records of one stream read at a time."""


class Feed(Protocol):
    """Records in commit order. A place is a position in the whole log, a version in one stream; 0 is before all."""

    def place(self, record: Recorded) -> int:
        """Where the record is."""

    async def has(self, place: int) -> bool:
        """Whether one can go on from there: the log has come that far. Raises StoreUnavailable."""

    async def newest(self) -> int:
        """The place of the newest record, 0 where there is none. Raises StoreUnavailable."""

    async def batch(self, after: int) -> Sequence[Recorded]:
        """The next records behind `after`, without a gap; waits until there is one. Raises StoreUnavailable."""

    def close(self) -> None:
        """Hold nothing any more."""


class WholeLog:
    """Every record, by position."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def place(self, record: Recorded) -> int:
        return record.position

    async def has(self, place: int) -> bool:
        # A reader may be a moment ahead of the head: it reads what is durable, the head moves once the loop is told.
        return place <= self._store.head or bool(await self._store.read_all(after=place - 1, limit=1))

    async def newest(self) -> int:
        return self._store.head

    async def batch(self, after: int) -> Sequence[Recorded]:
        return await anext(aiter(self._store.subscribe(after=after)))

    def close(self) -> None:
        pass


class OneStream:
    """The records of one stream, by version.

    What is new comes from the fan-out, by a channel that ends when its reader falls too far behind; then, as at the
    start, the log itself is read until there is nothing more in it.
    """

    def __init__(self, store: EventStore, audiences: Audiences, stream: StreamName) -> None:
        self._store, self._audiences, self._stream = store, audiences, stream
        self._watching = ExitStack()
        self._news: trio.MemoryReceiveChannel[Recorded] | None = None
        self._level = False

    def place(self, record: Recorded) -> int:
        return record.version

    async def has(self, place: int) -> bool:
        """As the protocol says; a stream that nobody has begun has no place to go on from."""
        return bool(await self._store.read_stream(self._stream, after=max(0, place - 1), limit=1))

    async def newest(self) -> int:
        """By doubling, then halving: a long stream is not read for its end, and no actor is woken for it."""
        low, high = 0, 1
        while await self.has(high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if await self.has(middle) else (low, middle)
        return low

    async def batch(self, after: int) -> Sequence[Recorded]:
        while True:
            news = self._news or self._watch()
            if not self._level:
                if records := await self._store.read_stream(self._stream, after=after, limit=PAGE):
                    return records
                self._level = True
            try:
                heard = [await news.receive()]
            except trio.EndOfChannel:
                self.close()
                continue
            if records := self._following(after, heard + _waiting(news)):
                return records

    def _watch(self) -> trio.MemoryReceiveChannel[Recorded]:
        """Listen before reading: what is recorded in between is then heard, or read, or both."""
        self._news = self._watching.enter_context(self._audiences.watch(self._stream))
        self._level = False
        return self._news

    def _following(self, after: int, heard: list[Recorded]) -> list[Recorded]:
        """What of it is new. Where something is missing before it the log is read again."""
        fresh = [record for record in heard if record.version > after]
        if fresh and fresh[0].version != after + 1:
            self._level = False
            return []
        return fresh

    def close(self) -> None:
        self._news = None
        self._watching.close()


def _waiting(news: trio.MemoryReceiveChannel[Recorded]) -> list[Recorded]:
    """All that is in the channel now."""
    records = []
    while news.statistics().current_buffer_used:
        records.append(news.receive_nowait())
    return records
