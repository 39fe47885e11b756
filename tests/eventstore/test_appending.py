"""The contract of every store: appending."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import trio

from core.conversation import ConversationOpened, OpenConversation
from core.messages import Decision, Recorded, Stamp
from core.ports import DuplicateCommand, EventStore, WrongExpectedVersion
from tests.eventstore.logs import PATIENCE, assert_sound, heard, said, say, stream, texts, whole

A, B = stream("a"), stream("b")


async def test_a_new_log_is_empty(store: EventStore) -> None:
    assert store.head == 0
    assert await store.read_all() == []
    assert await store.read_stream(A) == []


async def test_an_append_returns_what_the_log_then_holds(store: EventStore) -> None:
    await say(store, B, "before")
    records = await store.append(A, [said("one", "two", command_id="c-1"), said("three")], expected_version=0)
    assert texts(records) == ["one", "two", "three"]
    assert [(record.position, record.version) for record in records] == [(2, 1), (3, 2), (4, 3)]
    assert list(records) == await store.read_stream(A)
    assert store.head == 4


async def test_every_circumstance_of_a_command_is_kept_with_each_of_its_events(store: EventStore) -> None:
    circumstances = Stamp("corr", 1_700_000_000_000_001, "c-1", "conversation-z@4", "ann@example.org", "boot.7")
    opened = ConversationOpened("friendly", "daily", None, "ann", "api")
    await store.append(A, [Decision(circumstances, OpenConversation(), (opened, opened))], expected_version=0)
    assert [record.stamp for record in await store.read_stream(A)] == [circumstances] * 2


async def test_texts_come_back_as_they_were(store: EventStore) -> None:
    odd = ["", "\x00", "naïve ☎ 🎭", 'a "quote" \\ and a\nline', "' OR 1=1 --", "x" * 100_000]
    await say(store, A, *odd)
    assert [event.content for event in await store.read_events(A)] == odd


@pytest.mark.parametrize("expected", [-1, 0, 1, 3, 4, 1000])
async def test_any_version_but_the_streams_own_is_refused(store: EventStore, expected: int) -> None:
    await say(store, A, "one", "two")
    with pytest.raises(WrongExpectedVersion) as refusal:
        await store.append(A, [said("three")], expected_version=expected)
    assert (refusal.value.stream, refusal.value.expected, refusal.value.actual) == (A, expected, 2)
    assert texts(await whole(store)) == ["one", "two"]


async def test_a_stream_nobody_wrote_to_is_at_version_0(store: EventStore) -> None:
    with pytest.raises(WrongExpectedVersion) as refusal:
        await store.append(A, [said("one")], expected_version=1)
    assert refusal.value.actual == 0


async def test_a_refused_append_leaves_nothing_of_any_of_its_decisions(store: EventStore) -> None:
    await say(store, A, "one", command_id="c-1")
    with pytest.raises(DuplicateCommand):
        await store.append(A, [said("two"), said("three", command_id="c-1"), said("four")], expected_version=1)
    assert texts(await whole(store)) == ["one"]
    assert store.head == 1
    await say(store, A, "two")
    assert_sound(await whole(store))


async def test_a_command_id_counts_once_within_one_append(store: EventStore) -> None:
    with pytest.raises(DuplicateCommand) as refusal:
        await store.append(A, [said("one", command_id="c"), said("two", command_id="c")], expected_version=0)
    assert (refusal.value.stream, refusal.value.command_id) == (A, "c")
    assert await store.read_all() == []


async def test_a_command_id_counts_once_in_a_streams_life(store: EventStore) -> None:
    await say(store, A, "one", command_id="c")
    await say(store, A, "two")
    with pytest.raises(DuplicateCommand):
        await say(store, A, "three", command_id="c")
    assert texts(await store.read_stream(A)) == ["one", "two"]


@pytest.mark.parametrize("expected", [0, 7])
async def test_a_known_command_id_wins_over_a_wrong_version(store: EventStore, expected: int) -> None:
    await say(store, A, "one", command_id="c")
    with pytest.raises(DuplicateCommand):
        await store.append(A, [said("again", command_id="c")], expected_version=expected)


async def test_the_same_command_id_on_another_stream_is_another_command(store: EventStore) -> None:
    await say(store, A, "one", command_id="c")
    await say(store, B, "two", command_id="c")
    assert texts(await whole(store)) == ["one", "two"]


async def test_commands_without_an_id_are_never_repeats(store: EventStore) -> None:
    await store.append(A, [said("one"), said("one")], expected_version=0)
    await say(store, A, "one")
    assert texts(await whole(store)) == ["one"] * 3


async def test_one_conflict_among_appends_made_at_one_time_stays_one(store: EventStore) -> None:
    """Whatever shares a transaction with it."""
    await say(store, A, "one", command_id="known")
    refused: list[Exception] = []

    async def refuse(decision: str | None, expected: int) -> None:
        with pytest.raises((DuplicateCommand, WrongExpectedVersion)) as refusal:
            await store.append(A, [said("no", command_id=decision)], expected_version=expected)
        refused.append(refusal.value)

    async with trio.open_nursery() as nursery:
        for n in range(40):
            nursery.start_soon(say, store, stream(f"other-{n}"), f"text {n}")
            if n % 10 == 5:
                nursery.start_soon(refuse, None, 9)
                nursery.start_soon(refuse, "known", 1)
    log = await whole(store)
    assert_sound(log)
    assert sorted(texts(log)) == sorted(["one", *(f"text {n}" for n in range(40))])
    assert sorted(type(error).__name__ for error in refused) == ["DuplicateCommand"] * 4 + ["WrongExpectedVersion"] * 4


async def test_of_many_who_append_at_the_same_version_one_succeeds(store: EventStore) -> None:
    succeeded: list[str] = []
    refused: list[WrongExpectedVersion] = []

    async def attempt(text: str) -> None:
        try:
            succeeded.extend(texts(await store.append(A, [said(text)], expected_version=0)))
        except WrongExpectedVersion as refusal:
            refused.append(refusal)

    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(attempt, f"text {n}")
    assert len(succeeded) == 1
    assert [refusal.actual for refusal in refused] == [1] * 19
    assert texts(await whole(store)) == succeeded


async def test_many_appenders_leave_streams_and_log_without_a_gap(store: EventStore) -> None:
    """Half of them fight for one stream, each with its own commands."""
    returned: list[Recorded] = []

    async def persist(to: str, text: str) -> None:
        while True:
            with suppress(WrongExpectedVersion):
                returned.extend(await say(store, stream(to), text, f"{text} too", command_id=text))
                return

    async def appender(n: int, to: str) -> None:
        for turn in range(15):
            await persist(to, f"{n}.{turn}")

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for n in range(12):
                nursery.start_soon(appender, n, "contended" if n % 2 else f"own-{n}")
    log = await whole(store)
    assert len(log) == 12 * 15 * 2
    assert_sound(log)
    assert sorted(returned, key=lambda record: record.position) == log
    assert await heard(store, len(log)) == log


@pytest.mark.parametrize("seed", range(6))
async def test_a_cancelled_appender_leaves_all_of_its_events_or_none(store: EventStore, seed: int) -> None:
    """And whatever it left, the subscription and the log agree on it."""
    rng = random.Random(seed)

    async def appender(n: int) -> None:
        for turn in range(8):
            with trio.move_on_after(rng.choice([0, 0, 0.0003, 0.001, 0.003])), suppress(WrongExpectedVersion):
                # the version may be wrong when an append that was given up on gets through behind our reading it
                await say(store, stream(n), *(f"{n}.{turn}.{part}" for part in range(3)), command_id=f"{turn}")
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(appender, n)
    await say(store, stream("last"), "last")  # appends are made in order: behind this one nothing is under way
    log = await whole(store)
    assert_sound(log)
    for n in range(10):
        parts = texts(await store.read_stream(stream(n)))
        assert parts == [f"{part.rsplit('.', 1)[0]}.{i % 3}" for i, part in enumerate(parts)]
        assert len(parts) % 3 == 0
    assert await heard(store, len(log)) == log


async def test_an_appender_cancelled_before_it_began_may_ask_again_with_its_id(store: EventStore) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.append(A, [said("one", command_id="c")], expected_version=0)
    try:
        await say(store, A, "one", command_id="c")
    except DuplicateCommand:
        pass  # it had got through
    assert texts(await store.read_outcome(A, "c")) == ["one"]
    assert texts(await whole(store)) == ["one"]
