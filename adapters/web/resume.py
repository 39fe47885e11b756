"""A resume: what a stream's listeners were shown while one of them was away, shown again from the log.

Many come back at once, to the same stream and for the same records. So a stream is retold in leaves of 100 records,
each read, folded and rendered once for all who need it, and kept while there is room.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any

import trio

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
CHUNK = 64 * 1024
"""Bytes joined for one client at a time."""
MOST_KEPT = 64 * 2**20
"""Bytes of leaves kept, about."""
RECORD_COST = 600
"""Bytes a record counts, beside its frames."""

Show = Callable[[bytes], Awaitable[bool]]


class Leaf:
    """Up to LEAF records of one stream behind version `first`, and their frames on each dialect that asked.

    `weight` is what it holds in bytes, about; `counted` what was counted of that.
    """

    def __init__(self, first: int, state: Any, decider: AnyDecider) -> None:
        self.first, self.state, self._decider = first, state, decider
        self.records: list[Recorded] = []
        self.weight, self.counted = RECORD_COST, 0
        self._retold: dict[int, Retold] = {}

    @property
    def last(self) -> int:
        return self.first + len(self.records)

    def state_at(self, version: int) -> Any:
        """The stream's state at a version within."""
        return self._decider.fold(self.state, [record.event for record in self.records[: version - self.first]])

    def add(self, records: list[Recorded]) -> None:
        self.records += records
        self.weight += RECORD_COST * len(records)  # and their text, about as much as their frames: see Retold

    def shown(self, dialect: Dialect, after: int, until: int, connection_id: str) -> Iterator[bytes]:
        """The frames of versions above `after` up to `until` that are for this connection, some joined at a time."""
        retold = self._retold.get(id(dialect))
        if retold is None:
            retold = self._retold[id(dialect)] = Retold(dialect, self.state)
        self.weight += 2 * retold.render(self.records, self._decider)  # the frames, and about as much in the records
        pieces = retold.pieces[after - self.first : until - self.first]
        mine = (frame for frame, to, origin in pieces if frame and is_for(to, origin, connection_id))
        return joined(mine, CHUNK)


Piece = tuple[bytes, Reach, str]


class Retold:
    """A leaf's frames on one dialect: framed, with whom each is for; no bytes where a record is not shown."""

    def __init__(self, dialect: Dialect, state: Any) -> None:
        self._dialect, self._state = dialect, state
        self.pieces: list[Piece] = []

    def render(self, records: list[Recorded], decider: AnyDecider) -> int:
        """Render those that are not rendered yet; returns their bytes."""
        size = 0
        for record in records[len(self.pieces) :]:
            state = decider.fold(self._state, (record.event,))
            piece = _piece(self._dialect.render(record, state), record.stamp.origin)
            self._state = state  # together with the piece: a record whose rendering failed is folded again
            self.pieces.append(piece)
            size += len(piece[0])
        return size


def _piece(frame: Frame | None, origin: str) -> Piece:
    return (b"", Reach.EVERYONE, origin) if frame is None else (text_frame(frame.body), frame.to, origin)


class Recollection:
    """What streams' listeners were shown, for those who come back."""

    def __init__(self, log: EventStore, deciders: Mapping[Category, AnyDecider], *, most_kept: int = MOST_KEPT) -> None:
        self._log, self._deciders, self._most_kept = log, deciders, most_kept
        self._leaves: OrderedDict[tuple[StreamName, int], Leaf] = OrderedDict()
        self._kept = 0
        self._readers: dict[StreamName, Reader] = {}

    @property
    def kept(self) -> int:
        """Bytes of leaves kept, about."""
        return self._kept

    def forget(self, streams: Collection[StreamName]) -> None:
        """Keep nothing of these streams: the log tells them otherwise now."""
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
            if not begun:
                begin(leaf.state_at(version), min(version, leaf.last))
                begun = True
            if leaf.last < end:  # the log ends earlier than was said
                until = end = leaf.last
            chunks = leaf.shown(dialect, version, end, connection_id)
            self._keep(recall.stream, leaf)  # now that it is known what its frames weigh
            version = end
            for chunk in chunks:
                if not await show(chunk):
                    return

    async def _leaf(self, stream: StreamName, version: int, until: int) -> Leaf:
        """The leaf that holds what is behind `version`, at least up to `until`. One task reads a stream at a time."""
        reader = self._readers.setdefault(stream, Reader())
        reader.waiting += 1
        try:
            async with reader.lock:
                index = version // LEAF
                leaf = self._leaves.get((stream, index)) or await self._begun(stream, index)
                if leaf.first < index * LEAF:  # the stream ends before
                    return leaf
                if leaf.last < until:
                    leaf.add(await self._log.read_stream(stream, after=leaf.last, limit=LEAF - len(leaf.records)))
                self._keep(stream, leaf)
                return leaf
        finally:
            reader.waiting -= 1
            if not reader.waiting:
                del self._readers[stream]

    async def _begun(self, stream: StreamName, index: int) -> Leaf:
        """A leaf without records yet; the stream's state at its beginning is folded from the nearest that is known.

        On the way some are kept, so that whoever looks here and there in a long past reads little of it. Of a stream
        that ends before, it is a leaf that begins at that end.
        """
        decider = self._deciders[stream.category]
        leaf = self._nearest(stream, index)
        version, state = (leaf.last, leaf.state_at(leaf.last)) if leaf else (0, decider.initial)
        while version < index * LEAF:
            most = min(READ_AT_ONCE - version % READ_AT_ONCE, index * LEAF - version)
            records = await self._log.read_stream(stream, after=version, limit=most)
            if not records:
                break
            version, state = records[-1].version, decider.fold(state, [record.event for record in records])
            if version % READ_AT_ONCE == 0:
                self._keep(stream, Leaf(version, state, decider))
        return Leaf(version, state, decider)

    def _nearest(self, stream: StreamName, index: int) -> Leaf | None:
        """The last leaf that is kept of what comes before. However far that is, it looks at no more than there are."""
        if index <= len(self._leaves):
            known = range(index - 1, -1, -1)
            return next((leaf for earlier in known if (leaf := self._leaves.get((stream, earlier)))), None)
        earlier = max((at for name, at in self._leaves if name == stream and at < index), default=-1)
        return self._leaves.get((stream, earlier))

    def _keep(self, stream: StreamName, leaf: Leaf) -> None:
        """Keep it as the newest in use; the ones longest out of use go, but never this one."""
        if leaf.first % LEAF:  # it stands for the end of a stream, and that moves
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


class Reader:
    """The one that reads a stream, and how many wait for it."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock, self.waiting = trio.Lock(), 0


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
