"""One actor at work: durable before visible, first come first served, and the same answer for the same command id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from actors.system import System, SystemSettings
from core.decider import CommandRejected, Rejected
from core.messages import Accepted, Busy, Outcome, Refused, Unavailable
from core.ports import StoreUnavailable, WrongExpectedVersion
from eventstore.memory import MemoryStore
from tests.actors.toys import (
    OTHER,
    TALLY,
    Add,
    AddAtMost,
    Added,
    Askers,
    Command,
    End,
    Finish,
    Job,
    RaiseTo,
    Spoil,
    Start,
    Started,
    Tally,
    TroubledStore,
    events,
    logged,
    running,
    settle_down,
    tell,
)

TOO_MUCH = Rejected("too_much", "at most 1")


def accepted(outcome: Outcome) -> Accepted:
    assert isinstance(outcome, Accepted), outcome
    return outcome


def refused(outcome: Outcome) -> Refused:
    assert isinstance(outcome, Refused), outcome
    return outcome


# --- durable before visible ---------------------------------------------------------------------------------------


async def test_nobody_is_answered_before_the_append_is_durable(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        askers = Askers(system)
        store.hold_appends()
        askers.post(TALLY, Add(1))
        await settle_down(3600)
        assert askers.told == []
        store.release_appends()
        await settle_down()
        assert events(accepted(askers.outcome(0)).records) == [Added(1)]


async def test_a_look_waits_for_what_was_told_before_it(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        store.hold_appends()
        Askers(system).post(TALLY, Add(1))
        with trio.move_on_after(10) as looking:
            await system.look(TALLY)
        assert looking.cancelled_caught
        store.release_appends()
        assert await system.look(TALLY) == (Tally(1, (1,)), 1)


async def test_an_unborn_stream_is_looked_at_in_its_initial_state(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        assert await system.look(TALLY) == (Tally(), 0)


async def test_an_outcome_tells_the_records_the_state_and_the_version(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
        outcome = accepted(await tell(system, TALLY, Add(2), "id"))
    (record,) = outcome.records
    assert (record.stream, record.version, record.event, record.stamp.command_id) == (TALLY, 2, Added(2), "id")
    assert (outcome.state, outcome.version, outcome.repeated) == (Tally(3, (1, 2)), 2, False)


# --- order and turns ----------------------------------------------------------------------------------------------


async def test_letters_that_came_meanwhile_are_one_append_and_each_gets_its_own_outcome_in_order(
    autojump_clock: MockClock,
) -> None:
    store = TroubledStore()
    async with running(store) as system:
        askers = Askers(system)
        store.hold_appends()
        askers.post(TALLY, Add(1))
        await settle_down()
        for amount in (2, 3, 4):
            askers.post(TALLY, Add(amount))
        store.release_appends()
        await settle_down()
    assert [len(decisions) for decisions in store.appends] == [1, 3]
    assert askers.order == [0, 1, 2, 3]
    outcomes = [accepted(outcome) for outcome in askers.outcomes]
    assert [events(outcome.records) for outcome in outcomes] == [[Added(n)] for n in (1, 2, 3, 4)]
    assert [(outcome.state.total, outcome.version) for outcome in outcomes] == [(1, 1), (3, 2), (6, 3), (10, 4)]


async def test_a_turn_of_every_kind_of_outcome_is_answered_in_order(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        askers = Askers(system)
        await tell(system, TALLY, Add(1), "before")
        for command, command_id in (
            (RaiseTo(1), "nothing"), (Add(0), None), (AddAtMost(9, 1), None), (RaiseTo(1), None), (Add(7), "before"),
            (Add(0), "new"), (RaiseTo(1), "nothing again"), (Add(0), None),
        ):  # fmt: skip
            askers.post(TALLY, command, command_id)
        await settle_down()
    assert askers.order == list(range(8))
    kinds = [(type(outcome), bool(getattr(outcome, "records", ()))) for outcome in askers.outcomes]
    assert kinds == [
        (Accepted, False), (Accepted, True), (Refused, True), (Accepted, False), (Accepted, True),
        (Accepted, True), (Accepted, False), (Accepted, True),
    ]  # fmt: skip


async def test_nobody_overtakes_a_letter_that_led_to_nothing(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        askers = Askers(system)
        await tell(system, TALLY, Add(1), "before")
        for command, command_id in (
            (Add(0), None),
            (RaiseTo(1), "nothing"),
            (Add(2), None),
            (RaiseTo(1), "more nothing"),
        ):
            askers.post(TALLY, command, command_id)
        await settle_down()
    assert askers.order == [0, 1, 2, 3]
    assert [accepted(outcome).version for outcome in askers.outcomes] == [2, 2, 3, 3]


async def test_a_full_mailbox_answers_busy_at_once_and_the_others_are_served(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store, settings=SystemSettings(mailbox=2)) as system:
        askers = Askers(system)
        store.hold_appends()
        askers.post(TALLY, Add(1))
        await settle_down()
        for _ in range(3):
            askers.post(TALLY, Add(1))
        assert askers.told == [(3, Busy())]
        with pytest.raises(StoreUnavailable, match="full"):
            await system.look(TALLY)
        assert isinstance(await tell(system, OTHER, RaiseTo(0)), Accepted)
        store.release_appends()
        await settle_down()
        assert askers.all_answered_once()
        assert (await system.look(TALLY))[0].total == 3


async def test_more_letters_than_one_turn_takes_keep_their_order(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        askers = Askers(system)
        for amount in range(200):
            askers.post(TALLY, Add(amount))
        await settle_down()
    assert askers.order == list(range(200))
    assert await logged(store) == [Added(amount) for amount in range(200)]


# --- rejections ---------------------------------------------------------------------------------------------------


async def test_a_rejection_is_recorded_and_changes_nothing(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
        outcome = refused(await tell(system, TALLY, AddAtMost(1, 1)))
        assert await system.look(TALLY) == (Tally(1, (1,)), 2)
    assert outcome.rejection == TOO_MUCH
    assert events(outcome.records) == [CommandRejected("too_much", "at most 1")]
    assert await logged(store) == [Added(1), CommandRejected("too_much", "at most 1")]


async def test_a_rejection_on_an_unborn_stream_leaves_it_unborn(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        assert await tell(system, TALLY, AddAtMost(2, 1), "id") == Refused(TOO_MUCH)
    assert store.head == 0


# --- the same command again ---------------------------------------------------------------------------------------


Between = Callable[[System], Awaitable[None]]


async def soon(system: System) -> None:
    """Nothing happens in between."""


async def later(system: System) -> None:
    await tell(system, TALLY, Add(100))


async def after_passivation(system: System) -> None:
    await later(system)
    system.directory.passivate(idle_since=trio.current_time())
    assert TALLY not in system.directory


@pytest.mark.parametrize("between", [soon, later, after_passivation])
@pytest.mark.parametrize("command", [Add(1), RaiseTo(1)])
async def test_a_repeated_command_gets_its_first_outcome_and_changes_nothing(
    autojump_clock: MockClock, between: Between, command: Command
) -> None:
    async with running(MemoryStore()) as system:
        first = accepted(await tell(system, TALLY, command, "id"))
        await between(system)
        before = await system.look(TALLY)
        again = accepted(await tell(system, TALLY, command, "id"))
        assert await system.look(TALLY) == before
    assert again.records == first.records
    assert again.repeated
    assert not first.repeated
    assert (again.state, again.version) == before


@pytest.mark.parametrize("between", [soon, later, after_passivation])
async def test_a_repeated_command_that_was_rejected_is_rejected_as_it_was_then(
    autojump_clock: MockClock, between: Between
) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
        first = refused(await tell(system, TALLY, AddAtMost(1, 1), "id"))
        await between(system)
        again = refused(await tell(system, TALLY, AddAtMost(1, 1000), "id"))  # now it would be accepted
    assert (again.rejection, again.records, again.repeated) == (TOO_MUCH, first.records, True)


async def test_a_repeated_command_gets_its_first_outcome_after_a_restart_of_the_system(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    async with running(store) as system:
        first = accepted(await tell(system, TALLY, Add(1), "id"))
        rejection = refused(await tell(system, TALLY, AddAtMost(1, 1), "no"))
    async with running(store, run=1) as system:
        again = accepted(await tell(system, TALLY, Add(1), "id"))
        assert (again.records, again.repeated) == (first.records, True)
        assert refused(await tell(system, TALLY, Add(1), "no")).records == rejection.records
        assert await system.look(TALLY) == (Tally(1, (1,)), 2)


async def test_the_same_command_twice_in_one_turn_is_done_once_and_its_neighbours_are_untouched(
    autojump_clock: MockClock,
) -> None:
    async with running(store := MemoryStore()) as system:
        askers = Askers(system)
        for amount, command_id in ((1, "a"), (2, "b"), (2, "b"), (3, "c"), (1, "a"), (4, None)):
            askers.post(TALLY, Add(amount), command_id)
        await settle_down()
    assert await logged(store) == [Added(1), Added(2), Added(3), Added(4)]
    outcomes = [accepted(outcome) for outcome in askers.outcomes]
    assert askers.order == list(range(6))
    assert [outcome.repeated for outcome in outcomes] == [False, False, True, False, True, False]
    assert [events(outcome.records) for outcome in outcomes] == [[Added(n)] for n in (1, 2, 2, 3, 1, 4)]


async def test_commands_without_an_id_are_never_taken_for_repeated(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
        assert not accepted(await tell(system, TALLY, Add(1))).repeated
        assert not accepted(await tell(system, TALLY, RaiseTo(1))).records
    assert await logged(store) == [Added(1), Added(1)]


async def test_ids_of_one_stream_mean_nothing_on_another(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, Add(1), "id")
        assert not accepted(await tell(system, OTHER, Add(1), "id")).repeated


async def test_a_command_repeated_after_the_end_still_gets_its_first_outcome(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        first = accepted(await tell(system, TALLY, Add(1), "id"))
        await tell(system, TALLY, Finish())
        again = accepted(await tell(system, TALLY, Add(1), "id"))
    assert (again.records, again.repeated) == (first.records, True)


async def test_a_first_outcome_another_writer_recorded_comes_with_the_state_it_led_to(
    autojump_clock: MockClock,
) -> None:
    store = TroubledStore()
    async with running(store) as system, running(store.inner, run=1) as elsewhere:
        await tell(system, TALLY, Add(1))
        first = accepted(await tell(elsewhere, TALLY, Add(2), "id"))
        again = accepted(await tell(system, TALLY, Add(2), "id"))
    assert (again.records, again.repeated) == (first.records, True)
    assert (again.state, again.version) == (Tally(3, (1, 2)), 2)


# --- other writers, and a store in trouble ------------------------------------------------------------------------


async def test_after_somebody_else_wrote_the_command_is_decided_again_on_the_new_state(
    autojump_clock: MockClock,
) -> None:
    store = TroubledStore()
    async with running(store) as system, running(store.inner, run=1) as elsewhere:
        await tell(system, TALLY, Add(1))
        await tell(elsewhere, TALLY, Add(10))
        assert events(accepted(await tell(system, TALLY, RaiseTo(12))).records) == [Added(1)]
        assert await system.look(TALLY) == (Tally(12, (1, 10, 1)), 3)


async def test_somebody_who_always_writes_first_does_not_keep_askers_waiting_for_ever(
    autojump_clock: MockClock,
) -> None:
    store = TroubledStore()
    async with running(store) as system:
        store.before_append.extend([WrongExpectedVersion(TALLY, 0, 1)] * 8)
        assert isinstance(await tell(system, TALLY, Add(5)), Unavailable)
        assert events(accepted(await tell(system, TALLY, Add(5))).records) == [Added(5)]


async def test_an_append_that_fails_is_answered_unavailable_and_forgotten(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        await tell(system, TALLY, Add(1))
        store.before_append.append(StoreUnavailable("disk full"))
        assert await tell(system, TALLY, Add(2)) == Unavailable("disk full")
        assert await system.look(TALLY) == (Tally(1, (1,)), 1)
        assert accepted(await tell(system, TALLY, Add(3))).version == 2
    assert await logged(store) == [Added(1), Added(3)]


async def test_every_letter_of_a_turn_that_fails_is_answered_unavailable(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        askers = Askers(system)
        store.before_append.append(StoreUnavailable("disk full"))
        for amount in range(5):
            askers.post(TALLY, Add(amount))
        await settle_down()
    assert askers.told == [(n, Unavailable("disk full")) for n in range(5)]


async def test_a_log_that_cannot_be_read_is_answered_unavailable_until_it_can(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    store.unreadable = StoreUnavailable("locked")
    async with running(store) as system:
        assert await tell(system, TALLY, Add(1)) == Unavailable("locked")
        with pytest.raises(StoreUnavailable, match="locked"):
            await system.look(TALLY)
        store.unreadable = None
        assert accepted(await tell(system, TALLY, Add(1))).version == 1


async def test_after_an_ambiguous_append_the_actor_is_what_the_log_says(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        store.after_append.append(StoreUnavailable("no answer"))
        assert await tell(system, TALLY, Add(1)) == Unavailable("no answer")
        assert await system.look(TALLY) == (Tally(1, (1,)), 1)


@pytest.mark.parametrize("command", [Add(1), RaiseTo(1)])
async def test_a_retry_after_an_ambiguous_append_gets_the_first_outcome(autojump_clock: MockClock, command) -> None:  # type: ignore[no-untyped-def]
    store = TroubledStore()
    async with running(store) as system:
        store.after_append.append(StoreUnavailable("no answer"))
        await tell(system, TALLY, command, "id")
        again = accepted(await tell(system, TALLY, command, "id"))
    assert (events(again.records), again.repeated) == ([Added(1)], True)
    assert await logged(store) == [Added(1)]


async def test_a_durable_command_is_accepted_even_when_its_neighbours_history_cannot_be_read(
    autojump_clock: MockClock,
) -> None:
    store = TroubledStore()
    async with running(store) as system:
        askers = Askers(system)
        await tell(system, TALLY, Add(1))
        askers.post(TALLY, RaiseTo(1), "nothing")
        askers.post(TALLY, Add(2))
        store.unreadable = StoreUnavailable("locked")
        await settle_down(0)
        while len(askers.told) < 2:
            await settle_down(1)
    assert askers.outcome(0) == Unavailable("locked")
    assert events(accepted(askers.outcome(1)).records) == [Added(2)]


async def test_a_store_that_contradicts_itself_keeps_nobody_waiting(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        await tell(system, TALLY, Add(1), "id")
        forgetful = MemoryStore()
        store.read_outcome = forgetful.read_outcome  # type: ignore[method-assign]
        with trio.fail_after(60):
            assert isinstance(await tell(system, TALLY, Add(1), "id"), Unavailable)


# --- askers -------------------------------------------------------------------------------------------------------


async def test_an_asker_who_cannot_take_the_answer_hurts_nobody(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        askers = Askers(system)

        def cannot(outcome: Outcome) -> None:
            raise RuntimeError(outcome)

        askers.post(TALLY, Add(1))
        system.post(TALLY, Add(2), system.stamp(), cannot)
        askers.post(TALLY, Add(3))
        await settle_down()
        assert [type(outcome) for outcome in askers.outcomes] == [Accepted, Accepted]
        assert system.statistics().restarts == 0
    assert await logged(store) == [Added(1), Added(2), Added(3)]


async def test_an_asker_may_ask_again_out_of_its_answer(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        askers = Askers(system)

        def ask_again(outcome: Outcome) -> None:
            askers.post(TALLY, Add(2))

        system.post(TALLY, Add(1), system.stamp(), ask_again)
        await settle_down()
        assert askers.all_answered_once()
    assert await logged(store) == [Added(1), Added(2)]


async def test_an_asker_who_went_away_changes_nothing(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store) as system:
        store.hold_appends()
        with trio.move_on_after(1):
            await tell(system, TALLY, Add(1))
        store.release_appends()
        assert await system.look(TALLY) == (Tally(1, (1,)), 1)


async def test_work_wanted_by_an_ambiguous_append_is_begun_without_anybody_asking_again(
    autojump_clock: MockClock,
) -> None:
    store, begun = TroubledStore(), list[str]()

    async def perform(job, state, tell) -> None:  # type: ignore[no-untyped-def]
        begun.append(job.name)
        await tell(End(job.name, "done"))

    async with running(store, {Job: perform}) as system:
        store.after_append.append(StoreUnavailable("no answer"))
        assert isinstance(await tell(system, TALLY, Start("a")), Unavailable)
        await settle_down()
        assert begun == ["a"]
    assert (await logged(store))[0] == Started("a")


async def test_an_event_that_cannot_be_folded_never_becomes_durable(autojump_clock: MockClock) -> None:
    async with running(store := MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
        outcome = refused(await tell(system, TALLY, Spoil()))
        assert outcome.rejection.code == "poisoned"
        assert (await system.look(TALLY))[0].total == 1
    assert [type(event) for event in await logged(store)] == [Added, CommandRejected]
