"""What a stream's clients were sent, event by event: played from the log, and kept for whoever steps through it.

What an event was on a wire hangs on all that came before it, so a stream is played from its beginning. That is done on
a thread, a few records at a time, and goes on where it stopped: the next step, and what was recorded meanwhile, cost
what they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, assert_never

import trio
from msgspec import UNSET, Struct, UnsetType, json

from adapters.dialects import references
from adapters.refusals import refused_among
from adapters.replaying import FORKED, Audience, Ended, Sent, Shown, Spoken, WideAudience, spoken
from adapters.setting_values import Unusable
from core.decider import AnyDecider
from core.identifiers import Category, StreamName
from core.lineage import is_copy
from core.messages import Recorded
from core.ports import EventStore

PIECE = 200
"""Records read and played at a time."""
AHEAD = 100
"""Events played beyond the one asked for, as far as there is room: the next steps are on their way."""
MOST_OF_ONE = 8 * 2**20
"""Bytes of one stream that are kept, about: its state and its frames. The event asked for, and the last one played, are
kept however large they are."""
MOST_KEPT = 64 * 2**20
"""Bytes of all, about; the streams that were looked at longest ago are forgotten, and one that is larger is at once."""
REEL_COST = 256 * 1024
"""Bytes a stream counts beside its frames and its state."""
STATE_COST = 3
"""Bytes in memory of each byte of a state as JSON, about."""
MOST_PLAYED = 100_000
"""Events of a stream that are played; `callboard replay --frames` plays more."""
EVENT_COST = 200
"""Bytes an event counts beside its frames."""

_encoder = json.Encoder()


class CloseThen(Struct, frozen=True):
    """How the server closed those sockets, behind the frames before it."""

    code: int
    reason: str


class FrameThen(Struct, frozen=True):
    """One message, or a close. `to`: all who listened, the one whose command it was, or all but that one."""

    to: Literal["everyone", "origin", "others"]
    text: str | UnsetType = UNSET
    base64: bytes | UnsetType = UNSET
    close: CloseThen | UnsetType = UNSET


class DialectThen(Struct, frozen=True):
    """What clients of one dialect were sent of the event."""

    dialect: str
    frames: list[FrameThen]


class FramesThen(Struct, frozen=True):
    """What was sent of the event `stream@at`, in the dialects that are spoken there."""

    stream: str
    at: int
    dialects: list[DialectThen]


class Told(Struct, frozen=True):
    """What was sent of one event: how many frames, and a list of DialectThen as JSON."""

    frames: int
    dialects: bytes


class Showing:
    """One dialect's clients: the stream's own, and those who listen across streams."""

    def __init__(self, stream: StreamName, decider: AnyDecider, spoken: Spoken, epoch: str, refused: Any) -> None:
        self.dialect = spoken.dialect.name
        self._stream, self._spoken = stream, spoken
        audience = Audience(stream, decider, spoken, epoch, refused)
        self._audience = audience if audience.is_listened_to() else None
        self.is_spoken = self._audience is not None

    @property
    def weight(self) -> int:
        """Bytes of the state, about."""
        return 0 if self._audience is None else STATE_COST * len(_encoder.encode(self._audience.state))

    def take(self, record: Recorded) -> list[FrameThen]:
        """The next record. Raises Unusable where the dialect was not spoken in this stream."""
        shown = self._shown(record)
        if not shown or _is_of_another(record):
            return []
        self.is_spoken = True
        return [_frame(each) for each in shown]

    def _shown(self, record: Recorded) -> list[Shown]:
        """Those who listen across streams are asked where the stream's own were sent nothing."""
        if self._audience is not None and (shown := list(self._audience.take(record))):
            return shown
        for topic in self._spoken.dialect.topics(record):
            if shown := list(WideAudience(topic, self._spoken, self._stream).take(record)):
                return shown
        return []


