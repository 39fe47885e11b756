"""What a stream's clients were sent, for whoever steps through it: what a replay says, quick, bounded, forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import json

from adapters import reels as module
from adapters.opening import DECIDERS, open_history
from adapters.reels import MOST_OF_ONE, REEL_COST, DialectThen, FrameThen, Reels
from adapters.refusals import refused_among
from adapters.replaying import FORKED, Audience, spoken
from adapters.setting_values import StoreAddress
from core.audit import Accessed
from core.conversation import (
    ClientJoined,
    ConversationForked,
    ConversationOpened,
    InterimHeard,
    OpenConversation,
    UpdateTranscript,
)
from core.decider import CommandRejected
from core.identifiers import StreamName
from core.lineage import is_copy
from core.messages import Decision, Recorded, Stamp
from core.ports import EventStore, StoreUnavailable
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.latency import assert_answered_within, ping_until
from tests.adapters.test_replaying import told as line
from tests.eventstore.logs import stream
from tests.golden import GOLDEN, unpacked

TALK, OPEN = stream("talk"), OpenConversation()


async def dialects(reels: Reels, name: StreamName, at: int) -> list[DialectThen]:
    told = await reels.told(name, at)
    assert told is not None
    found = json.decode(told.dialects, type=list[DialectThen])
    assert told.frames == sum(len(each.frames) for each in found)
    return found


async def texts(reels: Reels, name: StreamName, at: int) -> list[str]:
    """What clients of the one dialect that is spoken there were sent."""
    (only,) = await dialects(reels, name, at)
    return [str(frame.text) for frame in only.frames]


async def talk(store: EventStore, *heard: str, name: StreamName = TALK) -> None:
    """A conversation one device listens to, and what it heard."""
    await put(store, name, ConversationOpened("playful", "daily", None, None, "api"), ClientJoined("b.1", 1))
    await hear(store, *heard, name=name)


async def hear(store: EventStore, *heard: str, name: StreamName = TALK) -> None:
    await put(store, name, *map(InterimHeard, heard))


async def put(store: EventStore, name: StreamName, *events: Any, command: Any = OPEN, **more: Any) -> None:
    known = await store.read_stream(name)
    stamp = Stamp("c", 1_700_000_000_000_000, origin="b.1", **more)
    await store.append(name, [Decision(stamp, command, events)], expected_version=len(known))


# --- what is told -------------------------------------------------------------------------------------------------


@pytest.fixture(params=GOLDEN, ids=lambda path: path.name)
def released(request: pytest.FixtureRequest, tmp_path: Path) -> StoreAddress:
    """The log of a release."""
    return StoreAddress(unpacked(request.param, tmp_path))


async def test_what_is_told_of_every_stream_of_a_release_is_what_a_replay_tells(released: StoreAddress) -> None:
    found = Counter[str]()
    async with open_history(released) as store:
        reels = Reels(store, DECIDERS)
        for name in sorted({record.stream for record in await store.read_all(limit=100_000)}):
            told, records = dict[str, list[str]](), await store.read_stream(name)
            for record in records:
                for each in await dialects(reels, name, record.version):
                    told.setdefault(each.dialect, []).extend(map(said, each.frames))
            refused = await refused_among(store, name, records)
            assert told == {dialect: replayed(records, dialect, store.epoch, refused) for dialect in told}
            found.update({dialect: len(frames) for dialect, frames in told.items()})
    assert set(+found) == {"channels", "conversations", "retell", "shipping", "streams"}


def replayed(records: list[Recorded], dialect: str, epoch: str, refused: Mapping[int, Any]) -> list[str]:
    """Nothing of what was copied from another stream, and of the event that says so: that nobody was sent here."""
    name = records[0].stream
    audience = Audience(name, DECIDERS[name.category], spoken(dialect, {}), epoch, refused)
    shown = [(record, list(audience.take(record))) for record in records]
    sent = [each for record, each in shown if not is_copy(record) and not isinstance(record.event, FORKED)]
    return [line(one) for each in sent for one in each]


def said(frame: FrameThen) -> str:
    if isinstance(frame.close, module.CloseThen):
        return f"{frame.to} closed {frame.close.code} {frame.close.reason}"
    return f"{frame.to} {frame.text}"


async def test_dialects_that_are_not_spoken_in_such_a_stream_are_left_out() -> None:
    store = MemoryStore()
    await talk(store, "hello")
    reels = Reels(store, DECIDERS)
    assert [(each.dialect, len(each.frames)) for each in await dialects(reels, TALK, 1)] == [("conversations", 0)]
    assert len(await texts(reels, TALK, 2)) == 2, "its greeting, and that it joined"
    assert '"hello"' in (await texts(reels, TALK, 3))[0]
    await put(store, StreamName("audit-x"), Accessed("search", {}, 0, 0))
    assert await dialects(reels, StreamName("audit-x"), 1) == []


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_who_was_refused_was_told_so(kind: str, tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "log.db") as file:
        store: EventStore = MemoryStore() if kind == "memory" else file
        await talk(store)
        refusal = CommandRejected("too_long", "No more than so much")
        await put(store, TALK, refusal, command=UpdateTranscript(interim="much"), command_id="c-9")
        (answer,) = await texts(Reels(store, DECIDERS), TALK, 3)
        assert "No more than so much" in answer
        assert "c-9" in answer


async def test_of_a_fork_nobody_was_sent_what_is_a_copy() -> None:
    store, fork = MemoryStore(), stream("fork")
    past = ConversationOpened("playful", "daily", None, None, "api"), ClientJoined("b.1", 1), InterimHeard("x")
    for version, event in enumerate(past, start=1):
        await put(store, fork, event, causation_id=f"{TALK}@{version}")
    await put(store, fork, ConversationForked(TALK, 3))
    await put(store, fork, ClientJoined("b.1", 1))
    await hear(store, "again", name=fork)
    reels = Reels(store, DECIDERS)
    assert [len(await texts(reels, fork, at)) for at in range(1, 7)] == [0, 0, 0, 0, 2, 1]


# --- what is kept -------------------------------------------------------------------------------------------------


class Counting(MemoryStore):
    """Counts what is read of streams. Whoever reads version `gives_up_at` is cancelled by its `scope`."""

    def __init__(self) -> None:
        super().__init__()
        self.read = self.gives_up_at = 0
        self.scope = trio.CancelScope()

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        records = await super().read_stream(stream, after=after, limit=limit)
        if any(record.version == self.gives_up_at for record in records):
            self.gives_up_at = 0
            self.scope.cancel()
            await trio.lowlevel.checkpoint()
        self.read += len(records)
        return records


async def test_the_next_step_reads_nothing_and_what_was_recorded_meanwhile_is_all_that_is_read() -> None:
    store = Counting()
    await talk(store, *(f"heard {n}" for n in range(3, 1001)))
    reels = Reels(store, DECIDERS)
    store.read = 0
    assert await reels.told(TALK, 500)
    assert store.read == 500 + module.AHEAD
    for at in (501, 499, 1, 500 + module.AHEAD):
        assert await reels.told(TALK, at)
    assert store.read == 500 + module.AHEAD
    assert await reels.told(TALK, 1000)
    assert await reels.told(TALK, 1001) is None
    await hear(store, "the newest")
    store.read = 0
    assert "the newest" in (await texts(reels, TALK, 1001))[0]
    assert store.read == 1


async def test_what_lies_too_far_back_to_be_kept_is_played_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_ONE", REEL_COST + 100_000)
    store = MemoryStore()
    await talk(store, *(f"heard {n}" for n in range(3, 1001)))
    reels = Reels(store, DECIDERS)
    for at in (1000, 3, 1000, 999, 500, 4):
        assert f'"heard {at}"' in (await texts(reels, TALK, at))[0]
        assert reels.kept <= REEL_COST + 100_000 + 1_000, "the last one played comes on top"


async def test_no_more_is_played_ahead_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_ONE", REEL_COST + 100_000)
    store, large = MemoryStore(), "long " * 2_000
    await talk(store, *(f"{large} {n}" for n in range(3, 301)))
    reels = Reels(store, DECIDERS)
    for at in (150, 151, 155, 170, 290):
        assert f' {at}"' in (await texts(reels, TALK, at))[0]
        assert REEL_COST < reels.kept <= REEL_COST + 100_000 + 5 * len(large)


async def test_what_is_larger_than_all_that_may_be_kept_is_told_and_not_kept() -> None:
    store = MemoryStore()
    await talk(store, "hello", "x" * 10_000)
    reels = Reels(store, DECIDERS, most_kept=REEL_COST + 10_000)
    for at in (3, 4, 3):
        assert len(await texts(reels, TALK, at)) == 1
        assert reels.kept == 0


async def test_a_stream_s_state_is_counted_too() -> None:
    store, name = MemoryStore(), stream("much")
    await put(store, name, ConversationOpened("playful", "x" * 100_000, None, None, "api"))
    await hear(store, *(f"heard {n}" for n in range(2, 1_001)), name=name)
    reels = Reels(store, DECIDERS)
    assert await reels.told(name, 3)
    assert reels.kept > REEL_COST + 2 * 100_000


async def test_all_streams_together_are_bounded() -> None:
    store = MemoryStore()
    reels = Reels(store, DECIDERS, most_kept=3 * REEL_COST)
    names = [stream(n) for n in range(5)]
    for name in names:
        await talk(store, "hello", name=name)
        assert await reels.told(name, 3)
        assert reels.kept <= 3 * REEL_COST
    assert "hello" in (await texts(reels, names[0], 3))[0]
    assert MOST_OF_ONE > REEL_COST


async def test_of_a_stream_that_is_not_there_nothing_is_kept() -> None:
    reels = Reels(MemoryStore(), DECIDERS)
    assert await reels.told(TALK, 1) is None
    assert reels.kept == 0


async def test_many_at_once_play_a_stream_once() -> None:
    store, found = Counting(), list[str]()
    await talk(store, *(f"heard {n}" for n in range(3, 501)))
    reels = Reels(store, DECIDERS)
    store.read = 0

    async def look(at: int) -> None:
        found.extend(await texts(reels, TALK, at))

    async with trio.open_nursery() as nursery:
        for at in (500, 3, 250, 500, 499):
            nursery.start_soon(look, at)
    assert len(found) == 5
    assert store.read == 498 + 2


# --- what is forgotten --------------------------------------------------------------------------------------------


class Erasing(MemoryStore):
    """Says something else from some time on, and may stop amid a reading, or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.is_erased = self.fails = False
        self.reading, self.go_on = trio.Event(), trio.Event()
        self.go_on.set()

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        if self.fails:
            raise StoreUnavailable("it is away")
        told, is_erased = await super().read_stream(stream, after=after, limit=limit), self.is_erased
        self.reading.set()
        await self.go_on.wait()
        return [_erased(record) if is_erased and isinstance(record.event, InterimHeard) else record for record in told]


