"""A whole stream in few numbers: when each event was, what it is called, in which lane it stands. Enough to draw it.

It is put together piece by piece, on a reader's thread, and encoded piece by piece: no step of it takes long, however
long the stream is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise

import trio
from msgspec import Struct, json

from adapters.protocols.console import LANES, Lane, lane_of
from adapters.protocols.console.lanes import KINDS
from core.call import TranscriptRewritten, UtterancesAdded
from core.channel import Published
from core.conversation import MessageSaid
from core.identifiers import StreamName
from core.messages import Recorded
from core.ports import EventStore
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

Mark = tuple[int, str, Lane]
"""An event's time, its name and its lane."""

_encode = json.Encoder().encode
_NUMBER = {lane: number for number, lane in enumerate(LANES)}
_LANE = {kind: lane for lane, kinds in KINDS.items() for kind in kinds}
_KIND_OF = {name.partition("/")[0]: kind for name, kind in EVENTS.items()}
_STORED = (name for name in (*EVENTS, *UPCASTERS) if _KIND_OF.get(name.partition("/")[0]) in TOLD_BY_CONTENT)
_READ = _encode(list(_STORED)).decode()
_ROWS = """SELECT originator_version, topic, recorded_at,
    CASE WHEN topic IN (SELECT value FROM json_each(?)) THEN state END
    FROM stored_events WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version LIMIT ?"""


class Outline:
    """What has been read of the stream so far: `version` events."""

    def __init__(self, stream: StreamName) -> None:
        self._stream = stream
        self.version = self._first = self._last = 0
        self._names: dict[str, int] = {}
        self._steps, self._events, self._lanes = list[bytes](), list[bytes](), list[bytes]()

    def add(self, marks: Iterable[Mark]) -> int:
        """The next events. Returns how many there were."""
        times, names, lanes = list[int](), list[int](), list[int]()
        for time, name, lane in marks:
            times.append(time)
            names.append(self._names.setdefault(name, len(self._names)))
            lanes.append(_NUMBER[lane])
        if times:
            self._first = self._first if self.version else times[0]
            before = self._last if self.version else times[0]
            steps = [time - earlier for earlier, time in pairwise((before, *times))]
            self._last, self.version = times[-1], self.version + len(times)
            for pieces, numbers in ((self._steps, steps), (self._events, names), (self._lanes, lanes)):
                pieces.append(_encode(numbers)[1:-1])
        return len(times)

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
        return await trio.to_thread.run_sync(outline.add, _recorded(records))
    opener = store.opener
    return await store.look(lambda select: outline.add(_stored(select, stream, outline.version, most, opener)))


class _Names(dict[str, str]):
    """What stored names are called without the number of their shape."""

    def __missing__(self, stored: str) -> str:
        name = self[stored] = stored.partition("/")[0]
        return name


def _stored(select: Select, stream: StreamName, after: int, most: int, opener: Opener | None) -> Iterator[Mark]:
    names = _Names()
    for version, stored, time, state in select(_ROWS, (_READ, stream, after, most)):
        name = names[stored]
        lane = _LANE.get(_KIND_OF.get(name, object), Lane.SYSTEM)
        if state is not None:
            with suppress(Undecodable, UnknownName):  # somebody changed it, or it is a newer version's
                opened = state if opener is None else opener.event(stream, version, stored, state)
                lane = lane_of(events.decode(stored, opened))
        yield time, name, lane


def _recorded(records: Iterable[Recorded]) -> Iterator[Mark]:
    for record in records:
        yield record.stamp.time, events.name_of(type(record.event)).partition("/")[0], lane_of(record.event)


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
