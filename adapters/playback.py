"""A stream's past, played: as it was, in its own time or faster, and on with what comes. Also its state at a moment."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any

import trio
from msgspec import Struct, json

from adapters import history
from adapters.differences import Change, differences
from adapters.history import NoSuchHistory, decider_of, no_stream
from adapters.moments import Moment, version_at
from core.identifiers import StreamName
from core.messages import Recorded
from core.ports import StoreUnavailable
from eventstore.audit import AuditLog, Filters
from eventstore.codec import Undecodable, UnknownName, decoded_command
from eventstore.sqlite import SQLiteStore

Take = Callable[[Recorded], None]


class Pace:
    """When what happened is shown: `speed` times as fast as it happened, None for at once."""

    def __init__(self, speed: float | None = None) -> None:
        self._speed = speed
        self._first, self._began = 0, -math.inf

    async def wait(self, time: int) -> None:
        """Until it is time to show what happened at `time`, in µs."""
        if self._speed is None:
            return
        if self._began == -math.inf:
            self._first, self._began = time, trio.current_time()
        await trio.sleep_until(self._began + (time - self._first) / 1e6 / self._speed)


async def whole(store: SQLiteStore, stream: StreamName) -> list[Recorded]:
    """All records of the stream. Raises NoSuchHistory where it has none."""
    records = await store.read_stream(stream)
    if not records:
        raise no_stream(stream)
    return records


async def refused_commands(log: AuditLog, stream: StreamName) -> dict[int, Any]:
    """The commands that were refused on the stream, by the versions of their refusals. Raises StoreUnavailable."""
    found: dict[int, Any] = {}
    async for batch in log.walk(Filters(stream=stream, rejected=True)):
        found |= {entry.version: command_of(entry.command) for entry in batch if entry.command is not None}
    return found


def command_of(stored: str) -> Any:
    """A command as the log has it. Raises StoreUnavailable where this version of Callboard does not know it."""
    try:
        return decoded_command(stored)
    except (UnknownName, Undecodable) as fault:
        raise StoreUnavailable(f"the log cannot be read: {fault}") from fault


async def pages(store: SQLiteStore, after: int = 0) -> AsyncIterator[Sequence[Recorded]]:
    """All of the log behind a position."""
    while records := await store.read_all(after=after, limit=history.PAGE):
        yield records
        after = records[-1].position


async def play(records: Sequence[Recorded], take: Take, pace: Pace) -> None:
    for record in records:
        await pace.wait(record.stamp.time)
        take(record)


async def play_log(store: SQLiteStore, after: int, take: Take, pace: Pace) -> int:
    """All of the log behind a position; returns the last position."""
    async for page in pages(store, after):
        await play(page, take, pace)
        after = page[-1].position
    return after


async def follow(store: SQLiteStore, after: int, take: Take) -> None:
    """What comes behind a position, for ever, also by the doing of another process."""

    def take_all(records: Iterable[Recorded]) -> None:
        for record in records:
            take(record)

    await history.follow_log(store, after, take_all)


# --- states ---------------------------------------------------------------------------------------------------------


class StateThen(Struct, frozen=True):
    """The state behind `version`, folded by the production code, of JSON's types. `time` in µs: the last event's."""

    version: int
    time: int | None
    state: Any


def state_at(records: Sequence[Recorded], moment: Moment) -> StateThen:
    """Raises NoSuchHistory for a version the stream has not come to."""
    stream, version = records[0].stream, version_at(moment, records)
    if version > len(records):
        raise NoSuchHistory(f"{stream} has {len(records)} events, so there is no version {version}")
    decider = decider_of(stream)
    state = decider.fold(decider.initial, (record.event for record in records[:version]))
    return StateThen(version, records[version - 1].stamp.time if version else None, json.decode(json.encode(state)))


def changes_between(before: StateThen, after: StateThen) -> list[Change]:
    return list(differences(before.state, after.state))
