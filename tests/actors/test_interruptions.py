"""Whatever happens at whichever await of an actor: every asker is answered once, and the answers are true.

An actor awaits in its mailbox and in its store. The store counts its awaits, so these tests can do one thing at each of
them, one run after the other: all there are, not a sample.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.system import System, SystemSettings
from core.messages import Accepted, Refused, Unavailable
from core.ports import StoreUnavailable
from eventstore.memory import MemoryStore
from tests.actors.toys import (
    OTHER,
    TALLY,
    Add,
    AddAtMost,
    Added,
    AddWithFuse,
    Askers,
    Boom,
    Fuse,
    RaiseTo,
    TroubledStore,
    logged,
    running,
    settle_down,
    tell,
)

MOST_POINTS = 40
"""More awaits than the scenario has."""


def post_everything(askers: Askers) -> None:
    """All kinds of letters; every one that adds adds an amount of its own, and has an id."""
    for stream in (TALLY, OTHER):
        for n, command in enumerate(
            (
                Add(1), Add(2), RaiseTo(0), AddAtMost(4, 2), AddWithFuse(8, Fuse(1)), RaiseTo(0), Add(16), Add(32),
                AddWithFuse(64, Fuse(1000)), Add(128),
            )
        ):  # fmt: skip
            askers.post(stream, command, f"{n}")
        askers.post(stream, Add(1), "0")


async def scenario(
    store: TroubledStore, act: Callable[[System, trio.CancelScope], None], at: int
) -> tuple[Askers, bool]:
    """Post everything, and `act` at the await number `at`; whether it came to that."""
    points = 0
    with trio.CancelScope() as scope:
        async with running(store) as system:

            def point() -> None:
                nonlocal points
                points += 1
                if points == at:
                    act(system, scope)

            store.at_each_point = point
            askers = Askers(system)
            post_everything(askers)
            await settle_down()
    return askers, points >= at


async def check(store: TroubledStore, askers: Askers) -> None:
    """Everybody was answered once; who was told yes is in the log, once; a retry of the others is done at most once."""
    assert askers.all_answered_once(), askers.told
    for stream in (TALLY, OTHER):
        amounts = [event.amount for event in await logged(store, stream) if isinstance(event, Added)]
        assert len(amounts) == len(set(amounts)), amounts
    for _, outcome in askers.told:
        assert isinstance(outcome, Accepted | Refused | Unavailable)
        records = () if isinstance(outcome, Unavailable) else outcome.records
        assert [store.inner.head >= record.position for record in records] == [True] * len(records)
    async with running(store.inner, run=1) as system:
        again = Askers(system)
        post_everything(again)
        await settle_down()
        for stream in (TALLY, OTHER):
            state, _ = await system.look(stream)
            assert sorted(amount for amount in state.amounts if amount) == [1, 2, 8, 16, 32, 128]
    for number, outcome in askers.told:
        if isinstance(outcome, Accepted) and outcome.records:
            assert again.outcome(number).records == outcome.records  # type: ignore[union-attr]


def cancel_all(system: System, scope: trio.CancelScope) -> None:
    scope.cancel()


@pytest.mark.parametrize("at", range(1, MOST_POINTS))
async def test_a_cancel_at_any_await_answers_everybody_once(autojump_clock: MockClock, at: int) -> None:
    store = TroubledStore()
    askers, _ = await scenario(store, cancel_all, at)
    store.at_each_point = lambda: None
    await check(store, askers)


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), Boom("no store should")])
@pytest.mark.parametrize("at", range(1, MOST_POINTS))
async def test_a_fault_of_the_store_at_any_await_answers_everybody_once(
    autojump_clock: MockClock, at: int, error: Exception
) -> None:
    store = TroubledStore()

    def fail(system: System, scope: trio.CancelScope) -> None:
        raise error

    askers, _ = await scenario(store, fail, at)
    store.at_each_point = lambda: None
    await check(store, askers)


async def test_the_scenario_has_fewer_awaits_than_are_tried(autojump_clock: MockClock) -> None:
    _, came_to_it = await scenario(TroubledStore(), cancel_all, MOST_POINTS)
    assert not came_to_it
    _, came_to_it = await scenario(TroubledStore(), cancel_all, MOST_POINTS // 2)
    assert came_to_it


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.booleans())
def test_a_stop_at_any_time_answers_everybody_once(random: Random, gracefully: bool) -> None:
    """As above, but with letters that keep coming, a store that is slow at random, and the stop at a random time."""

    async def main() -> None:
        store = SlowStore(random)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as outside, running(store, settings=SystemSettings(mailbox=5)) as system:
                askers = Askers(system)
                outside.start_soon(keep_posting, askers, random)
                await trio.sleep(random.random() * 3)
                if not gracefully:
                    scope.cancel()
        assert askers.all_answered_once()
        sure = [record for _, outcome in askers.told for record in getattr(outcome, "records", ())]
        log = await store.inner.read_all(limit=10_000)
        assert {record.position for record in sure} <= {record.position for record in log}
        assert len({record.position for record in sure}) == len(sure)

    trio.run(main, clock=MockClock(autojump_threshold=0))


class SlowStore(TroubledStore):
    """Takes its time."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random

    async def _point(self) -> None:
        await trio.sleep(self._random.choice((0.0, 0.01, 0.1)))


