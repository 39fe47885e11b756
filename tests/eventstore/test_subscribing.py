"""The contract of every store: catch-up, then live."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import trio
import trio.testing

from core.messages import Recorded
from core.ports import EventStore, StoreUnavailable, WrongExpectedVersion
from eventstore.subscription import BATCH, KEPT, LogSubscription, Tail
from tests.eventstore.logs import PATIENCE, Follower, assert_sound, heard, said, say, stream, texts, whole

A, B = stream("a"), stream("b")


class Behind(Follower):
    """Takes one batch, then nothing until it is awake."""

    def __init__(self, store: EventStore, awake: trio.Event) -> None:
        super().__init__(store)
        self._awake = awake

    async def pause(self) -> None:
        await self._awake.wait()


async def fill(store: EventStore, count: int, *, at_a_time: int = 500) -> None:
    """So many events, few of them decided together."""
    for version in range(0, count, at_a_time):
        decision = said(*(f"{version + n}" for n in range(min(at_a_time, count - version))))
        await store.append(A, [decision], expected_version=version)


async def test_a_subscriber_catches_up_and_then_hears_what_comes(store: EventStore, nursery: trio.Nursery) -> None:
    await say(store, A, "one", "two")
    follower = Follower(store)
    nursery.start_soon(follower.run)
    assert texts(await follower.has(2)) == ["one", "two"]
    await say(store, B, "three")
    assert texts(await follower.has(3)) == ["one", "two", "three"]
    assert follower.records == await whole(store)


@pytest.mark.parametrize("after", range(4))
async def test_a_subscriber_hears_only_what_is_behind_its_position(store: EventStore, after: int) -> None:
    await say(store, A, "1", "2", "3")
    assert texts(await heard(store, 3 - after, after=after)) == ["1", "2", "3"][after:]


async def test_a_subscriber_of_the_future_waits_for_it(store: EventStore, nursery: trio.Nursery) -> None:
    follower = Follower(store, after=3)
    nursery.start_soon(follower.run)
    await fill(store, 5, at_a_time=1)
    assert texts(await follower.has(2)) == ["3", "4"]


async def test_nothing_is_given_twice_while_nothing_comes(store: EventStore, nursery: trio.Nursery) -> None:
    await say(store, A, "one")
    follower = Follower(store)
    nursery.start_soon(follower.run)
    await follower.has(1)
    with pytest.raises(WrongExpectedVersion):
        await store.append(A, [said("no")], expected_version=0)
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert texts(follower.records) == ["one"]


@pytest.mark.parametrize("seed", range(4))
async def test_followers_of_every_pace_get_the_log_while_many_append(
    store: EventStore, seed: int, nursery: trio.Nursery
) -> None:
    """They come at any time, from any position; some are slow, some look away."""
    rng = random.Random(seed)
    followers: list[tuple[int, Follower]] = []

    def follow() -> None:
        after = rng.randint(0, store.head)
        pace = rng.choice([0.0, 0.0, 0.002, 0.01])
        followers.append((after, Follower(store, after, lambda: rng.random() * pace)))
        nursery.start_soon(followers[-1][1].run)

    async def appender(n: int) -> None:
        for turn in range(20):
            with suppress(WrongExpectedVersion):
                await say(store, stream(n % 6), *(f"{n}.{turn}.{part}" for part in range(rng.randint(1, 4))))
            if rng.random() < 0.1:
                follow()

    follow()
    async with trio.open_nursery() as appenders:
        for n in range(10):
            appenders.start_soon(appender, n)
    log = await whole(store)
    assert_sound(log)
    for after, follower in followers:
        assert await follower.has(len(log) - after) == log[after:]


async def test_a_log_longer_than_its_tail_is_followed_from_any_place(store: EventStore) -> None:
    await fill(store, 2 * KEPT + 1500)
    log = await whole(store)
    for after in (0, 1, KEPT, len(log) - KEPT - 1, len(log) - KEPT, len(log) - KEPT + 1, len(log) - 1):
        assert await heard(store, len(log) - after, after=after) == log[after:]


async def test_a_follower_left_behind_by_more_than_the_tail_gets_everything(
    store: EventStore, nursery: trio.Nursery
) -> None:
    awake = trio.Event()
    behind = Behind(store, awake)
    await say(store, B, "first")
    nursery.start_soon(behind.run)
    await behind.has(1)
    await fill(store, 2 * KEPT + 700)
    awake.set()
    assert await behind.has(store.head) == await whole(store)
    assert max(behind.batches) <= BATCH


async def test_many_followers_each_get_everything(store: EventStore, nursery: trio.Nursery) -> None:
    followers = [Follower(store) for _ in range(50)]
    for follower in followers:
        nursery.start_soon(follower.run)
    await fill(store, 200, at_a_time=7)
    log = await whole(store)
    for follower in followers:
        assert await follower.has(200) == log


async def test_a_follower_cancelled_while_it_waits_takes_nothing_from_itself(store: EventStore) -> None:
    subscription = store.subscribe()
    for n in range(20):
        with trio.move_on_after(0.0005 * (n % 3)):
            await anext(aiter(subscription))
            continue
        await say(store, A, str(n))
    rest = await heard(store, store.head - subscription.position, after=subscription.position)
    assert texts(rest) == texts(await whole(store))[subscription.position :]


async def test_closing_ends_those_who_wait(store: EventStore) -> None:
    ended: list[int] = []

    async def follow(n: int) -> None:
        with pytest.raises(StoreUnavailable, match="the log is closed"):
            await Follower(store).run()
        ended.append(n)

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for n in range(3):
                nursery.start_soon(follow, n)
            await trio.testing.wait_all_tasks_blocked()
            store.close()  # type: ignore[attr-defined]  # not of the port: closing is for whoever opened the log
    assert sorted(ended) == [0, 1, 2]


async def test_a_follower_gets_the_last_events_of_a_log_that_closes(store: EventStore) -> None:
    await say(store, A, "one", "two")
    follower = Follower(store)
    store.close()  # type: ignore[attr-defined]  # not of the port: closing is for whoever opened the log
    with pytest.raises(StoreUnavailable, match="the log is closed"):
        await follower.run()
    assert texts(follower.records) == ["one", "two"]


# --- the tail alone ---------------------------------------------------------------------------------------------


def record(position: int) -> Recorded:
    return Recorded(position, A, position, None, said("-").stamp)


async def test_a_tail_that_missed_a_commit_sends_its_followers_to_the_log() -> None:
    tail = Tail(head=0)
    tail.extend([record(1)])
    tail.extend([record(3)])
    assert tail.after(0) is None
    assert tail.after(1) is None
    assert tail.after(2) == [record(3)]
    assert tail.after(3) == ()


async def test_a_tail_that_skipped_ahead_takes_late_commits_without_going_back() -> None:
    tail = Tail(head=0)
    tail.skip_to(3)
    tail.extend([record(2)])
    assert tail.head == 3
    tail.extend([record(3), record(4)])
    assert tail.head == 4
    assert tail.after(3) == [record(4)]
    tail.skip_to(2)
    assert tail.head == 4


@pytest.mark.parametrize("given", [[], [record(3)]])
async def test_a_log_that_has_less_than_it_said_is_a_fault_and_no_silent_gap(given: list[Recorded]) -> None:
    async def read(after: int, limit: int) -> list[Recorded]:
        return given

    subscription = LogSubscription(Tail(head=3), read, after=1)
    with pytest.raises(StoreUnavailable, match="gap behind position 1"):
        await anext(subscription)
