"""An actor whose past was forgotten knows of it no more, whatever it was doing when that happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.effects import Tell
from core.identifiers import StreamName
from core.messages import Accepted, Decision, Recorded, Unavailable
from core.ports import StoreUnavailable
from tests.actors.toys import (
    TALLY,
    Add,
    Added,
    Askers,
    Job,
    RaiseTo,
    Start,
    TroubledStore,
    logged,
    running,
    settle_down,
    tell,
)


class ForgetfulStore(TroubledStore):
    """Whose events can be forgotten: those read as 0 from then on, also by who began to read before.

    What was about to be appended is refused, as it may come of what is forgotten.
    """

    def __init__(self) -> None:
        super().__init__()
        self.forgotten = self.forgettings = 0

    def forget(self) -> None:
        self.forgotten, self.forgettings = self.head, self.forgettings + 1

    async def append(
        self, stream: StreamName, decisions: Sequence[Decision], *, expected_version: int
    ) -> tuple[Recorded, ...]:
        before = self.forgettings
        await self._point()
        await self._open.wait()
        if before != self.forgettings:
            raise StoreUnavailable("something was forgotten meanwhile")
        records = await self.inner.append(stream, decisions, expected_version=expected_version)
        await self._point()
        return records

    async def read_events(self, stream: StreamName, *, after: int = 0) -> list[Any]:
        forgotten = self.forgotten
        events = await super().read_events(stream, after=after)
        return [Added(0) if type(event) is Added and n < forgotten else event for n, event in enumerate(events)]


@pytest.mark.parametrize("point", range(1, 14))
async def test_forgotten_at_any_await_the_state_is_what_the_log_says_from_then_on(
    point: int, autojump_clock: MockClock
) -> None:
    store = ForgetfulStore()
    async with running(store) as system:
        await tell(system, TALLY, Add(100))
        system.directory.passivate(idle_since=trio.current_time())  # so that it has to recover
        await settle_down()
        askers, points = Askers(system), iter(range(1, 1000))

        def perhaps_forget() -> None:
            if next(points) == point:
                store.forget()
                for actor in system.directory.actors():
                    actor.start_over()

        store.at_each_point = perhaps_forget
        for command in (Add(1), RaiseTo(110), Add(2)):
            askers.post(TALLY, command)
            await settle_down()
        if store.forgettings:
            await settle_down()
            total = sum(event.amount for event in (await store.read_events(TALLY)))
            state, version = await system.look(TALLY)
            assert (state.total, version) == (total, store.head)
            assert state.total < 100 or state.amounts[0] == 0, "nothing is known of the hundred"
        assert sorted(number for number, _ in askers.told) == [0, 1, 2], "each is answered once"
        assert all(isinstance(outcome, Accepted | Unavailable) for _, outcome in askers.told)
    assert store.forgettings or point > 3, "there are as many points"


async def test_work_under_way_begins_anew_with_what_is_known_now(autojump_clock: MockClock) -> None:
    store, begun = ForgetfulStore(), list[int]()

    async def perform(effect: Job, state: Any, tell: Tell) -> None:  # how effects are performed
        begun.append(state.total)
        await trio.sleep_forever()

    async with running(store, {Job: perform}) as system:
        await tell(system, TALLY, Add(100))
        await tell(system, TALLY, Start("a"))
        await settle_down()
        store.forget()
        await system.start_over([TALLY])
        await settle_down()
        assert begun == [100, 0]


async def test_what_work_had_to_say_of_what_is_forgotten_is_not_taken(autojump_clock: MockClock) -> None:
    store, may_tell = ForgetfulStore(), trio.Event()

    async def perform(effect: Job, state: Any, tell: Tell) -> None:  # as above
        await may_tell.wait()
        if state.total:
            await tell(Add(state.total))
        await trio.sleep_forever()

    async with running(store, {Job: perform}) as system:
        await tell(system, TALLY, Add(100))
        await tell(system, TALLY, Start("a"))
        await settle_down()
        store.hold_appends()
        Askers(system).post(TALLY, Add(1))
        await settle_down()
        may_tell.set()
        await settle_down()
        assert system.statistics().letters == 1, "the effect's, behind what is being appended"
        store.forget()
        await system.start_over([TALLY])
        store.release_appends()
        await settle_down(1)
        assert [event for event in await logged(store) if isinstance(event, Added)] == [Added(100)]


async def test_whoever_sleeps_is_left_asleep(autojump_clock: MockClock) -> None:
    async with running(ForgetfulStore()) as system:
        await system.start_over([TALLY])
        assert len(system.directory) == 0


async def test_a_result_in_hand_while_its_actor_finds_its_place_is_not_taken_either(autojump_clock: MockClock) -> None:
    store, told = ForgetfulStore(), list[Any]()
    async with running(store) as system:
        await tell(system, TALLY, Add(100))
        system.directory.passivate(idle_since=trio.current_time())
        await settle_down()

        def forget() -> None:
            store.at_each_point = lambda: None
            store.forget()
            for actor in system.directory.actors():
                actor.start_over()

        store.at_each_point = forget
        for causation in (f"{TALLY}@1", None):
            stamp = replace(system.stamp(), causation_id=causation)
            system.post(TALLY, Add(100), stamp, told.append)
        await settle_down()
        assert [type(outcome) for outcome in told] == [Unavailable, Accepted]
        assert store.forgettings == 1