def _erased(record: Recorded) -> Recorded:
    return Recorded(record.position, record.stream, record.version, InterimHeard("[erased]"), record.stamp)


@pytest.fixture
async def erasing() -> Erasing:
    store = Erasing()
    await talk(store, "secret", "words")
    store.reading = trio.Event()
    return store


async def test_what_was_forgotten_is_not_kept(erasing: Erasing) -> None:
    reels = Reels(erasing, DECIDERS)
    assert "secret" in (await texts(reels, TALK, 3))[0]
    erasing.is_erased = True
    reels.forget((stream("other"), TALK))
    assert reels.kept == 0
    assert "[erased]" in (await texts(reels, TALK, 3))[0]


async def test_what_is_forgotten_while_it_is_played_is_not_told(erasing: Erasing) -> None:
    reels, found = Reels(erasing, DECIDERS), list[str]()
    erasing.go_on = trio.Event()

    async def look(at: int) -> None:
        found.extend(await texts(reels, TALK, at))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look, 3)
        nursery.start_soon(look, 4)
        await erasing.reading.wait()
        erasing.is_erased = True
        reels.forget((TALK,))
        erasing.go_on.set()
    assert len(found) == 2
    assert all("[erased]" in text for text in found)


async def test_what_is_forgotten_while_it_is_played_is_not_told_where_there_is_no_room_either(erasing: Erasing) -> None:
    reels, found = Reels(erasing, DECIDERS, most_kept=0), list[str]()
    await talk(erasing, "other words", name=stream("other"))
    go_on, freely = trio.Event(), erasing.go_on
    erasing.reading, erasing.go_on = trio.Event(), go_on

    async def look() -> None:
        found.extend(await texts(reels, TALK, 3))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        await erasing.reading.wait()
        erasing.go_on = freely
        assert "other words" in (await texts(reels, stream("other"), 3))[0]
        erasing.is_erased = True
        reels.forget((TALK,))
        go_on.set()
    assert "[erased]" in found[0]


