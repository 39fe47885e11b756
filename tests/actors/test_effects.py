"""Effects: what runs is what is wanted, begun after it is durable, and whatever it does, it does once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from actors.backoff import Backoff
from actors.system import SystemSettings
from core.messages import Accepted, Outcome, Unavailable
from core.ports import StoreUnavailable
from eventstore.memory import MemoryStore
from tests.actors.toys import (
    OTHER,
    TALLY,
    Add,
    AddWithFuse,
    Askers,
    Boom,
    End,
    Ended,
    Finish,
    Fuse,
    Job,
    Start,
    TroubledStore,
    logged,
    running,
    settle_down,
    tell,
)

Tell = Callable[[Any], Awaitable[Outcome]]


async def for_ever(effect: Job, tell: Tell) -> None:
    await trio.sleep_forever()


async def nothing(effect: Job, tell: Tell) -> None:
    await trio.lowlevel.checkpoint()


class Performer:
    """Performs jobs as told: notes when each begins and is cancelled, and does `work` in between."""

    def __init__(self, work: Callable[[Job, Tell], Awaitable[object]] | None = None) -> None:
        self.begun: list[str] = []
        self.stopped: list[str] = []
        self.times: list[float] = []
        self._work = work or for_ever

    async def __call__(self, effect: Job, state: Any, tell: Tell) -> None:
        self.begun.append(effect.name)
        self.times.append(trio.current_time())
        try:
            await self._work(effect, tell)
        except trio.Cancelled:
            self.stopped.append(effect.name)
            raise


async def end(effect: Job, tell: Tell) -> None:
    await tell(End(effect.name, "done"))


async def ended(store: MemoryStore | TroubledStore) -> list[Ended]:
    return [event for event in await logged(store) if isinstance(event, Ended)]


async def test_an_effect_begins_only_when_what_wants_it_is_durable(autojump_clock: MockClock) -> None:
    store, performer = TroubledStore(), Performer()
    async with running(store, {Job: performer}) as system:
        store.hold_appends()
        Askers(system).post(TALLY, Start("a"))
        await settle_down()
        assert performer.begun == []
        store.release_appends()
        await settle_down()
        assert performer.begun == ["a"]


async def test_an_effect_begins_once_however_often_its_actor_writes(autojump_clock: MockClock) -> None:
    performer = Performer()
    async with running(MemoryStore(), {Job: performer}) as system:
        await tell(system, TALLY, Start("a"))
        for _ in range(5):
            await tell(system, TALLY, Add(1))
        await tell(system, TALLY, Start("b"))
        await settle_down()
        assert performer.begun == ["a", "b"]
        assert system.statistics().effects == 2


async def test_an_effect_is_cancelled_when_it_is_wanted_no_more_and_the_others_go_on(autojump_clock: MockClock) -> None:
    performer = Performer()
    async with running(MemoryStore(), {Job: performer}) as system:
        await tell(system, TALLY, Start("a"))
        await tell(system, TALLY, Start("b"))
        await settle_down()
        await tell(system, TALLY, End("a", "never mind"))
        await settle_down()
        assert performer.stopped == ["a"]
        assert system.statistics().effects == 1


async def test_an_effects_result_comes_back_as_a_command_of_the_record_that_wanted_it(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    async with running(store, {Job: Performer(end)}) as system:
        await system.ask(TALLY, Start("a"), system.stamp(correlation_id="corr", principal="ann"))
        await settle_down()
    wanting, result = await store.read_stream(TALLY)
    assert result.event == Ended("a", "done")
    assert (result.stamp.correlation_id, result.stamp.causation_id) == ("corr", wanting.id)
    assert result.stamp.command_id is not None
    assert result.stamp.client_command_id is None
    assert result.stamp.principal == "system"


async def test_effects_wanted_by_one_turn_are_each_caused_by_their_own_record(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, {Job: Performer(end)}) as system:
        for name, command in (("a", Start("a")), ("b", Start("b")), ("c", Add(1))):
            system.post(TALLY, command, system.stamp(correlation_id=name), lambda _: None)
        await settle_down()
    await check_causes(store)


async def test_effects_begun_again_are_each_caused_by_their_own_record(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, {Job: Performer()}) as system:
        for name, command in (("a", Start("a")), ("x", Add(1)), ("b", Start("b")), ("y", Add(1))):
            await system.ask(TALLY, command, system.stamp(correlation_id=name))
    performer = Performer(end)
    async with running(store, {Job: performer}, run=1):
        await settle_down()
    assert sorted(performer.begun) == ["a", "b"]
    await check_causes(store)


async def check_causes(store: MemoryStore) -> None:
    """Every result has the correlation of the command that started its job, and names the record that did."""
    records = await store.read_stream(TALLY)
    started = {
        record.event.job: record
        for record in records
        if hasattr(record.event, "job") and not hasattr(record.event, "how")
    }
    results = [record for record in records if isinstance(record.event, Ended)]
    assert sorted(record.event.job for record in results) == ["a", "b"]
    for record in results:
        assert record.stamp.correlation_id == record.event.job
        assert record.stamp.causation_id == started[record.event.job].id


async def test_a_job_wanted_again_is_caused_by_the_last_time(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, {Job: Performer()}) as system:
        for command in (Start("a"), End("a", "never mind"), Start("a"), Add(1)):
            await tell(system, TALLY, command)
    async with running(store, {Job: Performer(end)}, run=1):
        await settle_down()
    assert (await store.read_stream(TALLY))[-1].stamp.causation_id == f"{TALLY}@3"


async def test_an_effect_that_crashes_is_tried_again_later_and_later_and_then_given_up(
    autojump_clock: MockClock,
) -> None:
    async def crash(effect: Job, tell: Tell) -> None:
        raise Boom("no way")

    performer, backoff = Performer(crash), Backoff(lambda: 0.0, first=2.0)
    async with running(store := MemoryStore(), {Job: performer}, SystemSettings(backoff=backoff)) as system:
        await tell(system, TALLY, Start("a"))
        await settle_down()
        assert system.statistics().effects == 0
    first, second, third = performer.times
    assert (second - first, third - second) == pytest.approx((1.0, 2.0))
    assert await ended(store) == [Ended("a", "gave up: Boom: no way")]


async def test_an_effect_that_crashes_once_is_done_the_second_time(autojump_clock: MockClock) -> None:
    fuse = Fuse(1)

    async def work(effect: Job, tell: Tell) -> None:
        fuse.burn()
        await end(effect, tell)

    async with running(store := MemoryStore(), {Job: Performer(work)}) as system:
        await tell(system, TALLY, Start("a"))
        await settle_down()
    assert await ended(store) == [Ended("a", "done")]


async def test_an_effect_that_returns_without_a_result_is_tried_again_and_then_given_up(
    autojump_clock: MockClock,
) -> None:
    performer = Performer(nothing)
    async with running(store := MemoryStore(), {Job: performer}) as system:
        await tell(system, TALLY, Start("a"))
        await settle_down()
    assert performer.begun == ["a"] * 3
    assert [event.how for event in await ended(store)] == ["gave up: it ended without a result"]


async def test_an_effect_nobody_can_perform_is_given_up_and_the_system_lives_on(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore(), {}) as system:
        await tell(system, TALLY, Start("a"))
        await settle_down()
        assert isinstance(await tell(system, OTHER, Add(1)), Accepted)
    assert len(await ended(store)) == 1


async def test_an_effect_that_fails_while_it_is_cancelled_hurts_nobody(autojump_clock: MockClock) -> None:
    async def work(effect: Job, tell: Tell) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_on_the_way_out)
            await trio.sleep_forever()

    async def fail_on_the_way_out() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("the connection would not close")

    async with running(MemoryStore(), {Job: Performer(work)}) as system:
        await tell(system, TALLY, Start("a"))
        await settle_down()
        await tell(system, TALLY, End("a", "never mind"))
        await settle_down()
        assert isinstance(await tell(system, TALLY, Add(1)), Accepted)
        await tell(system, TALLY, Start("b"))
        await settle_down()


@pytest.mark.parametrize("trouble", ["before", "after"])
async def test_what_an_effect_tells_is_done_once_whatever_the_store_says(
    autojump_clock: MockClock, trouble: str
) -> None:
    store = TroubledStore()

    async def work(effect: Job, tell: Tell) -> None:
        faults = [StoreUnavailable("now")] * 3
        (store.before_append if trouble == "before" else store.after_append).extend(faults)
        outcomes.append(await tell(Add(1)))
        await end(effect, tell)

    outcomes = list[Outcome]()
    async with running(store, {Job: Performer(work)}) as system:
        await tell(system, TALLY, Start("a"))
        await settle_down()
        assert (await system.look(TALLY))[0].amounts == (1,)
    assert [type(outcome) for outcome in outcomes] == [Accepted]
    assert await ended(store) == [Ended("a", "done")]


async def test_an_effect_waits_for_room_in_a_full_mailbox(autojump_clock: MockClock) -> None:
    store, go = TroubledStore(), trio.Event()

    async def work(effect: Job, tell: Tell) -> None:
        await go.wait()
        await end(effect, tell)

    async with running(store, {Job: Performer(work)}, SystemSettings(mailbox=1)) as system:
        await tell(system, TALLY, Start("a"))
        store.hold_appends()
        askers = Askers(system)
        askers.post(TALLY, Add(1))
        await settle_down(1)
        askers.post(TALLY, Add(1))
        go.set()
        await settle_down(10)
        store.release_appends()
        await settle_down()
    assert await ended(store) == [Ended("a", "done")]


async def test_effects_go_on_while_their_actor_comes_back_from_a_crash(autojump_clock: MockClock) -> None:
    performer = Performer()
    async with running(MemoryStore(), {Job: performer}) as system:
        await tell(system, TALLY, Start("a"))
        await tell(system, TALLY, AddWithFuse(1, Fuse(2)))
        await settle_down()
        assert (performer.begun, performer.stopped) == (["a"], [])


async def test_an_effect_another_writer_made_unwanted_is_cancelled_at_recovery(autojump_clock: MockClock) -> None:
    store, performer = MemoryStore(), Performer()
    async with running(store, {Job: performer}) as system:
        await tell(system, TALLY, Start("a"))
        async with running(store, {Job: Performer()}, run=1) as elsewhere:
            await tell(elsewhere, TALLY, End("a", "never mind"))
        await tell(system, TALLY, End("a", "too late"))  # decided again, it leads to nothing
        await settle_down()
        assert performer.stopped == ["a"]


async def test_an_effect_made_unwanted_by_an_ambiguous_append_is_cancelled(autojump_clock: MockClock) -> None:
    store, performer = TroubledStore(), Performer()
    async with running(store, {Job: performer}) as system:
        await tell(system, TALLY, Start("a"))
        store.after_append.append(StoreUnavailable("no answer"))
        assert isinstance(await tell(system, TALLY, End("a", "never mind"), "id"), Unavailable)
        assert isinstance(await tell(system, TALLY, End("a", "never mind"), "id"), Accepted)
        await settle_down()
        assert performer.stopped == ["a"]


async def test_an_actor_with_effects_stays_awake_until_they_are_done(autojump_clock: MockClock) -> None:
    async def work(effect: Job, tell: Tell) -> None:
        await trio.sleep(500)
        await end(effect, tell)

    async with running(store := MemoryStore(), {Job: Performer(work)}, SystemSettings(passivate_after=10)) as system:
        await tell(system, TALLY, Start("a"))
        await settle_down(499)
        assert TALLY in system.directory
        await settle_down(60)
        assert TALLY not in system.directory
    assert await ended(store) == [Ended("a", "done")]


async def test_nothing_of_an_actor_that_ended_goes_on(autojump_clock: MockClock) -> None:
    performer = Performer()
    async with running(MemoryStore(), {Job: performer}) as system:
        for name in ("a", "b"):
            await tell(system, TALLY, Start(name))
        await tell(system, TALLY, Finish())
        await settle_down()
        assert TALLY not in system.directory
        assert sorted(performer.stopped) == ["a", "b"]


@pytest.mark.parametrize("gracefully", [False, True])
async def test_nothing_goes_on_after_the_system(autojump_clock: MockClock, gracefully: bool) -> None:
    performer = Performer()
    with trio.CancelScope() as scope:
        async with running(MemoryStore(), {Job: performer}) as system:
            await tell(system, TALLY, Start("a"))
            await settle_down()
            if not gracefully:
                scope.cancel()
    assert performer.stopped == ["a"]


async def test_no_effect_begins_while_the_system_is_leaving(autojump_clock: MockClock) -> None:
    store, performer = TroubledStore(), Performer()
    async with trio.open_nursery() as outside, running(store, {Job: performer}) as system:
        await tell(system, TALLY, Start("a"))
        await settle_down()
        store.hold_appends()
        askers = Askers(system)
        askers.post(TALLY, Add(1))
        await settle_down(1)
        for command in (Add(2), Start("b"), Add(3)):
            askers.post(TALLY, command)

        async def release() -> None:
            await trio.sleep(2)
            store.release_appends()

        outside.start_soon(release)
    assert {type(outcome) for outcome in askers.outcomes} == {Accepted}
    assert performer.begun == ["a"]
