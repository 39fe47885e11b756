"""What follows the log: no gap and no repeat through any trouble, and a board that starts from its checkpoint."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from actors.backoff import Backoff
from actors.projector import CHECKPOINT, CHECKPOINT_EVERY, BoardKeeper, follow
from core.conversation import OpenConversation
from core.identifiers import Category, StreamName
from core.messages import Decision, Recorded, Stamp
from core.ports import StoreUnavailable
from core.views import Board
from eventstore.memory import MemoryStore
from tests.actors.toys import DECIDERS, TALK, TALLY, Add, Added, Start, TroubledStore, running, settle_down, tell

SOON = Backoff(lambda: 0.0)


async def write(store: MemoryStore, amount: int = 1, stream: StreamName = TALLY) -> None:
    """One event more on a stream nobody decides."""
    version = len(await store.read_stream(stream))
    await store.append(stream, [Decision(Stamp("", 0), Add(1), (Added(1),) * amount)], expected_version=version)


class FlakyStore(TroubledStore):
    """Its first `failures` subscriptions end with an error, every other one after a batch if it `gives` any."""

    def __init__(self, inner: MemoryStore, failures: int, gives: bool = True) -> None:
        super().__init__(inner)
        self.failures, self.gives = failures, gives
        self.subscribed: list[tuple[float, int]] = []

    def subscribe(self, *, after: int = 0) -> FlakySubscription:
        self.subscribed.append((trio.current_time(), after))
        return FlakySubscription(self, after)


class FlakySubscription:
    def __init__(self, store: FlakyStore, after: int) -> None:
        self._store = store
        self._batches = store.inner.subscribe(after=after)
        self.position = after

    def __aiter__(self) -> AsyncIterator[Sequence[Recorded]]:
        return self._give()

    async def _give(self) -> AsyncIterator[Sequence[Recorded]]:
        while True:
            batch = (await anext(aiter(self._batches)))[:3]
            if self._store.failures:
                self._store.failures -= 1
                if self._store.gives and self._store.failures % 2:
                    yield batch
                raise StoreUnavailable("cannot be read now")
            yield batch
            self._batches = self._store.inner.subscribe(after=batch[-1].position)


async def test_following_has_no_gap_and_no_repeat_through_failures(autojump_clock: MockClock) -> None:
    store, taken = FlakyStore(MemoryStore(), failures=7), list[int]()
    await write(store.inner, 20)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, store, 4, lambda record: taken.append(record.position), SOON)
        await settle_down()
        await write(store.inner, 5)
        await settle_down()
        nursery.cancel_scope.cancel()
    assert taken == list(range(5, 26))
    assert store.failures == 0


async def test_a_log_that_cannot_be_followed_is_asked_less_and_less_often(autojump_clock: MockClock) -> None:
    store = FlakyStore(MemoryStore(), failures=1000, gives=False)
    await write(store.inner)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow, store, 0, print, Backoff(lambda: 0.0, first=2.0))
        await settle_down(8)
        nursery.cancel_scope.cancel()
    times = [time for time, _ in store.subscribed]
    assert [later - earlier for earlier, later in pairwise(times)] == pytest.approx([1, 2, 4])


async def test_the_board_is_level_after_waiting_for_it(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        for n in range(10):
            stream = StreamName.of(Category.CONVERSATION, f"{n}")
            await tell(system, stream, OpenConversation())
            await system.board_current()
            assert system.board.position == store.head
            assert system.board.conversation(stream) is not None


async def test_waiting_for_the_board_does_not_wait_for_what_comes_later(autojump_clock: MockClock) -> None:
    store = FlakyStore(MemoryStore(), failures=0)
    keeper = BoardKeeper(store, Board(DECIDERS), SOON)
    await write(store.inner, 3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.keep)
        with trio.fail_after(1):
            await keeper.current()
        nursery.cancel_scope.cancel()
    assert keeper.board.position == 3


async def test_a_board_goes_on_from_its_checkpoint_and_reads_only_what_came_after(autojump_clock: MockClock) -> None:
    store = FlakyStore(MemoryStore(), failures=0)
    async with running(store) as system:
        await tell(system, TALK, OpenConversation(topic="tea"))
    saved = await store.load_checkpoint(CHECKPOINT)
    assert saved is not None
    assert saved[0] == store.head == 1
    await write(store.inner, 2)
    store.subscribed.clear()
    async with running(store, run=1) as system:
        await system.board_current()
        row = system.board.conversation(TALK)
        assert row is not None
        assert (row.topic, system.board.position) == ("tea", 3)
    assert min(after for _, after in store.subscribed) == 1


async def test_a_checkpoint_of_a_longer_log_than_this_is_dropped(autojump_clock: MockClock) -> None:
    longer, shorter = MemoryStore(), MemoryStore()
    async with running(longer) as system:
        await tell(system, TALK, OpenConversation())
        await tell(system, TALLY, Start("a"))
    position, view = await longer.load_checkpoint(CHECKPOINT) or (0, b"")
    await shorter.save_checkpoint(CHECKPOINT, position, view)
    await write(shorter)
    async with running(shorter) as system:
        await system.board_current()
        assert (system.board.position, system.board.conversation(TALK)) == (1, None)


@pytest.mark.parametrize("view", [b"", b"{}", b"[]", b"\xff", b'{"position":1,"conversations":[],"outstanding":["?"]}'])
async def test_a_checkpoint_that_cannot_be_read_is_dropped(autojump_clock: MockClock, view: bytes) -> None:
    store = MemoryStore()
    async with running(store) as system:
        await tell(system, TALK, OpenConversation())
    await store.save_checkpoint(CHECKPOINT, 1, view)
    async with running(store, run=1) as system:
        await system.board_current()
        assert system.board.conversation(TALK) is not None


class CountingStore(TroubledStore):
    """Counts its checkpoints, and refuses the first `refusals`."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__()
        self.saved: list[int] = []
        self._refusals = refusals

    async def save_checkpoint(self, name: str, position: int, view: bytes) -> None:
        if self._refusals:
            self._refusals -= 1
            raise StoreUnavailable("disk full")
        self.saved.append(position)
        await super().save_checkpoint(name, position, view)


