"""Finds, of a run of the server, the part of its notes of delivery that tells of a connection.

Connections are numbered in their order, and each part begins with all that are open and the newest there has been. So
the highest number told never falls from part to part, and a connection is told in parts that follow each other. It is
adapters/web/lookout.py that sees to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio

from core.delivery import Noted, part_of
from core.identifiers import StreamName
from core.messages import Recorded
from core.sightings import Seen

MOST_READ = 128
"""Parts that are read for one question: enough to halve what any run can have written."""


class Log(Protocol):
    """The streams of a log."""

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]: ...


class TooManyParts(LookupError):
    """MOST_READ parts were read, and what was looked for was not found."""


class Parts:
    """The parts of one run, numbered from 1. All raises StoreUnavailable, and MalformedStreamName where the run's name
    is none."""

    def __init__(self, log: Log, boot: str) -> None:
        self._log, self._boot = log, boot
        self._opened: dict[int, frozenset[int]] = {}

    async def begun(self, at: int | None) -> int:
        """The last part that had begun by then (µs UTC); 0 for none."""

        async def has_begun(part: int) -> bool:
            first = await self._log.read_stream(part_of(self._boot, part), limit=1)
            return bool(first) and (at is None or first[0].stamp.time <= at)

        return await last(has_begun)

    async def around(self, part: int) -> list[Seen]:
        """Its notes, and its neighbours': what is looked at there may be told in the next, or the one before."""
        neighbours = range(max(1, part - 1), part + 2)
        return [seen for each in neighbours for seen in await self._notes(each)]

    async def telling(self, number: int, newest: int) -> int | None:
        """The last part, up to `newest`, around which a connection is told; None for none. Raises TooManyParts."""
        if number > await self._highest(newest) and number > await self._highest(newest + 1):
            return None

        async def is_before(part: int) -> bool:
            return part <= newest and await self._highest(part) < number

        first = await last(is_before, below=newest + 1) + 1
        for start in (first, first + 1):  # one that connected slowly is told after one with a higher number
            if number in await self._told(start):
                return await self._last_of_those_from(start, number, newest)
        return None

    async def _last_of_those_from(self, start: int, number: int, newest: int) -> int:
        async def tells(step: int) -> bool:
            return start + step <= newest and number in await self._told(start + step)

        return min(start + await last(tells), newest)

    async def _highest(self, part: int) -> int:
        return max(await self._told(part), default=0)

    async def _told(self, part: int) -> frozenset[int]:
        """Connections that were opened by then, and are told."""
        if part not in self._opened:
            if len(self._opened) >= MOST_READ:
                raise TooManyParts
            self._opened[part] = await trio.to_thread.run_sync(_opened, await self._notes(part))
        return self._opened[part]

    async def _notes(self, part: int) -> list[Seen]:
        records = await self._log.read_stream(part_of(self._boot, part))
        return [(record.stamp.time, record.event.note) for record in records if isinstance(record.event, Noted)]


def _opened(notes: Sequence[Seen]) -> frozenset[int]:
    return frozenset(opened.connection for _, note in notes for opened in note.opened)


async def last(holds: Callable[[int], Awaitable[bool]], *, below: int | None = None) -> int:
    """The last number for which it holds, of those from 1 on and `below` another, if that is known; 0 for none."""
    low, high = 0, below or 1
    while below is None and await holds(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if await holds(middle) else (low, middle)
    return low
