"""What connections had seen at a time, put together from the notes about them (core/delivery.py). Pure.

A note is a look at one moment, so for a time between two looks there are bounds. What a client had been written at a
time is at least what the look before found, and at most what the next look after it found; the same holds for what it
had acknowledged. Of what came after the last look nothing is known: a server that was killed leaves no last note.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from core.delivery import Note, Opened


class Sighting(Struct, frozen=True, gc=False):
    """How far a connection had come at a time.

    Positions of the log: it has acknowledged all up to `acknowledged`, been written all up to `written`, and nothing
    from behind `at_most`, None where nobody knows. Neither says anything of what was not for it. `names` are what it
    heard. `seen_from` and `seen_until` are the times of the looks this rests on, the one before and the one after;
    `closed` and `code` its end, if it had come.
    """

    connection: int
    opened: Opened | None = None
    names: tuple[str, ...] = ()
    acknowledged: int = 0
    written: int = 0
    at_most: int | None = None
    seen_from: int | None = None
    seen_until: int | None = None
    closed: int | None = None
    code: int | None = None

    @property
    def was_there(self) -> bool:
        """Whether the connection is known to have been open."""
        return self.opened is not None and self.closed is None


Seen = tuple[int, Note]
"""The moment of a note, µs UTC, and what it says."""
Changes = dict[str, Any]


def sighting(notes: Iterable[Seen], connection: int, at: int | None = None) -> Sighting | None:
    """How far the connection had come at time `at` (µs UTC; at the end, without), from notes in their order.

    None when it is not known to have been opened by then.
    """
    return sightings(notes, at, only=connection).get(connection)


def sightings(notes: Iterable[Seen], at: int | None = None, *, only: int | None = None) -> dict[int, Sighting]:
    """The same of all connections that are known to have been opened by then, or of one."""
    found, after, looked = dict[int, Sighting](), dict[int, tuple[int, Changes]](), None
    for time, note in notes:
        told = _told(note, only)
        if at is None or time <= at:
            for connection, changes in told.items():
                before = found.get(connection) or Sighting(connection)
                found[connection] = replace(before, seen_from=time, **changes)
            continue
        for connection, changes in told.items():
            after.setdefault(connection, (time, changes))
        if note.began > at and not note.more:  # all were looked at: whom nobody mentioned by now had not moved
            looked = time
            break
    if at is None:
        return {connection: sight for connection, sight in found.items() if sight.opened is not None}
    bounded = (_bounded(found.get(each) or Sighting(each), after.get(each), looked, at) for each in (found | after))
    return {sight.connection: sight for sight in bounded if sight is not None}


def _told(note: Note, only: int | None) -> dict[int, Changes]:
    """What a note says of each connection it mentions."""
    told: dict[int, Changes] = {}

    def tell(connections: Iterable[int], **changes: Any) -> None:
        for connection in connections if only is None else (only,) if only in connections else ():
            told.setdefault(connection, {}).update(changes)

    for opened in note.opened:
        tell((opened.connection,), opened=opened)
    for hearing in note.hearing:
        tell(hearing.connections, names=hearing.names)
    for written in note.written:
        tell(written.connections, written=written.position, at_most=written.at_most)
    for acknowledged in note.acknowledged:
        tell(acknowledged.connections, acknowledged=acknowledged.position)
    for closed in note.closed:
        tell((closed.connection,), closed=closed.time, code=closed.code)
    return told


def _bounded(sight: Sighting, after: tuple[int, Changes] | None, looked: int | None, at: int) -> Sighting | None:
    """With what the look after that time says: that it had not come further. It may be that it was only just opened."""
    if after is None:
        if sight.opened is None:
            return None
        if looked is not None or sight.closed is not None:
            return replace(sight, seen_until=looked)
        return replace(sight, at_most=None)
    time, changes = after
    opened = changes.get("opened", sight.opened)
    if opened is None or opened.time > at:
        return None
    at_most = changes.get("at_most", sight.at_most)
    told = replace(sight, opened=opened, names=changes.get("names", sight.names), at_most=at_most, seen_until=time)
    if changes.get("closed", at + 1) <= at:
        return replace(told, closed=changes["closed"], code=changes["code"])
    return told
