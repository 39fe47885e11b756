"""Forks of real pasts, from a model that is scripted: copied, gone on with, held against the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.system import System, SystemSettings, open_system
from adapters.checking import Checked, check
from adapters.clock import TimeOrderedIdentifiers
from adapters.continuing import Step, continue_once
from adapters.forking import Changes, Fork, NameTaken, NoSuchPast, NotForked, fork, fork_live, new_name
from adapters.gateways.assistant import assistant_performers
from adapters.gateways.call_tools import call_tools
from adapters.gateways.calls import call_performers
from adapters.gateways.model_choice import none_other
from adapters.gateways.offline_partner import ScriptedModel
from adapters.gateways.scripted_forecast import ScriptedForecast
from adapters.thread_updates import ThreadUpdates
from core import call as calls
from core.call import CallForked, ConnectSocket, DisconnectSocket, RequireResponse, Speaker, Utterance, call
from core.channel import channel
from core.channel import stream_of as channel_named
from core.conversation import (
    Ask,
    ConversationForked,
    EndConversation,
    JoinClient,
    MessageSaid,
    OpenConversation,
    ReplyBegun,
    Say,
    conversation,
)
from core.identifiers import Category, StreamName
from core.lineage import is_copy
from core.messages import Accepted, Stamp
from core.ports import EventStore, LanguageModel, StoreUnavailable
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.actors.toys import TrioClock

DECIDERS: Any = {Category.CONVERSATION: conversation, Category.CALL: call, Category.CHANNEL: channel}
SOURCE, TARGET = StreamName("conversation-a"), StreamName("conversation-b")
STAMP = Stamp("forking", 77, principal="ann")


@asynccontextmanager
async def running(store: EventStore, *models: ScriptedModel, resumes: bool = True) -> AsyncIterator[System]:
    """With the first model as the server's; the others are to be had by name."""
    others: dict[str, LanguageModel] = {model.name: model for model in models}

    def named(name: str) -> LanguageModel:
        return others.get(name) or none_other(name)

    clock, boots = TrioClock(), list[System]()
    performers = {
        **assistant_performers(models[0], ScriptedForecast(), named=named, delta_interval=0.0),
        **call_performers(
            models[0], call_tools(), boot=lambda: boots[0].boot, clock=clock, named=named, delta_interval=0.0
        ),
    }
    settings = SystemSettings(resumes=resumes)
    async with open_system(
        store, deciders=DECIDERS, performers=performers, clock=clock, identifiers=TimeOrderedIdentifiers(),
        settings=settings,
    ) as system:  # fmt: skip
        boots.append(system)
        yield system


async def tell(system: System, stream: StreamName, *commands: Any) -> None:
    """Each when the answer to the one before is there."""
    for command in commands:
        stamp = system.stamp(command_id=system.identifiers.new(), principal="user")
        outcome = await system.ask(stream, command, stamp)
        assert isinstance(outcome, Accepted)
        await until_quiet(system, stream)


async def until_quiet(system: System, stream: StreamName) -> Any:
    with trio.fail_after(60), system.audiences.watch(stream) as coming:
        while True:
            state, _ = await system.look(stream)
            if not getattr(state, "replies", ()) and getattr(state, "response", None) is None:
                return state
            await coming.receive()


def says(*texts: str) -> list[Say]:
    return [Say(f"m{text}", f"r{text}", text) for text in texts]


async def words(store: EventStore, stream: StreamName) -> list[str]:
    events = await store.read_events(stream)
    return [event.content for event in events if isinstance(event, MessageSaid)]


def answering(name: str, *answers: str) -> ScriptedModel:
    return ScriptedModel(*([answer] for answer in answers), name=name)


