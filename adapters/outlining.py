"""A whole stream in few numbers: when each event was, what it is called, in which lane it stands. Enough to draw it.

It is put together piece by piece, on a reader's thread, and encoded piece by piece: no step of it takes long, however
long the stream is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import trio
from msgspec import MsgspecError, Struct, json

from adapters.protocols.console import LANES, Lane, lane_of
from adapters.protocols.console.lanes import KINDS
from core.call import TranscriptRewritten, UtterancesAdded
from core.channel import Published
from core.conversation import MessageSaid
from core.identifiers import StreamName
from core.messages import Recorded
from core.ports import EventStore
from eventstore.archives import STATE
from eventstore.catalog import EVENTS
from eventstore.codec import Undecodable, UnknownName, events
from eventstore.index import Opener
from eventstore.proofs import Select
from eventstore.sqlite import SQLiteStore
from eventstore.upcasters import UPCASTERS

PIECE = 10_000
"""Events read at a time."""
MOST_EVENTS = 1_000_000
"""Of a longer stream the outline has the first ones."""

TOLD_BY_CONTENT = (MessageSaid, UtterancesAdded, TranscriptRewritten, Published)
"""Events whose lane hangs on what they say; of the others it is that of their kind."""

Marks = tuple[Sequence[int], Sequence[str], Sequence[Lane]]
"""Some events' times, their stored names and their lanes."""

_encode = json.Encoder().encode
_NUMBER = {lane: number for number, lane in enumerate(LANES)}
_LANE = {kind: lane for lane, kinds in KINDS.items() for kind in kinds}
_KIND_OF = {name.partition("/")[0]: kind for name, kind in EVENTS.items()}
_READ = {name for name in (*EVENTS, *UPCASTERS) if _KIND_OF.get(name.partition("/")[0]) in TOLD_BY_CONTENT}
_READ_AS_JSON = _encode(sorted(_READ)).decode()
_ROWS = """SELECT json_group_array(originator_version), json_group_array(recorded_at), json_group_array(topic) FROM (
    SELECT originator_version, recorded_at, topic FROM stored_events
    WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version LIMIT ?)"""
"""All at once: else a thread would have to wait for the interpreter's lock at each event."""
_CONTENTS = f"""SELECT originator_version, topic, {STATE} FROM stored_events
    WHERE originator_id = ? AND originator_version BETWEEN ? AND ? AND topic IN (SELECT value FROM json_each(?))"""  # noqa: S608  # the expression is ours

_to_numbers, _to_texts = json.Decoder(list[int]).decode, json.Decoder(list[str]).decode


class Outline:
    """What has been read of the stream so far: `version` events."""

    def __init__(self, stream: StreamName) -> None:
        self._stream = stream
        self.version = self._first = self._last = 0
        self._names: dict[str, int] = {}
        self._steps, self._events, self._lanes = list[bytes](), list[bytes](), list[bytes]()

    def add(self, marks: Marks) -> int:
        """The next events. Returns how many there were."""
        times, names, lanes = marks
        if times:
            self._first = self._first if self.version else times[0]
            before = self._last if self.version else times[0]
            self._steps.append(_encode([time - earlier for earlier, time in pairwise((before, *times))])[1:-1])
            numbers = {name: self._number(name) for name in dict.fromkeys(names)}
            self._events.append(_encode([numbers[name] for name in names])[1:-1])
            self._lanes.append(_encode([_NUMBER[lane] for lane in lanes])[1:-1])
            self._last, self.version = times[-1], self.version + len(times)
        return len(times)

    def _number(self, stored: str) -> int:
        """Of a name, which is told without the number of its shape."""
        return self._names.setdefault(stored.partition("/")[0], len(self._names))

    def encoded(self) -> bytes:
        """All of it as a JSON object."""
        told = {"stream": str(self._stream), "version": self.version, "first": self._first, "names": list(self._names)}
        arrays = (("steps", self._steps), ("events", self._events), ("lanes", self._lanes))
        fields = (b',"%b":[%b]' % (name.encode(), b",".join(pieces)) for name, pieces in arrays)
        return b"".join((_encode(told)[:-1], *fields, b"}"))


async def outlined(store: EventStore, stream: StreamName) -> Outline:
    """The outline of the stream as it is; of none, where there is none. Raises StoreUnavailable."""
    outline, is_whole = Outline(stream), False
    while not is_whole and outline.version < MOST_EVENTS:
        most = min(PIECE, MOST_EVENTS - outline.version)
        is_whole = await _add(outline, store, stream, most) < most
    return outline


async def _add(outline: Outline, store: EventStore, stream: StreamName, most: int) -> int:
    """The next piece. Returns how many events it has."""
    if not isinstance(store, SQLiteStore):
        records = await store.read_stream(stream, after=outline.version, limit=most)
        return await trio.to_thread.run_sync(lambda: outline.add(_recorded(records)))
    opener = store.opener
    return await store.look(lambda select: outline.add(_stored(select, stream, outline.version, most, opener)))


def _stored(select: Select, stream: StreamName, after: int, most: int, opener: Opener | None) -> Marks:
    versions, times, names = _columns(select, stream, after, most)
    by_kind = {name: _lane_of_kind(name) for name in dict.fromkeys(names)}
    lanes = [by_kind[name] for name in names]
    if versions and by_kind.keys() & _READ:
        place = {version: at for at, version in enumerate(versions)}
        for version, name, state in select(_CONTENTS, (stream, versions[0], versions[-1], _READ_AS_JSON)):
            with suppress(Undecodable, UnknownName):  # somebody changed it, or it is a newer version's
                opened = state if opener is None else opener.event(stream, version, name, state)
                lanes[place[version]] = lane_of(events.decode(name, opened))
    return times, names, lanes


def _columns(select: Select, stream: StreamName, after: int, most: int) -> tuple[list[int], list[int], list[str]]:
    [(versions, times, names)] = select(_ROWS, (stream, after, most))
    try:
        return _to_numbers(versions), _to_numbers(times), _to_texts(names)
    except MsgspecError as fault:
        raise Undecodable(f"an event of {stream} has a time or a name that is none: {fault}") from fault


def _lane_of_kind(stored: str) -> Lane:
    return _LANE.get(_KIND_OF.get(stored.partition("/")[0], object), Lane.SYSTEM)


def _recorded(records: Sequence[Recorded]) -> Marks:
    return (
        [record.stamp.time for record in records],
        [events.name_of(type(record.event)) for record in records],
        [lane_of(record.event) for record in records],
    )


class StreamOutline(Struct, frozen=True):
    """`version` events: `first` is the time of the first one (µs UTC, 0 where there is none), `steps` are µs since the
    one before, 0 for the first, less than 0 where a clock was set back. `events` are indices into `names`, which are
    stored names without their number; `lanes` into person, assistant, tools, devices, system."""

    stream: str
    version: int
    first: int
    names: list[str]
    steps: list[int]
    events: list[int]
    lanes: list[int]