async def test_a_checkpoint_is_saved_now_and_then_and_at_the_end(autojump_clock: MockClock) -> None:
    store = CountingStore()
    async with running(store) as system:
        for _ in range(5):
            await write(store.inner, CHECKPOINT_EVERY // 2)
            await system.board_current()
            await settle_down(1)
        assert len(store.saved) == 2
        assert store.saved[0] >= CHECKPOINT_EVERY
    assert store.saved[-1] == store.head


async def test_a_checkpoint_that_cannot_be_saved_is_tried_again_later(autojump_clock: MockClock) -> None:
    store = CountingStore(refusals=1)
    async with running(store) as system:
        await write(store.inner, CHECKPOINT_EVERY)
        await system.board_current()
        await settle_down(1)
        assert store.saved == []
        await write(store.inner, CHECKPOINT_EVERY)
        await system.board_current()
        await settle_down(1)
        assert len(store.saved) == 1


async def test_a_board_that_has_not_moved_is_not_saved_again(autojump_clock: MockClock) -> None:
    store = CountingStore()
    async with running(store) as system:
        await tell(system, TALLY, Add(1))
    async with running(store, run=1) as system:
        await system.board_current()
    assert store.saved == [1]


async def test_a_system_that_is_cancelled_still_saves_its_board(autojump_clock: MockClock) -> None:
    store = CountingStore()
    with trio.CancelScope() as scope:
        async with running(store) as system:
            await tell(system, TALLY, Add(1))
            await system.board_current()
            scope.cancel()
    assert store.saved == [1]
