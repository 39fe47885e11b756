"""Waking up and going to sleep: no letter falls in between, and nothing remains of who went."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from random import Random

import trio
import trio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.system import SystemSettings
from core.identifiers import Category, StreamName
from core.messages import Accepted, Unavailable
from core.ports import StoreUnavailable
from eventstore.memory import MemoryStore
from tests.actors.toys import (
    OTHER,
    TALLY,
    Add,
    AddWithFuse,
    Askers,
    Finish,
    Fuse,
    TroubledStore,
    running,
    settle_down,
    tell,
)


async def test_an_actor_wakes_at_its_first_letter_and_recovers(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        await tell(system, TALLY, Add(1))
    async with running(store, run=1) as system:
        assert len(system.directory) == 0
        await tell(system, TALLY, Add(2))
        assert TALLY in system.directory
        assert (await system.look(TALLY))[0].total == 3


async def test_an_awake_actor_does_not_read_the_log_again(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        for _ in range(5):
            await tell(system, TALLY, Add(1))
    assert store.stream_reads == [TALLY]


async def test_who_had_nothing_to_do_for_long_goes_to_sleep_and_who_had_stays(autojump_clock: MockClock) -> None:
    async with running(MemoryStore(), settings=SystemSettings(passivate_after=100)) as system:
        await tell(system, TALLY, Add(1))
        for _ in range(10):
            await settle_down(20)
            await tell(system, OTHER, Add(1))
        assert TALLY not in system.directory
        assert OTHER in system.directory
        await settle_down(99)
        assert OTHER in system.directory
        await settle_down(30)
        assert OTHER not in system.directory


async def test_an_actor_at_work_is_not_put_to_sleep(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        store.hold_appends()
        askers = Askers(system)
        askers.post(TALLY, Add(1))
        system.directory.passivate(idle_since=trio.current_time())
        assert TALLY in system.directory
        await settle_down(1000)
        assert TALLY in system.directory
        store.release_appends()
        await settle_down(1)
    assert isinstance(askers.outcome(0), Accepted)


async def test_an_actor_with_letters_put_back_is_not_put_to_sleep(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        askers = Askers(system)
        askers.post(TALLY, AddWithFuse(1, Fuse(1)))
        await trio.sleep(0.01)
        system.directory.passivate(idle_since=trio.current_time())
        assert TALLY in system.directory
        await settle_down()
    assert isinstance(askers.outcome(0), Accepted)


async def test_an_actor_that_finds_its_place_again_is_not_put_to_sleep(autojump_clock: MockClock) -> None:
    store, awake = TroubledStore(), list[bool]()
    async with running(store) as system:
        store.after_append.append(StoreUnavailable("no answer"))
        assert isinstance(await tell(system, TALLY, Add(1)), Unavailable)

        def passivate() -> None:
            system.directory.passivate(idle_since=trio.current_time())
            awake.append(TALLY in system.directory)

        store.at_each_point = passivate
        await settle_down(1)
    assert awake == [True]


async def test_a_terminal_actor_leaves_at_once(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, Finish())
        await trio.lowlevel.checkpoint()
        assert TALLY not in system.directory


async def test_a_terminal_actor_answers_whoever_is_in_line_before_it_leaves(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        askers = Askers(system)
        store.hold_appends()
        askers.post(TALLY, Finish())
        await settle_down(1)
        for _ in range(100):
            askers.post(TALLY, Add(1))
        store.release_appends()
        await settle_down()
        assert askers.order == list(range(101))
        assert TALLY not in system.directory


async def test_a_letter_at_the_very_moment_of_going_wakes_the_next_one(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        askers = Askers(system)
        for n in range(20):
            askers.post(TALLY, Add(n))
            await settle_down(1)
            system.directory.passivate(idle_since=trio.current_time())
            assert TALLY not in system.directory
            # The sleeper's task has not even noticed yet.
            askers.post(TALLY, Add(100 + n))
            system.directory.passivate(idle_since=trio.current_time())
            await settle_down(1)
        assert askers.all_answered_once()
        assert (await system.look(TALLY))[1] == 40


@settings(max_examples=40)
@given(st.randoms(use_true_random=False))
def test_however_posting_and_passivating_interleave_no_letter_is_lost(random: Random) -> None:
    async def main() -> None:
        store = TroubledStore()
        async with running(store, settings=SystemSettings(passivate_after=1.0)) as system:
            store.at_each_point = lambda: system.directory.passivate(idle_since=trio.current_time())
            askers = Askers(system)

            async def post_some(stream: StreamName) -> None:
                for _ in range(10):
                    await trio.sleep(random.choice((0, 0, 0.25, 0.5, 1.0, 1.25)))
                    askers.post(stream, random.choice((Add(1), AddWithFuse(1, Fuse(1)))))
                    if random.random() < 0.3:
                        system.directory.passivate(idle_since=trio.current_time())

            async with trio.open_nursery() as nursery:
                for stream in (TALLY, OTHER, TALLY):
                    nursery.start_soon(post_some, stream)
            await settle_down()
            assert askers.all_answered_once()
            assert {type(outcome) for outcome in askers.outcomes} == {Accepted}
            store.at_each_point = lambda: None
            assert [(await system.look(stream))[0].total for stream in (TALLY, OTHER)] == [20, 10]

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_nothing_of_a_passivated_actor_remains(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
        state, _ = await system.look(TALLY)
        remains = weakref.ref(state)
        del state
        gc.collect()
        assert remains() is not None
        system.directory.passivate(idle_since=trio.current_time())
        await settle_down(1)
        gc.collect()
        assert remains() is None
        assert len(system.directory) == 0


async def test_restarts_are_counted_also_of_those_who_went(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, AddWithFuse(1, Fuse(2)))
        assert system.statistics().restarts == 2
        system.directory.passivate(idle_since=trio.current_time())
        await settle_down(1)
        assert system.statistics().restarts == 2


async def test_an_idle_actor_is_small_and_a_passivated_one_costs_nothing(autojump_clock: MockClock) -> None:
    """KiB an actor, of what Python itself allocates; the records stay in the memory store, so they are made first."""
    streams = [StreamName.of(Category.SESSION, f"{n}") for n in range(300)]
    store = MemoryStore()
    async with running(store) as system:
        for stream in streams:
            await tell(system, stream, Add(1))
        system.directory.passivate(idle_since=trio.current_time())
        await settle_down(1)
        tracemalloc.start()
        try:
            asleep, each = [measured()], 0.0
            for _ in range(3):
                for stream in streams:
                    await system.look(stream)
                await settle_down(1)
                assert len(system.directory) == len(streams)
                each = (measured() - asleep[-1]) / len(streams)
                system.directory.passivate(idle_since=trio.current_time())
                await settle_down(1)
                asleep.append(measured())
        finally:
            tracemalloc.stop()
    assert each < 10.0, each
    assert (asleep[-1] - asleep[1]) / len(streams) < 0.1, asleep  # the first time also fills caches
    print(f"an idle actor: {each:.1f} KiB")


def measured() -> float:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1024
