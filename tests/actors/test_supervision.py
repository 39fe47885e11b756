"""Crashes: the actor comes back from the log, later and later, and what crashes it again and again is set aside."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from actors.backoff import Backoff
from actors.system import SystemSettings
from core.decider import CommandRejected
from core.messages import Accepted, Refused, Unavailable
from eventstore.memory import MemoryStore
from tests.actors.toys import (
    OTHER,
    TALLY,
    Add,
    Added,
    AddWithFuse,
    Askers,
    Boom,
    Fuse,
    Spoil,
    Tally,
    TroubledStore,
    logged,
    running,
    settle_down,
    tell,
)


def draws(*numbers: float) -> Backoff:
    """Back-off whose jitter is these numbers, and then an error."""
    return Backoff(iter(numbers).__next__, first=1.0)


async def test_a_crash_is_tried_again_after_a_pause_that_doubles_with_jitter(autojump_clock: MockClock) -> None:
    async with running(MemoryStore(), settings=SystemSettings(backoff=draws(0.0, 0.5))) as system:
        outcome = await tell(system, TALLY, AddWithFuse(1, fuse := Fuse(2)))
    assert isinstance(outcome, Accepted)
    first, second, third = fuse.times
    assert (second - first, third - second) == pytest.approx((0.5, 1.5))


async def test_the_third_crash_poisons_the_command_and_is_recorded(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore(), settings=SystemSettings(backoff=draws(0.0, 0.0, 0.0))) as system:
        await tell(system, TALLY, Add(1))
        outcome = await tell(system, TALLY, AddWithFuse(1, fuse := Fuse(1000)), "bad")
        assert system.statistics().restarts == 3
    assert len(fuse.times) == 3
    assert isinstance(outcome, Refused)
    assert outcome.rejection.code == "poisoned"
    added, rejected = await logged(store)
    assert added == Added(1)
    assert rejected == CommandRejected("poisoned", outcome.rejection.message)


async def test_a_poisoned_command_stays_poisoned_when_it_is_sent_again(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store) as system:
        await tell(system, TALLY, Add(1))
        first = await tell(system, TALLY, AddWithFuse(1, Fuse(1000)), "bad")
        again = await tell(system, TALLY, AddWithFuse(1, Fuse(0)), "bad")
    assert isinstance(first, Refused)
    assert isinstance(again, Refused)
    assert (again.rejection, again.records, again.repeated) == (first.rejection, first.records, True)


async def test_the_letters_around_a_poisoned_one_go_on_in_order(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        askers = Askers(system)
        for command in (Add(1), Add(2), AddWithFuse(0, Fuse(1000)), Add(3), Add(4)):
            askers.post(TALLY, command)
        await settle_down()
    assert askers.order == [0, 1, 2, 3, 4]
    assert [type(outcome) for outcome in askers.outcomes] == [Accepted, Accepted, Refused, Accepted, Accepted]
    amounts = [event.amount for event in await logged(store) if isinstance(event, Added)]
    assert amounts == [1, 2, 3, 4]


async def test_two_commands_that_crash_are_each_counted_by_themselves(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        askers = Askers(system)
        await tell(system, TALLY, Add(1))
        for crashes in (2, 1000, 2, 1000):
            askers.post(TALLY, AddWithFuse(1, Fuse(crashes)))
        await settle_down()
    assert [type(outcome) for outcome in askers.outcomes] == [Accepted, Refused, Accepted, Refused]


async def test_letters_that_come_during_the_pause_keep_their_place(autojump_clock: MockClock) -> None:
    async with running(MemoryStore(), settings=SystemSettings(backoff=draws(0.0))) as system:
        askers = Askers(system)
        askers.post(TALLY, AddWithFuse(1, Fuse(1)))
        await settle_down(0.25)
        askers.post(TALLY, Add(2))
        await settle_down()
    assert askers.order == [0, 1]


async def test_a_crash_in_one_actor_is_nothing_to_another(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        askers = Askers(system)
        askers.post(TALLY, AddWithFuse(1, Fuse(1000)))
        askers.post(OTHER, Add(1))
        await settle_down(0.01)
        assert askers.order == [1]


async def test_a_command_that_crashes_the_fold_is_poisoned_too(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        askers = Askers(system)
        for command in (Add(1), Spoil(), Add(2)):
            askers.post(TALLY, command)
        await settle_down()
        assert await system.look(TALLY) == (Tally(3, (1, 2)), 3)
    assert [type(outcome) for outcome in askers.outcomes] == [Accepted, Refused, Accepted]
    assert [type(event) for event in await logged(store)] == [Added, CommandRejected, Added]


async def test_a_crash_amid_commands_that_repeat_others_loses_nobody(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        askers = Askers(system)
        await tell(system, TALLY, Add(1), "a")
        askers.post(TALLY, Add(1), "a")
        # Decided with the others first, then by itself: that second time it crashes.
        askers.post(TALLY, AddWithFuse(2, Fuse(1, after=1)), "b")
        askers.post(TALLY, Add(3), "c")
        await settle_down()
    assert askers.order == [0, 1, 2]
    assert [type(outcome) for outcome in askers.outcomes] == [Accepted] * 3
    assert await logged(store) == [Added(1), Added(2), Added(3)]


async def test_a_store_that_crashes_answers_the_turn_and_the_actor_comes_back(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        askers = Askers(system)
        store.before_append.append(Boom("no store should"))
        askers.post(TALLY, Add(1))
        askers.post(TALLY, Add(2))
        await settle_down()
        assert [type(outcome) for outcome in askers.outcomes] == [Unavailable, Unavailable]
        assert isinstance(await tell(system, TALLY, Add(3)), Accepted)
        assert system.statistics().restarts == 1
    assert await logged(store) == [Added(3)]


async def test_a_success_makes_the_next_pause_short_again(autojump_clock: MockClock) -> None:
    async with running(MemoryStore(), settings=SystemSettings(backoff=draws(0.0, 0.0, 0.0))) as system:
        await tell(system, TALLY, AddWithFuse(1, Fuse(2)))
        await tell(system, TALLY, AddWithFuse(1, fuse := Fuse(1)))
    assert fuse.times[1] - fuse.times[0] == pytest.approx(0.5)


@pytest.mark.parametrize(("failures", "least", "most"), [(1, 0.05, 0.1), (2, 0.1, 0.2), (5, 0.8, 1.6), (9999, 5, 10)])
def test_a_pause_lies_between_half_and_the_whole_of_a_capped_power(failures: int, least: float, most: float) -> None:
    assert Backoff(lambda: 0.0).delay(failures) == pytest.approx(least)
    assert Backoff(lambda: 0.999999).delay(failures) == pytest.approx(most, rel=1e-3)