async def copies_and_originals(store: EventStore, made: Fork) -> None:
    """The past of a fork is its source's: events, times, principals; and what each was copied from is its cause."""
    old = (await store.read_stream(made.source))[: made.version]
    new = await store.read_stream(made.stream)
    commands = await store.read_commands(made.source)
    first = 0
    for one, other in zip(old, new[: made.version], strict=True):
        first = one.version if one.version in commands else first
        assert (one.event, one.version) == (other.event, other.version)
        was, now = one.stamp, other.stamp
        assert (was.time, was.principal, was.correlation_id, was.origin) == (
            now.time, now.principal, now.correlation_id, now.origin,
        )  # fmt: skip
        assert (now.command_id, now.causation_id) == (None, f"{made.source}@{first}")
        assert is_copy(other)
    lineage = new[made.version]
    assert isinstance(lineage.event, ConversationForked | CallForked)
    assert (lineage.event.source, lineage.event.version) == (made.source, made.version)
    assert (lineage.stamp.principal, lineage.stamp.time) == ("ann", 77)
    assert not is_copy(lineage)


async def assert_checked(path: Path, streams: int) -> None:
    checked: Checked = await trio.to_thread.run_sync(lambda: check(path, lambda _: None, processes=1))
    assert checked.findings == ()
    assert checked.streams == streams


