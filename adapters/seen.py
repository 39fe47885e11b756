"""What a device had seen at a time: the notes of delivery (core/delivery.py) beside the streams they are about.

Answers are bounds. The client has certainly received all up to `acknowledged`; all up to `written` was handed to its
connection; and nothing behind `at_most`. In between nobody knows more than the log: it notes how far clients have come
at intervals, and what a server that was killed had not noted yet is not known at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio
from msgspec import Struct

from adapters.delivery_parts import Log, Parts, TooManyParts
from adapters.dialects import references
from adapters.protocols.wire import iso_time
from adapters.replaying import JOINED, LEFT
from adapters.telling import Devices
from adapters.web.described import Timestamp
from core.identifiers import MalformedStreamName, StreamName
from core.messages import Recorded
from core.sightings import Sighting, sighting, sightings
from eventstore.audit import AuditLog, Filters

MOST_DIGITS = 18
NOTED = "delivery.noted"


class SeenStream(Struct, frozen=True):
    """What was seen of one stream, in its versions. `device` is how a replay calls the connection."""

    stream: str
    device: str | None
    acknowledged: int
    written: int
    at_most: int


class SeenBy(Struct, frozen=True):
    """How far one connection had come. `acknowledged`, `written` and `at_most` are positions of the log, `at_most` None
    where nobody knows; it rests on looks at it at `noted_from` and `noted_until`, and without the latter none came."""

    connection: str
    at: Timestamp | None
    principal: str
    dialect: str | None
    path: dict[str, str]
    since: int | None
    opened: Timestamp | None
    closed: Timestamp | None
    code: int | None
    hears: tuple[str, ...]
    acknowledged: int
    written: int
    at_most: int | None
    noted_from: Timestamp | None
    noted_until: Timestamp | None
    streams: tuple[SeenStream, ...]


Runs = Callable[[int], Awaitable[str | None]]
"""Which run of the server the notes of a time are of."""


def runs_of(log: AuditLog | None, boot: str = "") -> Runs:
    """By the last note before a time; where the log is no file, there is only the run there is."""

    async def run_at(at: int) -> str | None:
        cursor: str | None = None
        while log is not None:
            page = await log.page(Filters(event=NOTED, until=at + 1), cursor=cursor, limit=1, newest_first=True)
            if page.entries:
                return page.entries[0].stream.partition("-")[2].rpartition(".")[0]
            if (cursor := page.next_cursor) is None:
                return None
        return boot

    return run_at


# --- one connection ---------------------------------------------------------------------------------------------


async def seen_by(log: Log, connection: str, at: int | None = None) -> SeenBy | None:
    """What the connection had seen at that time (µs UTC), or at last; None where the log has no note of it by then.
    Raises StoreUnavailable."""
    boot, _, number = connection.rpartition(".")
    if not (number.isascii() and number.isdecimal() and len(number) < MOST_DIGITS):
        return None
    try:
        found = await _sighting(log, boot, int(number), at)
    except MalformedStreamName:
        return None
    if found is None:
        return None
    names = [StreamName.parse(name) for name in found.names if not name.startswith("#")]
    streams = [await trio.to_thread.run_sync(Told, name, await log.read_stream(name), at) for name in names]
    return _seen_by(boot, found, at, [stream.to(connection, found) for stream in streams])


async def _sighting(log: Log, boot: str, number: int, at: int | None) -> Sighting | None:
    parts = Parts(log, boot)
    try:
        part = await parts.telling(number, await parts.begun(at))
    except TooManyParts:
        return None
    return None if part is None else await trio.to_thread.run_sync(sighting, await parts.around(part), number, at)


# --- all of a stream --------------------------------------------------------------------------------------------


async def seen_of(log: Log, runs: Runs, stream: StreamName, at: int) -> list[SeenBy]:
    """Whoever heard the stream at that time, and what of it. Raises StoreUnavailable."""
    records = await log.read_stream(stream)
    present = await trio.to_thread.run_sync(_present, records, at)
    boots = {id.rpartition(".")[0]: None for id in present}
    if (run := await runs(at)) is not None:
        boots[run] = None
    told = await trio.to_thread.run_sync(Told, stream, records, at)
    names = {str(stream)} | {f"#{topic}" for topic in await trio.to_thread.run_sync(_topics, records)}
    found: list[SeenBy] = []
    for boot in boots:
        found += await _listeners(log, boot, at, names, present, told)
    return found


async def _listeners(
    log: Log, boot: str, at: int, names: set[str], present: dict[str, Recorded], told: Told
) -> list[SeenBy]:
    try:
        parts = Parts(log, boot)
        known = await trio.to_thread.run_sync(sightings, await parts.around(await parts.begun(at)), at)
    except MalformedStreamName:  # an origin that somebody made up
        return []
    heard = {n: sight for n, sight in known.items() if sight.was_there and names & {*sight.names}}
    for id in present:
        before, _, number = id.rpartition(".")
        if before == boot and number.isdecimal() and int(number) not in heard:
            heard[int(number)] = known.get(int(number)) or Sighting(int(number))
    found = []
    for each, sight in sorted(heard.items()):
        id = f"{boot}.{each}"
        joined = present.get(id)
        principal = joined.stamp.principal if joined is not None else ""
        found.append(_seen_by(boot, sight, at, [told.to(id, sight)], principal))
    return found


def _present(records: Iterable[Recorded], at: int) -> dict[str, Recorded]:
    """Who had joined by then, and had not left: connections, and how that was recorded."""
    present: dict[str, Recorded] = {}
    for record in records:
        event = record.event
        if record.stamp.time > at:
            continue
        if isinstance(event, JOINED):
            present[event.connection_id] = record
        elif isinstance(event, LEFT):
            present.pop(event.connection_id, None)
    return present


def _topics(records: Iterable[Recorded]) -> set[str]:
    """The wide topics, of any dialect, by which records of a stream are heard."""
    dialects = [endpoint.dialect_for({}) for _, endpoints in references() for endpoint in endpoints[:1]]
    return {topic for record in records for dialect in dialects for topic in dialect.topics(record)}


# --- in words of the answer -------------------------------------------------------------------------------------


class Told:
    """A stream up to a time, which turns positions of the log into its versions."""

    def __init__(self, stream: StreamName, records: Sequence[Recorded], at: int | None) -> None:
        by_then = [record for record in records if at is None or record.stamp.time <= at]
        self._stream, self._positions = stream, [record.position for record in by_then]
        devices, origins = Devices(), dict.fromkeys(record.stamp.origin for record in records if record.stamp.origin)
        self._devices = {origin: devices.name(origin) for origin in origins}

    def to(self, connection: str, sight: Sighting) -> SeenStream:
        """How much of it a connection had seen. Whatever else is unknown: nothing was shown before it was recorded."""
        device, written = self._devices.get(connection), self._version(sight.written)
        at_most = len(self._positions) if sight.at_most is None else self._version(sight.at_most)
        return SeenStream(str(self._stream), device, self._version(sight.acknowledged), written, max(written, at_most))

    def _version(self, position: int) -> int:
        return bisect_right(self._positions, position)


def _seen_by(boot: str, sight: Sighting, at: int | None, streams: Iterable[SeenStream], principal: str = "") -> SeenBy:
    who = sight.opened
    return SeenBy(
        f"{boot}.{sight.connection}",
        _time(at),
        who.principal if who is not None else principal,
        who.dialect if who is not None else None,
        who.path if who is not None else {},
        who.since if who is not None else None,
        _time(who.time if who is not None else None),
        _time(sight.closed),
        sight.code,
        sight.names,
        sight.acknowledged,
        sight.written,
        sight.at_most,
        _time(sight.seen_from),
        _time(sight.seen_until),
        tuple(streams),
    )


def _time(time: int | None) -> str | None:
    return None if time is None else iso_time(time)
