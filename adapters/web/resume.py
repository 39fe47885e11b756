"""A resume: what a stream's listeners were shown while one of them was away, shown again from the log.

Many come back at once, to the same stream and for the same records. So a stream is retold in leaves of 100 records,
each read, folded and rendered once for all who need it, and kept while there is room. However long that takes, others
have their turn meanwhile.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from itertools import groupby
from time import perf_counter
from typing import Any
from weakref import WeakValueDictionary

import trio
from msgspec import Struct, json, structs

from actors.topic import is_for
from adapters.server.messages import joined, text_frame
from core.decider import AnyDecider
from core.dialect import Dialect, Frame, Reach, Recall
from core.identifiers import Category, StreamName
from core.messages import Recorded
from core.ports import EventStore

LEAF = 100
"""Records in a leaf."""
READ_AT_ONCE = 1000
"""Records read at a time where they are folded only."""
WAYPOINT = 2 * LEAF
"""Versions between the states that are kept of a past on the way through it."""
STRIDE = 0.002
"""Seconds the event loop is held at a time, about."""
CHUNK = 64 * 1024
"""Bytes joined for one client at a time."""
MOST_KEPT = 64 * 2**20
"""Bytes of leaves kept, about."""
LARGE = 64
"""A state of more than this part of them is kept only where somebody asked for it."""
RECORD_COST = 600
"""Bytes a record counts, beside its frames."""

Show = Callable[[bytes], Awaitable[bool]]


class Reading:
    """A stream is read by one task at a time, until some of it is forgotten; then it is read anew, and what was read
    before is kept no longer. It lasts as long as a leaf or a task has it."""

    __slots__ = ("__weakref__", "is_over", "lock")

    def __init__(self) -> None:
        self.lock, self.is_over = trio.Lock(), False


class Strides:
    """Work in steps, between which others have their turn where it takes long."""

    def __init__(self) -> None:
        self._due = perf_counter() + STRIDE

    async def step(self) -> None:
        if perf_counter() >= self._due:
            await trio.lowlevel.checkpoint()
            self._due = perf_counter() + STRIDE

    async def fold(self, decider: AnyDecider, state: Any, records: Iterable[Recorded]) -> Any:
        for record in records:
            state = decider.fold(state, (record.event,))
            await self.step()
        return state


class Leaf:
    """Up to LEAF records of one stream behind version `first`, and their frames on each dialect that asked.

    `weight` is what it holds in bytes, about; `counted` what was counted of that.
    """

    def __init__(self, reading: Reading, first: int, state: Any, decider: AnyDecider) -> None:
        self.reading, self.first, self.state, self._decider = reading, first, state, decider
        self.records: list[Recorded] = []
        self.state_weight = state_weight(state)
        self.weight, self.counted = RECORD_COST + self.state_weight, 0
        self._retold: dict[int, Retold] = {}

    @property
    def last(self) -> int:
        return self.first + len(self.records)

    async def state_at(self, version: int) -> Any:
        """The stream's state at a version within."""
        return await Strides().fold(self._decider, self.state, self.records[: version - self.first])

    def add(self, records: list[Recorded]) -> None:
        self.records += records
        self.weight += RECORD_COST * len(records)  # and their text, about as much as their frames: see Retold

    async def render(self, dialect: Dialect) -> None:
        """Render what is not rendered yet. Whoever else does it at the same time does some of it."""
        retold = self._retold.get(id(dialect))
        if retold is None:
            retold = self._retold[id(dialect)] = Retold(dialect, self.state)
            self.weight += self.state_weight
        strides = Strides()
        while len(retold.pieces) < len(self.records):
            size = retold.render(self.records[len(retold.pieces)], self._decider)
            self.weight += 2 * size  # the frame, and about as much in the record
            await strides.step()

    def shown(self, dialect: Dialect, after: int, until: int, connection_id: str) -> Iterator[bytes]:
        """The frames of versions above `after` up to `until` that are for this connection, some joined at a time."""
        pieces = self._retold[id(dialect)].pieces[after - self.first : until - self.first]
        mine = (frame for frame, to, origin in pieces if frame and is_for(to, origin, connection_id))
        return joined(mine, CHUNK)