async def keep_posting(askers: Askers, random: Random) -> None:
    for n in range(60):
        crashes = random.choice((0, 0, 0, 0, 1, 1000))
        askers.post(random.choice((TALLY, OTHER)), AddWithFuse(n, Fuse(crashes)))
        await trio.sleep(random.choice((0, 0, 0.05, 0.2)))


async def test_a_letter_that_comes_after_the_stop_is_answered_at_once(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
    assert isinstance(await tell(system, TALLY, Add(1)), Unavailable)
    assert isinstance(await tell(system, OTHER, Add(1)), Unavailable)


async def test_leaving_finishes_what_is_in_the_mailboxes(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        askers = Askers(system)
        for n in range(200):
            askers.post(TALLY, Add(n))
            askers.post(OTHER, Add(n))
    assert askers.all_answered_once()
    assert {type(outcome) for outcome in askers.outcomes} == {Accepted}


async def test_leaving_waits_for_a_slow_store_but_takes_nothing_new(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with trio.open_nursery() as outside, running(store) as system:
        askers = Askers(system)
        store.hold_appends()
        askers.post(TALLY, Add(1))

        async def meanwhile() -> None:
            await trio.sleep(3)
            askers.post(TALLY, Add(2))
            store.release_appends()

        outside.start_soon(meanwhile)
    assert isinstance(askers.outcome(0), Accepted)
    assert isinstance(askers.outcome(1), Unavailable)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_wedged_store_does_not_keep_the_system_from_leaving(autojump_clock: MockClock, cancelled: bool) -> None:
    store = TroubledStore()
    with trio.CancelScope() as scope:
        async with running(store, settings=SystemSettings(graceful_timeout=7.0)) as system:
            askers = Askers(system)
            store.hold_appends()
            for n in range(5):
                askers.post(TALLY, Add(n))
                await settle_down(1)
            began = trio.current_time()
            if cancelled:
                scope.cancel()
    assert trio.current_time() - began <= 7.0
    assert askers.all_answered_once()
    assert {type(outcome) for outcome in askers.outcomes} == {Unavailable}


async def test_an_actor_that_pauses_after_a_crash_does_not_keep_the_system_from_leaving(
    autojump_clock: MockClock,
) -> None:
    async with running(MemoryStore(), settings=SystemSettings(graceful_timeout=0.01)) as system:
        askers = Askers(system)
        askers.post(TALLY, AddWithFuse(1, Fuse(1000)))
        await trio.sleep(0.01)
        began = trio.current_time()
    assert trio.current_time() - began <= 0.011
    assert isinstance(askers.outcome(0), Unavailable)