async def test_a_fork_is_the_past_and_its_lineage_and_passes_the_gate(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with open_sqlite(path) as store, running(store, answering("m", "One.", "Two.")) as system:
        await tell(system, SOURCE, OpenConversation(), JoinClient("x.1"), *says("a", "b"))
        refused = await system.ask(SOURCE, OpenConversation(), system.stamp())
        assert not isinstance(refused, Accepted)
        made = await fork(store, SOURCE, TARGET, STAMP)
        assert made == Fork(TARGET, SOURCE, len(await store.read_stream(SOURCE)), Changes())
        await copies_and_originals(store, made)
        fork_of_fork = await fork(store, TARGET, StreamName("conversation-c"), STAMP, changes=Changes("n"))
        await copies_and_originals(store, fork_of_fork)
        await assert_checked(path, 3)
        old, _ = await system.look(SOURCE)
        new, _ = await system.look(TARGET)
        assert (new.said, new.clients, old.clients) == (old.said, (), ("x.1",))


async def test_a_version_amid_a_decision_counts_as_its_end(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, answering("m", "One.")) as system:
        await tell(system, SOURCE, OpenConversation(), *says("a"))
    ends = {version - 1 for version in await store.read_commands(SOURCE)} | {len(await store.read_stream(SOURCE))}
    for at in range(1, max(ends) + 1):
        made = await fork(store, SOURCE, StreamName(f"conversation-at{at}"), STAMP, at=at)
        assert made.version == min(end for end in ends if end >= at)
        await copies_and_originals(store, made)


async def test_an_answer_that_waits_in_the_past_is_given_by_the_forks_model_with_the_forks_prompt(
    autojump_clock: MockClock,
) -> None:
    store, own, other = MemoryStore(), answering("m", "One."), answering("poet", "Roses are red.", "Violets are blue.")
    async with running(store, own, other) as system:
        await tell(system, SOURCE, OpenConversation(topic="the sea"), *says("a"))
        asked = 1 + next(r.version for r in await store.read_stream(SOURCE) if isinstance(r.event, MessageSaid))
        changes = Changes("poet", "Answer in rhymes.", topic="flowers")
        await fork_live(system, SOURCE, TARGET, STAMP, at=asked, changes=changes)
        await until_quiet(system, TARGET)
        await tell(system, TARGET, *says("b"))
        assert await words(store, TARGET) == ["a", "Roses are red.", "b", "Violets are blue."]
        assert {(prompt.instructions, prompt.topic) for prompt in other.prompts} == {("Answer in rhymes.", "flowers")}
        assert await words(store, SOURCE) == ["a", "One."]
        assert [prompt.instructions for prompt in own.prompts] == [None]
        assert "poet" in [event.model for event in await store.read_events(TARGET) if isinstance(event, ReplyBegun)]


async def test_a_model_that_is_not_to_be_had_fails_by_name(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, answering("m", "One.")) as system:
        await tell(system, SOURCE, OpenConversation(), *says("a"))
        await fork_live(system, SOURCE, TARGET, STAMP, at=1, changes=Changes("nobody"))
        step = await continue_once(system, TARGET, system.stamp())
        assert step == Step("a", None, "this server has no language model 'nobody'", 0)


async def test_what_was_said_later_is_said_to_the_fork_in_order_each_after_its_answer(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    poet = answering("poet", "Red.", "Blue.", "Green.")
    async with open_sqlite(path) as store, running(store, answering("m", "One.", "Two.", "Three."), poet) as system:
        await tell(system, SOURCE, OpenConversation(), *says("a", "b", "c"), EndConversation())
        await fork_live(system, SOURCE, TARGET, STAMP, at=3, changes=Changes("poet"))
        steps = [await continue_once(system, TARGET, system.stamp(command_id=f"key {n}")) for n in range(2)]
        assert steps == [Step("b", "Blue.", None, 1), Step("c", "Green.", None, 0)]
        assert await words(store, TARGET) == ["a", "Red.", "b", "Blue.", "c", "Green."]
        assert await continue_once(system, TARGET, system.stamp(command_id="key 0")) == Step("b", "Blue.", None, 0)
        assert await continue_once(system, TARGET, system.stamp()) == Step()
        assert await words(store, SOURCE) == ["a", "One.", "b", "Two.", "c", "Three."]
        causes = [r.stamp.causation_id for r in await store.read_stream(TARGET, after=4) if _is_users(r.event)]
        originals = [r.id for r in await store.read_stream(SOURCE, after=4) if _is_users(r.event)]
        assert causes == originals != []
        await assert_checked(path, 2)


def _is_users(event: Any) -> bool:
    return isinstance(event, MessageSaid) and event.reply_id is not None


async def test_two_who_continue_a_fork_say_nothing_twice(autojump_clock: MockClock) -> None:
    store, steps = MemoryStore(), list[Step]()
    async with running(store, answering("m", "One.")) as system, trio.open_nursery() as nursery:
        await tell(system, SOURCE, OpenConversation(), *says("a", "b"))
        await fork_live(system, SOURCE, TARGET, STAMP, at=1)

        async def go_on() -> None:
            steps.append(await continue_once(system, TARGET, system.stamp()))

        for _ in range(2):
            nursery.start_soon(go_on)
        await until_quiet(system, TARGET)
    assert [step.said for step in steps] == ["a", "a"]
    assert await words(store, TARGET) == ["a", "One."]


async def test_a_fork_of_a_channels_thread_publishes_nothing_and_looks_things_up(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, answering("m", "One.")) as system, trio.open_nursery() as nursery:
        nursery.start_soon(ThreadUpdates(system, SystemSettings().backoff).run)
        await tell(system, SOURCE, Ask("news", "m1", "r1", "a"))
        await trio.sleep(1)
        published = len(await store.read_stream(channel_named("news")))
        assert published
        await fork_live(system, SOURCE, TARGET, STAMP)
        await tell(system, TARGET, *says("b"))
        await trio.sleep(1)
        assert len(await store.read_stream(channel_named("news"))) == published
        assert (await system.look(TARGET))[0].uses_tools
        await tell(system, TARGET, Ask("news", "m2", "r2", "c"))  # from here on it is shown
        await trio.sleep(1)
        assert len(await store.read_stream(channel_named("news"))) > published
        nursery.cancel_scope.cancel()


async def test_what_was_published_when_it_happened_is_not_published_of_the_copy(autojump_clock: MockClock) -> None:
    """Also where the fork is asked on the channel before anybody has looked at what was copied."""
    store = MemoryStore()
    async with running(store, answering("m", "One.")) as system, trio.open_nursery() as nursery:
        await tell(system, SOURCE, Ask("news", "m1", "r1", "a"))
        updates = ThreadUpdates(system, SystemSettings().backoff)
        made = await fork_live(system, SOURCE, TARGET, STAMP)
        await tell(system, TARGET, Ask("news", "m2", "r2", "b"))
        nursery.start_soon(updates.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    causes = {record.stamp.causation_id for record in await store.read_stream(channel_named("news"))}
    assert causes
    assert not causes & {f"{TARGET}@{version}" for version in range(made.version + 1)}


async def test_who_looked_for_the_fork_before_there_was_one_finds_it(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, answering("m", "One.")) as system:
        await tell(system, SOURCE, OpenConversation())
        assert (await system.look(TARGET))[0].phase is None
        await fork_live(system, SOURCE, TARGET, STAMP)
        assert (await system.look(TARGET))[0].phase is not None


async def test_who_forks_puts_no_other_actor_to_sleep(autojump_clock: MockClock) -> None:
    other = StreamName("conversation-c")
    async with running(MemoryStore(), answering("m", "One.")) as system:
        await tell(system, SOURCE, OpenConversation())
        await system.look(other)
        await system.look(TARGET)
        await trio.sleep(1)
        await fork_live(system, SOURCE, TARGET, STAMP)
        assert {SOURCE, TARGET, other} == {actor.stream for actor in system.directory.actors()}


# --- calls ------------------------------------------------------------------------------------------------------

CALLER, COPY = StreamName("call-a"), StreamName("call-b")


def spoken(*texts: str) -> tuple[Utterance, ...]:
    """The caller first, then in turns."""
    return tuple(Utterance((Speaker.USER, Speaker.AGENT)[n % 2], text) for n, text in enumerate(texts))


async def called(system: System) -> None:
    """The caller says "Hi" and is interrupted by himself: "Hi there", "Weather?"; "Bye" is the last thing."""
    await tell(
        system, CALLER, ConnectSocket(f"{system.boot}.0", 0), RequireResponse(1, spoken("Hi")),
        RequireResponse(2, spoken("Hi", "One.", "Weather?")),
        RequireResponse(3, spoken("Hi", "One.", "Weather?", "Two.", "Bye")),
    )  # fmt: skip


async def test_a_call_is_forked_without_its_socket_and_said_to_again(tmp_path: Path) -> None:
    path, poet = tmp_path / "log.db", answering("poet", "Red.", "Blue.")
    async with open_sqlite(path) as store, running(store, answering("m", "One.", "Two.", "Three."), poet) as system:
        await called(system)
        first = next(r.version for r in await store.read_stream(CALLER) if isinstance(r.event, calls.ResponseCompleted))
        made = await fork_live(system, CALLER, COPY, STAMP, at=first, changes=Changes("poet", "Rhyme."))
        await copies_and_originals(store, made)
        state, _ = await system.look(COPY)
        assert (state.socket, (await system.look(CALLER))[0].socket) == (None, f"{system.boot}.0")
        steps = [await continue_once(system, COPY, system.stamp(command_id=f"{n}")) for n in range(2)]
        assert steps == [Step("Weather?", "Red.", None, 1), Step("Bye", "Blue.", None, 0)]
        assert await continue_once(system, COPY, system.stamp(command_id="0")) == Step("Weather?", "Red.", None, 0)
        assert [turn.content for turn in poet.prompts[-1].turns] == ["Hi", "Weather?", "Red.", "Bye"]
        assert {prompt.instructions for prompt in poet.prompts} == {"Rhyme."}
        assert (await system.look(COPY))[0].socket is None
        await assert_checked(path, 2)


async def test_a_call_with_a_caller_is_not_talked_into(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, answering("m", "One.")) as system:
        await called(system)
        await fork_live(system, CALLER, COPY, STAMP, at=1)
        connected = ConnectSocket(f"{system.boot}.9", 0)
        await system.ask(COPY, connected, system.stamp())
        with pytest.raises(NotForked, match="has a caller"):
            await continue_once(system, COPY, system.stamp())
        await system.ask(COPY, DisconnectSocket(connected.connection_id, 1), system.stamp())
        assert (await continue_once(system, COPY, system.stamp())).said == "Hi"


# --- what cannot be ---------------------------------------------------------------------------------------------


async def refused(store: EventStore, source: StreamName, error: type[NotForked] = NotForked, **terms: Any) -> str:
    with pytest.raises(error) as reason:
        await fork(store, source, terms.pop("target", TARGET), STAMP, **terms)
    return str(reason.value)


async def test_what_cannot_be_forked_is_said_to_be_so(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with running(store, answering("m", "One.")) as system:
        await tell(system, SOURCE, OpenConversation(), EndConversation())
        await called(system)
    assert "there is no version 9" in await refused(store, SOURCE, NoSuchPast, at=9)
    assert "no stream conversation-x" in await refused(store, StreamName("conversation-x"), NoSuchPast)
    assert "conversations and calls can" in await refused(store, channel_named("news"))
    assert "The conversation has ended" in await refused(store, SOURCE)
    assert "neither personality nor topic" in await refused(store, CALLER, changes=Changes(topic="x"))
    assert "a stream call-a already" in await refused(store, SOURCE, NameTaken, at=1, target=CALLER)
    assert new_name(SOURCE, "conversation-x") == new_name(SOURCE, "x") == "conversation-x"
    async with running(store, answering("m", "One.")) as system:
        with pytest.raises(NotForked, match="was not forked"):
            await continue_once(system, SOURCE, system.stamp())
        with pytest.raises(NoSuchPast):
            await continue_once(system, TARGET, system.stamp())


async def test_what_was_forgotten_cannot_be_copied() -> None:
    class Forgetful(MemoryStore):
        async def read_commands(self, stream: StreamName) -> dict[int, Any]:
            return {**await super().read_commands(stream), 1: None}

    store = Forgetful()
    async with running(store, answering("m", "One.")) as system:
        await tell(system, SOURCE, OpenConversation())
    assert "conversation-a@1 cannot be copied" in await refused(store, SOURCE)


class Forgetting(MemoryStore):
    """With `soon`, something is forgotten once commands were read."""

    soon = False

    async def read_commands(self, stream: StreamName) -> dict[int, Any]:
        commands = await super().read_commands(stream)
        self.forgettings += self.soon
        return commands


async def test_what_was_read_before_something_was_forgotten_is_not_forked_behind_it(autojump_clock: MockClock) -> None:
    store = Forgetting()
    async with running(store, answering("m", "One.")) as system:
        await tell(system, SOURCE, OpenConversation(), *says("a"))
        store.soon = True
        with pytest.raises(StoreUnavailable, match="forgotten meanwhile"):
            await fork(store, SOURCE, TARGET, STAMP, at=1)
        assert await store.read_stream(TARGET) == []


async def test_what_was_forgotten_while_an_answer_was_awaited_is_not_said_again(autojump_clock: MockClock) -> None:
    store, slow = Forgetting(), ScriptedModel([5.0, "Red."], name="slow")
    async with running(store, answering("m", "One.", "Two."), slow) as system:
        await tell(system, SOURCE, OpenConversation(), *says("a", "b"))
        await fork_live(system, SOURCE, TARGET, STAMP, at=2, changes=Changes("slow"))

        async def forget() -> None:
            await trio.sleep(1)
            store.forgettings += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(forget)
            with pytest.raises(StoreUnavailable, match="forgotten meanwhile"):
                await continue_once(system, TARGET, system.stamp())
        assert await words(store, TARGET) == ["a", "Red."]
        assert (await continue_once(system, TARGET, system.stamp())).said == "b"


async def test_a_fork_asked_for_again_with_its_key_is_the_one_there_is(autojump_clock: MockClock) -> None:
    store, keyed = MemoryStore(), Stamp("c", 1, "key")
    async with running(store, answering("m", "One.")) as system:
        await tell(system, SOURCE, OpenConversation(), *says("a"))
        first = await fork_live(system, SOURCE, TARGET, keyed, at=1, changes=Changes(topic="x"))
        await tell(system, TARGET, *says("b"))
        assert await fork_live(system, SOURCE, TARGET, keyed, at=1, changes=Changes(topic="x")) == first
        assert first == Fork(TARGET, SOURCE, 1, Changes(topic="x"))


async def test_a_system_may_leave_alone_what_others_wanted(autojump_clock: MockClock) -> None:
    store, never = MemoryStore(), ScriptedModel([float("inf")], name="m")
    async with running(store, never) as system:
        await system.ask(SOURCE, OpenConversation(), system.stamp())
        await system.ask(SOURCE, says("a")[0], system.stamp())
    for resumes, prompts in ((False, 0), (True, 1)):
        model = answering("m", "One.")
        async with running(store, model, resumes=resumes):
            await trio.sleep(5)
        assert len(model.prompts) == prompts