async def test_what_failed_is_played_anew(erasing: Erasing) -> None:
    reels = Reels(erasing, DECIDERS)
    erasing.fails = True
    with pytest.raises(StoreUnavailable):
        await reels.told(TALK, 3)
    erasing.fails = False
    assert "words" in (await texts(reels, TALK, 4))[0]


async def test_who_gives_up_leaves_what_was_played_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 10)
    store = Counting()
    await talk(store, *(f"heard {n}" for n in range(3, 101)))
    store.read, store.gives_up_at = 0, 50
    reels = Reels(store, DECIDERS)
    with trio.CancelScope() as store.scope:
        await reels.told(TALK, 100)
    assert store.scope.cancelled_caught
    assert store.read == 40
    assert "heard 100" in (await texts(reels, TALK, 100))[0]
    assert store.read == 100


async def test_who_plays_a_long_stream_lets_everybody_else_go_on(tmp_path: Path) -> None:
    answers, is_over = list[float](), trio.Event()
    async with open_sqlite(tmp_path / "log.db") as store:
        await talk(store, *(f"heard {n}" for n in range(3, 5001)))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(ping_until, is_over.is_set, trio.lowlevel.checkpoint, answers, 0.002))
            assert await Reels(store, DECIDERS).told(TALK, 5000)
            is_over.set()
    assert_answered_within(0.03, answers, standstill=0.5)
