"""The whole of it: work cut off is taken up again, real conversations get their answers, and the numbers are right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from actors.system import SystemSettings
from adapters.gateways.drafting import draft_reply
from core.conversation import (
    MAX_WAITING,
    ClientJoined,
    DraftReply,
    EndConversation,
    JoinClient,
    MessageSaid,
    OpenConversation,
    Phase,
    ReplyBegun,
    ReplyInterrupted,
    ReplyPieceAdded,
    RequestPhase,
    Role,
    Say,
)
from core.messages import Accepted, Recorded, Refused
from core.ports import Prompt, StoreUnavailable
from eventstore.memory import MemoryStore
from tests.actors.toys import (
    OTHER,
    TALK,
    TALLY,
    Add,
    Askers,
    End,
    Job,
    Start,
    TroubledStore,
    running,
    settle_down,
    tell,
)


class Speaker:
    """A language model that says one word a second, for ever where it has no last one."""

    name = "speaker"

    def __init__(self, *words: str, endless: bool = False) -> None:
        self.prompts: list[Prompt] = []
        self._words, self._endless = words, endless

    @asynccontextmanager
    async def draft(self, prompt: Prompt) -> AsyncIterator[AsyncIterator[str]]:
        self.prompts.append(prompt)
        yield self._pieces()

    async def _pieces(self) -> AsyncIterator[str]:
        for word in self._words:
            await trio.sleep(1)
            yield word
        if self._endless:
            await trio.sleep_forever()


def answering(speaker: Speaker) -> dict[type, object]:
    return {DraftReply: draft_reply(speaker, response_timeout=1000.0)}


def of(kind: type, records: list[Recorded]) -> list[Recorded]:
    return [record for record in records if isinstance(record.event, kind)]


async def test_a_message_gets_its_answer(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, answering(Speaker("Good ", "day"))) as system:  # type: ignore[arg-type]
        await tell(system, TALK, OpenConversation())
        await system.ask(TALK, Say("m1", "r1", "Hello"), system.stamp(correlation_id="corr"))
        await settle_down()
        state, _ = await system.look(TALK)
    assert (state.phase, state.replies, state.message_count) == (Phase.WAITING_FOR_USER, (), 2)
    records = await store.read_stream(TALK)
    assert records[-2].event == MessageSaid(
        "r1", Role.ASSISTANT, "Good day", in_reply_to="m1", feedback=records[-2].event.feedback
    )
    assert {record.stamp.correlation_id for record in records[1:]} == {"corr"}


async def test_an_answer_keeps_its_correlation_among_others_who_talk_in_the_same_turn(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    async with running(store, answering(Speaker("Hi"))) as system:  # type: ignore[arg-type]
        await tell(system, TALK, OpenConversation())
        for command, name in ((Say("m1", "r1", "Hello"), "sayer"), (JoinClient("boot.1"), "joiner")):
            system.post(TALK, command, system.stamp(correlation_id=name), lambda outcome: None)
        await settle_down()
    records = await store.read_stream(TALK)
    assert of(ClientJoined, records)[0].stamp.correlation_id == "joiner"
    assert {record.stamp.correlation_id for record in of(ReplyBegun, records)} == {"sayer"}


async def test_an_answer_cut_off_by_a_crash_is_given_by_the_next_run_as_its_second_attempt(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    with trio.CancelScope() as crash:
        async with running(store, answering(Speaker("Good ", endless=True))) as system:  # type: ignore[arg-type]
            await tell(system, TALK, OpenConversation())
            await system.ask(TALK, Say("m1", "r1", "Hello"), system.stamp(correlation_id="corr"))
            await settle_down(5)
            crash.cancel()
    assert of(ReplyPieceAdded, await store.read_stream(TALK))
    async with running(store, answering(Speaker("Good ", "evening")), run=1) as system:  # type: ignore[arg-type]
        await settle_down()  # nobody asks for anything
    records = await store.read_stream(TALK)
    assert [record.event.attempt for record in of(ReplyBegun, records)] == [1, 2]
    assert [record.event.content for record in of(MessageSaid, records)] == ["Hello", "Good evening"]
    assert {record.stamp.correlation_id for record in records[1:]} == {"corr"}


async def test_ending_a_conversation_stops_the_model_and_the_actor_leaves(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, answering(Speaker("Good ", endless=True))) as system:  # type: ignore[arg-type]
        await tell(system, TALK, OpenConversation())
        await tell(system, TALK, Say("m1", "r1", "Hello"))
        await settle_down(5)
        await tell(system, TALK, EndConversation())
        await settle_down(1)
        assert TALK not in system.directory
        assert system.statistics().effects == 0
    assert of(ReplyInterrupted, await store.read_stream(TALK))[0].event.text == "Good "


async def test_only_streams_with_work_outstanding_are_woken_at_the_start(autojump_clock: MockClock) -> None:
    async def perform(effect: Job, state: object, tell: object) -> None:
        await trio.sleep_forever()

    store = MemoryStore()
    async with running(store, {Job: perform}) as system:
        await tell(system, OTHER, Add(1))
        await tell(system, TALLY, Start("a"))
    async with running(store, {Job: perform}, run=1) as system:
        await settle_down(1)
        assert (TALLY in system.directory, OTHER in system.directory) == (True, False)


async def test_work_outstanding_is_taken_up_when_the_log_can_be_read_again(autojump_clock: MockClock) -> None:
    begun = list[str]()

    async def perform(effect: Job, state: object, tell: object) -> None:
        begun.append(effect.name)
        await trio.sleep_forever()

    store = TroubledStore()
    async with running(store, {Job: perform}) as system:
        for stream, name in ((TALLY, "a"), (OTHER, "b")):
            await tell(system, stream, Start(name))
    begun.clear()
    store.unreadable = StoreUnavailable("locked")
    async with running(store, {Job: perform}, SystemSettings(passivate_after=5), run=1):
        await settle_down(100)
        assert begun == []
        store.unreadable = None
        await settle_down(100)
    assert sorted(begun) == ["a", "b"]


async def test_what_is_recorded_while_a_system_starts_is_shown_once(autojump_clock: MockClock) -> None:
    shown = list[int]()
    store = MemoryStore()
    async with running(store) as system:
        with system.audiences.watch(TALLY) as coming:
            for n in range(50):
                await tell(system, TALLY, Add(n))
            while len(shown) < 50:
                shown.append((await coming.receive()).version)
            assert shown == list(range(1, 51))
            with pytest.raises(trio.WouldBlock):
                coming.receive_nowait()


async def test_the_statistics_say_what_is_going_on(autojump_clock: MockClock) -> None:
    async def perform(effect: Job, state: object, tell: object) -> None:
        await trio.sleep_forever()

    store = TroubledStore()
    async with running(store, {Job: perform}) as system:
        await tell(system, TALLY, Start("a"))
        await tell(system, OTHER, Add(1))
        await settle_down(1)
        calm = system.statistics()
        assert (calm.actors, calm.letters, calm.deepest_mailbox, calm.effects, calm.restarts) == (2, 0, 0, 1, 0)
        assert (calm.listeners, calm.head, calm.tail_lag, calm.board_lag) == (0, 2, 0, 0)
        store.hold_appends()
        askers = Askers(system)
        for stream in (TALLY, OTHER):
            askers.post(stream, Add(1))
        await settle_down(1)
        for stream in (TALLY, OTHER, OTHER):
            askers.post(stream, Add(1))
        assert (system.statistics().letters, system.statistics().deepest_mailbox) == (3, 2)
        store.release_appends()
        await settle_down(1)
        assert (system.statistics().head, system.statistics().tail_lag, system.statistics().board_lag) == (7, 0, 0)


async def test_connection_ids_are_never_used_twice_not_even_by_the_next_run(autojump_clock: MockClock) -> None:
    ids = list[str]()
    for run in (0, 1):
        async with running(MemoryStore(), run=run) as system:
            ids += [system.new_connection_id() for _ in range(3)]
            assert all(id.startswith(f"{system.boot}.") for id in ids[-3:])
    assert len(set(ids)) == 6


async def test_stamps_are_of_this_moment_and_have_a_correlation_of_their_own(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        first = system.stamp()
        await trio.sleep(2)
        second = system.stamp(command_id="id", principal="ann", origin="boot.1", correlation_id="corr")
    assert first.correlation_id
    assert second.time - first.time == 2_000_000
    assert (second.command_id, second.causation_id, second.principal) == ("id", None, "ann")
    assert (second.origin, second.correlation_id) == ("boot.1", "corr")


async def test_an_effects_job_goes_on_through_the_passivation_of_others(autojump_clock: MockClock) -> None:
    async def perform(effect: Job, state: object, tell) -> None:  # type: ignore[no-untyped-def]
        await trio.sleep(50)
        await tell(End(effect.name, "done"))

    async with running(MemoryStore(), {Job: perform}, SystemSettings(passivate_after=1)) as system:
        await tell(system, TALLY, Start("a"))
        for _ in range(20):
            assert isinstance(await tell(system, OTHER, Add(1)), Accepted)
            await settle_down(5)
        state, _ = await system.look(TALLY)
        assert [event.how for event in state.ended] == ["done"]


async def test_who_was_told_to_come_back_may_come_back_with_the_same_id(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALK, OpenConversation())
        for n in range(MAX_WAITING):
            await tell(system, TALK, Say(f"m{n}", f"r{n}", "hello"))
        refusal = await tell(system, TALK, Say("m", "r", "hello"), "again")
        assert isinstance(refusal, Refused)
        assert refusal.rejection.retry_after is not None
        await tell(system, TALK, RequestPhase(Phase.WAITING_FOR_USER))
        accepted = await tell(system, TALK, Say("m", "r", "hello"), "again")
        assert isinstance(accepted, Accepted)
        assert not accepted.repeated


async def test_who_repeats_what_was_done_is_not_told_to_come_back(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALK, OpenConversation())
        await tell(system, TALK, Say("m", "r", "hello"), "once")
        for n in range(MAX_WAITING - 1):
            await tell(system, TALK, Say(f"m{n}", f"r{n}", "hello"))
        repeated = await tell(system, TALK, Say("other", "other", "hello"), "once")
        assert isinstance(repeated, Accepted)
        assert repeated.repeated