def state_weight(state: Any) -> int:
    """Bytes in memory, about: a long text may take more there than encoded."""
    if not isinstance(state, Struct):
        return 2 * len(json.encode(state))
    return sum(
        sys.getsizeof(value) if isinstance(value, str) else 2 * len(json.encode(value))
        for value in structs.astuple(state)
    )


Piece = tuple[bytes, Reach, str]


class Retold:
    """A leaf's frames on one dialect: framed, with whom each is for; no bytes where a record is not shown."""

    def __init__(self, dialect: Dialect, state: Any) -> None:
        self._dialect, self._state = dialect, state
        self.pieces: list[Piece] = []

    def render(self, record: Recorded, decider: AnyDecider) -> int:
        """Render the next one; returns the bytes of its frame."""
        state = decider.fold(self._state, (record.event,))
        piece = _piece(self._dialect.render(record, state), record.stamp.origin)
        self._state = state  # together with the piece: a record whose rendering failed is folded again
        self.pieces.append(piece)
        return len(piece[0])


def _piece(frame: Frame | None, origin: str) -> Piece:
    return (b"", Reach.EVERYONE, origin) if frame is None else (text_frame(frame.body), frame.to, origin)


class Recollection:
    """What streams' listeners were shown, for those who come back."""

    def __init__(self, log: EventStore, deciders: Mapping[Category, AnyDecider], *, most_kept: int = MOST_KEPT) -> None:
        self._log, self._deciders, self._most_kept = log, deciders, most_kept
        self._leaves: OrderedDict[tuple[StreamName, int], Leaf] = OrderedDict()
        self._kept = 0
        self._readings: WeakValueDictionary[StreamName, Reading] = WeakValueDictionary()

    @property
    def kept(self) -> int:
        """Bytes of leaves kept, about."""
        return self._kept

    def forget(self, streams: Collection[StreamName]) -> None:
        """Keep nothing of these streams: the log tells them otherwise now. Who reads one of them begins again."""
        for stream in streams:
            reading = self._readings.pop(stream, None)
            if reading is not None:
                reading.is_over = True
        for key in [key for key in self._leaves if key[0] in streams]:
            leaf = self._leaves.pop(key)
            self._kept -= leaf.counted
            leaf.counted = 0

    async def retell(
        self, recall: Recall, dialect: Dialect, *, connection_id: str, begin: Callable[[Any, int], None], show: Show
    ) -> None:
        """Give `begin` the state at `since`, then `show` what is for this connection up to `until`, a leaf at a time.

        `begin` is told the version too: that of the end, of a stream that ends before `since`. `show` says whether to
        go on. Raises StoreUnavailable.
        """
        version, until, begun = recall.since, recall.until, False
        while not begun or version < until:
            end = min(until, version // LEAF * LEAF + LEAF)
            leaf = await self._leaf(recall.stream, version, end)
            state = None if begun else await leaf.state_at(version)
            await leaf.render(dialect)
            if leaf.reading.is_over:
                continue
            self._keep(recall.stream, leaf)  # now that it is known what its frames weigh
            if not begun:
                begin(state, min(version, leaf.last))
                begun = True
            if leaf.last < end:  # the log ends earlier than was said
                until = end = leaf.last
            chunks = leaf.shown(dialect, version, end, connection_id)
            version = end
            for chunk in chunks:
                if not await show(chunk):
                    return

    async def _leaf(self, stream: StreamName, version: int, until: int) -> Leaf:
        """The leaf that holds what is behind `version`, at least up to `until`."""
        while True:
            reading = self._readings.setdefault(stream, Reading())
            async with reading.lock:
                leaf = None if reading.is_over else await self._read(reading, stream, version // LEAF, until)
            if leaf is not None and not leaf.reading.is_over:
                return leaf

    async def _read(self, reading: Reading, stream: StreamName, index: int, until: int) -> Leaf:
        leaf = self._leaves.get((stream, index)) or await self._begun(reading, stream, index)
        if leaf.first < index * LEAF:  # the stream ends before
            return leaf
        if leaf.last < until:
            leaf.add(await self._log.read_stream(stream, after=leaf.last, limit=LEAF - len(leaf.records)))
        self._keep(stream, leaf)
        return leaf

    async def _begun(self, reading: Reading, stream: StreamName, index: int) -> Leaf:
        """A leaf without records yet; the stream's state at its beginning is folded from the nearest that is known.

        On the way some are kept, so that whoever looks here and there in a long past reads little of it. Of a stream
        that ends before, it is a leaf that begins at that end.
        """
        decider = self._deciders[stream.category]
        leaf = self._nearest(stream, index)
        version, state = (leaf.last, await leaf.state_at(leaf.last)) if leaf else (0, decider.initial)
        while version < index * LEAF and not reading.is_over:
            most = min(READ_AT_ONCE, index * LEAF - version)
            records = await self._log.read_stream(stream, after=version, limit=most)
            if not records:
                break
            for _, few in groupby(records, lambda record: (record.version - 1) // WAYPOINT):
                state = await Strides().fold(decider, state, few)
                version = min(records[-1].version, version // WAYPOINT * WAYPOINT + WAYPOINT)
                self._keep_waypoint(stream, Leaf(reading, version, state, decider))
        return Leaf(reading, version, state, decider)

    def _keep_waypoint(self, stream: StreamName, leaf: Leaf) -> None:
        """Not a large state: all others would have to go for those of one long past."""
        if leaf.first % WAYPOINT == 0 and leaf.weight * LARGE <= self._most_kept:
            self._keep(stream, leaf)

    def _nearest(self, stream: StreamName, index: int) -> Leaf | None:
        """The last leaf that is kept of what comes before. However far that is, it looks at no more than there are."""
        if index <= len(self._leaves):
            known = range(index - 1, -1, -1)
            return next((leaf for earlier in known if (leaf := self._leaves.get((stream, earlier)))), None)
        earlier = max((at for name, at in self._leaves if name == stream and at < index), default=-1)
        return self._leaves.get((stream, earlier))

    def _keep(self, stream: StreamName, leaf: Leaf) -> None:
        """Keep it as the newest in use; the ones longest out of use go, but never this one."""
        if leaf.first % LEAF or leaf.reading.is_over:  # the end of a stream, which moves; or what is not said any more
            return
        key = (stream, leaf.first // LEAF)
        other = self._leaves.get(key)
        if other is not None and other is not leaf:
            self._kept -= other.counted
            other.counted = 0
        self._leaves[key] = leaf
        self._leaves.move_to_end(key)
        self._kept += leaf.weight - leaf.counted
        leaf.counted = leaf.weight
        while self._kept > self._most_kept and len(self._leaves) > 1:
            _, oldest = self._leaves.popitem(last=False)
            self._kept -= oldest.counted
            oldest.counted = 0  # whoever reads it now may put it back


async def replay_wide(
    log: EventStore, dialect: Dialect, topic: str, since: int, until: int, *, connection_id: str, show: Show
) -> None:
    """`show` the frames of a wide topic from behind position `since` up to `until`. Raises StoreUnavailable."""
    while since < until:
        records = await log.read_all(after=since, limit=min(READ_AT_ONCE, until - since))
        if not records:
            return
        since = records[-1].position
        for chunk in joined(filter(None, _wide_frames(records, dialect, topic, connection_id)), CHUNK):
            if not await show(chunk):
                return


def _wide_frames(records: list[Recorded], dialect: Dialect, topic: str, connection_id: str) -> Iterator[bytes]:
    for record in records:
        if topic in dialect.topics(record):
            frame, to, origin = _piece(dialect.render_wide(record, topic), record.stamp.origin)
            if to is Reach.OTHERS or is_for(to, origin, connection_id):  # what it sent itself is history to it too
                yield frame