class Reel:
    """One stream, played up to `version`. What is kept of it ends there, and begins where there was room."""

    def __init__(self, stream: StreamName, decider: AnyDecider, epoch: str) -> None:
        self.version, self.is_stale = 0, False
        self._frames = self._state = 0
        self.lock = trio.Lock()
        self._refused: dict[int, Any] = {}
        self._showings = [Showing(stream, decider, each, epoch, self._refused) for each in _dialects()]
        self._kept: OrderedDict[int, Told] = OrderedDict()
        self._encoded = bytearray()

    @property
    def weight(self) -> int:
        """Bytes that are kept, about."""
        return REEL_COST + self._state + self._frames

    @property
    def is_full(self) -> bool:
        return self.weight > MOST_OF_ONE

    def told(self, at: int) -> Told | None:
        """What was sent of the event with this version, where it is kept."""
        return self._kept.get(at)

    def play(self, records: Sequence[Recorded], refused: Mapping[int, Any], at: int) -> None:
        """The next records, those behind `at` while there is room; what was sent of version `at` stays. Blocks."""
        self._refused.update(refused)
        for record in records:
            if self.version >= at and self.is_full:
                break
            told = self._take(record)
            self._kept[record.version], self.version = told, record.version
            self._frames += len(told.dialects) + EVENT_COST
            self._make_room(at)
        self._refused.clear()
        self._state = sum(showing.weight for showing in self._showings)
        self._make_room(at)

    def _make_room(self, at: int) -> None:
        while self.is_full and min(at, self.version) > (first := next(iter(self._kept))):
            self._frames -= len(self._kept.pop(first).dialects) + EVENT_COST

    def _take(self, record: Recorded) -> Told:
        dialects = list[DialectThen]()
        for showing in list(self._showings):
            try:
                frames = showing.take(record)
            except Unusable:
                self._showings.remove(showing)
                continue
            if showing.is_spoken:
                dialects.append(DialectThen(showing.dialect, frames))
        _encoder.encode_into(dialects, self._encoded)  # what it writes by itself has room behind it, half as much
        return Told(sum(len(each.frames) for each in dialects), bytes(self._encoded))


class Reels:
    """Those that somebody looks at."""

    def __init__(
        self, store: EventStore, deciders: Mapping[Category, AnyDecider], *, most_kept: int = MOST_KEPT
    ) -> None:
        self._store, self._deciders, self._most_kept = store, deciders, most_kept
        self._reels: OrderedDict[StreamName, Reel] = OrderedDict()
        self._threads = trio.CapacityLimiter(1)

    @property
    def kept(self) -> int:
        """Bytes that are kept, about."""
        return sum(reel.weight for reel in self._reels.values())

    def forget(self, streams: Collection[StreamName]) -> None:
        """Keep nothing of these streams, nor tell what is being played of them now: the log says otherwise now."""
        for stream in streams:
            if (reel := self._reels.get(stream)) is not None:
                self._drop(stream, reel)

    async def told(self, stream: StreamName, at: int) -> Told | None:
        """What was sent of the event; None where the stream has not come so far. Raises StoreUnavailable."""
        while True:
            reel = self._reel(stream)
            if (told := reel.told(at)) is not None:
                return told
            async with reel.lock:
                if reel.is_stale:
                    continue
                if at > reel.version:
                    await self._play(stream, reel, at)
                elif reel.told(at) is None:  # there was no room for what lies so far back
                    self._drop(stream, reel)
                told, is_stale = reel.told(at), reel.is_stale
            self._make_room()
            if not is_stale:
                return told

    def _reel(self, stream: StreamName) -> Reel:
        """The stream's own, as the newest in use."""
        reel = self._reels.get(stream)
        if reel is None:
            reel = Reel(stream, self._deciders[stream.category], self._store.epoch)
            self._reels[stream] = reel
        self._reels.move_to_end(stream)
        return reel

    async def _play(self, stream: StreamName, reel: Reel, at: int) -> None:
        """Whoever gives up leaves what was played so far to the next one."""
        try:
            while reel.version < (at if reel.is_full else at + AHEAD):
                most = min(PIECE, at + AHEAD - reel.version)
                records = await self._store.read_stream(stream, after=reel.version, limit=most)
                refused = await refused_among(self._store, stream, records)
                await trio.to_thread.run_sync(reel.play, records, refused, at, limiter=self._threads)
                self._make_room()
                if len(records) < most:
                    break
        except Exception:
            self._drop(stream, reel)  # it stopped anywhere
            raise
        if not reel.version and self._reels.get(stream) is reel:
            del self._reels[stream]  # there is none

    def _make_room(self) -> None:
        """Forget the oldest, but none that is being played: that one is looked at when it has been."""
        for stream, reel in list(self._reels.items()):
            if self.kept <= self._most_kept:
                break
            if not reel.lock.locked():
                self._drop(stream, reel)

    def _drop(self, stream: StreamName, reel: Reel) -> None:
        reel.is_stale = True
        if self._reels.get(stream) is reel:
            del self._reels[stream]


def _dialects() -> Iterator[Spoken]:
    """Those of clients, in order; not of those who look at what clients do."""
    for reference, endpoints in references():
        if not endpoints[0].roles:
            yield spoken(reference.name, {})


def _is_of_another(record: Recorded) -> bool:
    """Of a fork's past, which was sent to others."""
    return isinstance(record.event, FORKED) or (record.stamp.causation_id is not None and is_copy(record))


def _frame(shown: Shown) -> FrameThen:
    match shown:
        case Ended(close=close):
            return FrameThen(close.to.value, close=CloseThen(close.code, close.reason))
        case Sent(body=body, to=to):
            try:
                return FrameThen(to.value, text=body.decode())
            except UnicodeDecodeError:
                return FrameThen(to.value, base64=body)
        case _:
            assert_never(shown)
