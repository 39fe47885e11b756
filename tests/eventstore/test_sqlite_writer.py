"""The SQLite store's one writer: appends that share a transaction, and stay apart in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing

from core.identifiers import StreamName
from core.messages import Decision, Stamp
from core.ports import DuplicateCommand, StoreUnavailable, WrongExpectedVersion
from eventstore.codec import UnknownName
from eventstore.opening import open_sqlite
from eventstore.sqlite import SQLiteStore
from tests.eventstore.logs import (
    PATIENCE,
    assert_chained,
    assert_sound,
    heard,
    locked,
    raw,
    said,
    say,
    stream,
    texts,
    whole,
)

A, B = stream("a"), stream("b")


async def test_a_log_that_is_being_written_is_opened_by_nobody_else(durable: SQLiteStore, path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"another process is serving {path}"):
        async with open_sqlite(path):
            pass
    await say(durable, A, "still here")


def test_the_lock_holds_between_processes_and_dies_with_its_owner(path: Path) -> None:
    program = (
        "import sys, trio, pathlib\n"
        "from eventstore.opening import open_sqlite\n"
        "async def main():\n"
        "    async with open_sqlite(pathlib.Path(sys.argv[1])):\n"
        "        print('open', flush=True)\n"
        "        await trio.sleep_forever()\n"
        "trio.run(main)\n"
    )

    async def open_and_say() -> None:
        async with open_sqlite(path) as store:
            await say(store, A, "one")

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreUnavailable, match="another process"):
            trio.run(open_and_say)
        other.kill()
    trio.run(open_and_say)


async def test_appends_that_wait_for_the_writer_share_one_transaction(durable: SQLiteStore, path: Path) -> None:
    await batch(durable, path, *((stream(n), said(str(n)), 0) for n in range(30)))
    assert durable.statistics.largest >= 25
    assert_sound(await whole(durable))


async def batch(store: SQLiteStore, path: Path, *appends: tuple[StreamName, Decision, int]) -> list[Exception | None]:
    """Make these appends while the log is locked, so that all but the first come into one transaction."""
    outcomes: list[Exception | None] = [None] * len(appends)

    async def append(n: int, to: StreamName, decision: Decision, expected: int) -> None:
        try:
            await store.append(to, [decision], expected_version=expected)
        except (DuplicateCommand, WrongExpectedVersion, ValueError, OverflowError) as refusal:
            outcomes[n] = refusal

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            with locked(path):
                nursery.start_soon(say, store, stream("first"), "-")
                await trio.testing.wait_all_tasks_blocked(0.01)
                for n, (to, decision, expected) in enumerate(appends):
                    nursery.start_soon(append, n, to, decision, expected)
                    await trio.testing.wait_all_tasks_blocked()
    return outcomes


async def test_a_streams_appends_in_one_transaction_build_on_each_other(durable: SQLiteStore, path: Path) -> None:
    appends = ((A, said("1", "2"), 0), (A, said("3"), 2), (A, said("no"), 2), (A, said("4"), 3))
    outcomes = await batch(durable, path, *appends)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), WrongExpectedVersion, type(None)]
    assert texts(await durable.read_stream(A)) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("expected", [0, 1, 5])
async def test_a_repeat_within_one_transaction_is_a_repeat(durable: SQLiteStore, path: Path, expected: int) -> None:
    """Whatever version it came with, and although the first was not yet in the table when it was looked at."""
    outcomes = await batch(
        durable, path,
        (B, said("b1"), 0), (A, said("a1", command_id="c"), 0), (A, said("again", command_id="c"), expected),
        (B, said("b2"), 1), (A, said("a2"), 1),
    )  # fmt: skip
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [DuplicateCommand] + [type(None)] * 2
    assert texts(await durable.read_stream(A)) == ["a1", "a2"]
    assert texts(await durable.read_stream(B)) == ["b1", "b2"]
    assert_sound(await whole(durable))
    await assert_chained(durable)


@pytest.mark.parametrize(
    "unwritable", [Stamp("c", 1, "half a pair \ud83c"), Stamp("c", 1, origin="\udfff"), Stamp("c", 1 << 70)]
)
async def test_what_cannot_be_stored_fails_alone(durable: SQLiteStore, path: Path, unwritable: Stamp) -> None:
    decision = Decision(unwritable, said("-").command, said("never").events)
    outcomes = await batch(durable, path, (A, said("a"), 0), (stream("c"), decision, 0), (B, said("b"), 0))
    assert outcomes[0] is outcomes[2] is None
    assert isinstance(outcomes[1], (ValueError, OverflowError))
    assert texts(await whole(durable)) == ["-", "a", "b"]
    await assert_chained(durable)


async def test_what_was_written_of_an_append_before_its_fault_is_taken_back(durable: SQLiteStore, path: Path) -> None:
    """The time is one the chain can hash and SQLite cannot store, so that the fault comes after the first rows."""
    unwritable = Decision(Stamp("c", 1 << 63), said("-").command, said("never").events)
    appended: list[Exception] = []

    async def fail() -> None:
        with pytest.raises(OverflowError) as fault:
            await durable.append(A, [said(*"abcdefgh"), unwritable], expected_version=0)
        appended.append(fault.value)

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            with locked(path):
                nursery.start_soon(say, durable, stream("first"), "-")
                await trio.testing.wait_all_tasks_blocked(0.01)
                nursery.start_soon(fail)
                nursery.start_soon(say, durable, B, "b")
                await trio.testing.wait_all_tasks_blocked(0.01)
    assert len(appended) == 1
    assert texts(await whole(durable)) == ["-", "b"]
    await say(durable, A, "a1")
    assert_sound(await whole(durable))
    await assert_chained(durable)


async def test_an_append_with_a_checkpoint_beside_it_survives_that_ones_failing(
    durable: SQLiteStore, path: Path, nursery: trio.Nursery
) -> None:
    async def save() -> None:
        with pytest.raises(OverflowError):
            await durable.save_checkpoint("board", 1 << 70, b"{}")

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as appenders:
            with locked(path):
                for n in range(10):
                    appenders.start_soon(say, durable, stream(n), str(n))
                    appenders.start_soon(save)
                    await trio.testing.wait_all_tasks_blocked(0.001)
    assert len(await whole(durable)) == 10
    assert await durable.load_checkpoint("board") is None


async def test_what_another_program_appended_meanwhile_is_a_conflict_and_no_fault(
    durable: SQLiteStore, path: Path
) -> None:
    """Nobody should; but the log's own keys decide, not what the writer remembers."""
    await say(durable, A, "one")
    with raw(path) as connection:
        columns = "originator_id, 2, topic, state, 1, '', NULL, 'theirs', '', '', command"
        connection.execute(f"INSERT INTO stored_events SELECT 2, {columns}, hash FROM stored_events")
    with pytest.raises(WrongExpectedVersion) as refusal:
        await durable.append(A, [said("two")], expected_version=1)
    assert refusal.value.actual == 2
    await durable.append(A, [said("three")], expected_version=2)
    assert texts(await heard(durable, 3)) == ["one", "one", "three"]


async def test_what_is_in_no_catalog_is_refused_and_nothing_of_it_stays(durable: SQLiteStore) -> None:
    class Unheard:
        pass

    with pytest.raises(UnknownName, match="Unheard"):
        await durable.append(A, [said("one"), Decision(Stamp("c", 1), Unheard(), (Unheard(),))], expected_version=0)
    assert await durable.read_all() == []


async def test_one_file_has_one_lock_by_whatever_name(durable: SQLiteStore, path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(StoreUnavailable, match="another process"):
        async with open_sqlite(link):
            pass
    await say(durable, A, "still here")


async def test_whatever_waits_behind_a_fault_fails_with_it(path: Path) -> None:
    """Not each batch for as long as a lock is waited for: nobody's asker, and no shutdown, may wait for that."""
    failed = 0

    async def fail(n: int) -> None:
        nonlocal failed
        with pytest.raises(StoreUnavailable, match="locked"):
            await say(store, stream(n), "in vain")
        failed += 1

    async with open_sqlite(path, lock_timeout=1) as store:
        await say(store, A, "before")
        with locked(path), trio.fail_after(4):
            async with trio.open_nursery() as nursery:
                for n in range(2000):
                    nursery.start_soon(fail, n)
        assert failed == 2000
        await say(store, A, "after")
        assert texts(await whole(store)) == ["before", "after"]
