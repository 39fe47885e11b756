"""What the store does when the disk does not do what it should.

The suite may run as root, for whom no file is read-only and no disk is mounted at a test's wish. So the faults come
from SQLite itself, from limits on the process, and from a connection whose COMMIT fails.
"""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

import pytest
import trio
import trio.testing

from core.ports import DuplicateCommand, StoreUnavailable
from eventstore.opening import open_sqlite
from eventstore.sqlite import SQLiteStore
from tests.eventstore.disks import FAULTS, Disk, commits
from tests.eventstore.logs import (
    PATIENCE,
    Follower,
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
LARGE = "x" * 90_000


@asynccontextmanager
async def opened(path: Path, disk: Disk) -> AsyncIterator[SQLiteStore]:
    """The log with two events in it, whose next connection gets the disk's fault of then."""
    async with open_sqlite(path) as store:
        await say(store, A, "a1", "a2", command_id="c-1")
    async with open_sqlite(path, lock_timeout=1, connect=disk.connect) as store:
        yield store


async def assert_whole_again(store: SQLiteStore, follower: Follower, expected: list[str]) -> None:
    """Appends work, and nothing anywhere has a gap or a repeat."""
    await say(store, B, "after", LARGE, command_id="c-after")
    log = await whole(store)
    assert texts(log) == [*expected, "after", LARGE]
    assert_sound(log)
    assert store.head == len(log)
    assert await follower.has(len(log)) == log
    assert await heard(store, len(log)) == log
    await assert_chained(store)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_tells_nobody_yes_and_ends(path: Path, fault: str, nursery: trio.Nursery) -> None:
    disk = Disk()
    disk.fault = FAULTS[fault]
    async with opened(path, disk) as store:
        follower = Follower(store)
        nursery.start_soon(follower.run)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="the log cannot be written"):
                await say(store, A, "lost", LARGE, command_id="c-2")
        with pytest.raises(StoreUnavailable, match="the log cannot be written"):
            await store.save_checkpoint("board", 1, LARGE.encode())
        assert store.head == 2
        assert texts(await whole(store)) == ["a1", "a2"] == texts(await follower.has(2))
        assert await store.read_outcome(A, "c-2") == ()
        disk.fault = Disk().fault
        await say(store, A, "a3", command_id="c-2")  # the same command again: it never happened
        await assert_whole_again(store, follower, ["a1", "a2", "a3"])
        nursery.cancel_scope.cancel()


async def test_every_append_of_a_failed_transaction_is_told(path: Path) -> None:
    disk = Disk()
    disk.fault = commits(lambda: "lost")
    told: list[int] = []

    async def fail(n: int) -> None:
        with pytest.raises(StoreUnavailable, match="disk I/O error"):
            await store.append(stream(n), [said("lost")], expected_version=0)
        told.append(n)

    async with opened(path, disk) as store:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                for n in range(40):
                    nursery.start_soon(fail, n)
        assert sorted(told) == list(range(40))
        assert store.head == 2


async def test_reading_goes_on_while_nothing_can_be_written(path: Path) -> None:
    disk = Disk()
    disk.fault = FAULTS["a full disk"]
    async with opened(path, disk) as store:
        with pytest.raises(StoreUnavailable):
            await say(store, A, LARGE)
        assert texts(await store.read_stream(A)) == ["a1", "a2"]
        assert texts(await store.read_outcome(A, "c-1")) == ["a1", "a2"]
        assert await store.load_checkpoint("board") is None


async def test_a_connection_that_failed_is_not_used_again(path: Path) -> None:
    """A failing COMMIT may leave its transaction open, and the next append must not get into that."""
    disk = Disk()
    disk.fault = commits(lambda: "lost")
    async with opened(path, disk) as store:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await say(store, A, "lost")
        assert disk.connections >= 3


# --- a full disk, by the limit on the size of files -------------------------------------------------------------


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Writes beyond `size` fail with EFBIG: Python ignores the signal that would come with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_disk_that_really_takes_no_more_writes_is_survived(path: Path, nursery: trio.Nursery) -> None:
    async with opened(path, Disk()) as store:
        follower = Follower(store)
        nursery.start_soon(follower.run)
        await say(store, A, "a3", LARGE)
        size = Path(f"{path}-wal").stat().st_size
        with files_no_larger_than(size + 10_000), pytest.raises(StoreUnavailable, match="the log cannot be written"):
            await say(store, A, LARGE, LARGE)
        assert store.head == 4
        await assert_whole_again(store, follower, ["a1", "a2", "a3", LARGE])
        nursery.cancel_scope.cancel()


# --- a lock -----------------------------------------------------------------------------------------------------


async def test_a_log_locked_for_too_long_is_unavailable_and_then_itself_again(
    path: Path, nursery: trio.Nursery
) -> None:
    async with opened(path, Disk()) as store:
        follower = Follower(store)
        nursery.start_soon(follower.run)
        with locked(path), pytest.raises(StoreUnavailable, match="locked"):
            await say(store, A, "lost")
        await assert_whole_again(store, follower, ["a1", "a2"])
        nursery.cancel_scope.cancel()


async def test_a_log_locked_for_a_moment_is_waited_for(path: Path) -> None:
    async with opened(path, Disk()) as store:
        async with trio.open_nursery() as nursery:
            with locked(path):
                nursery.start_soon(say, store, A, "a3")
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert store.head == 2
        assert store.head == 3


async def test_a_log_locked_while_it_is_opened_says_so(path: Path) -> None:
    async with open_sqlite(path):
        pass
    with locked(path), pytest.raises(StoreUnavailable, match=f"the log {path} cannot be opened: .*locked"):
        async with open_sqlite(path, lock_timeout=1):
            pass


# --- a COMMIT that was durable although it failed ---------------------------------------------------------------


@asynccontextmanager
async def ambiguous(path: Path) -> AsyncIterator[tuple[SQLiteStore, Follower]]:
    """A log whose appender was told of a fault, and whose event is there all the same; and a follower."""
    disk = Disk()
    async with opened(path, disk) as store, trio.open_nursery() as nursery:
        follower = Follower(store)
        nursery.start_soon(follower.run)
        disk.fault = commits(lambda: "durable")
        with pytest.raises(StoreUnavailable, match="disk I/O error"):
            await say(store, A, "a3", command_id="c-2")
        disk.fault = Disk().fault
        yield store, follower
        nursery.cancel_scope.cancel()


async def test_what_was_durable_although_its_commit_failed_is_heard_without_anybody_asking(path: Path) -> None:
    async with ambiguous(path) as (store, follower):
        assert texts(await follower.has(3)) == ["a1", "a2", "a3"]
        await assert_whole_again(store, follower, ["a1", "a2", "a3"])


async def test_the_retry_of_a_command_whose_commit_was_durable_is_a_repeat(path: Path) -> None:
    async with ambiguous(path) as (store, follower):
        with pytest.raises(DuplicateCommand):
            await store.append(A, [said("again", command_id="c-2")], expected_version=3)
        assert texts(await store.read_outcome(A, "c-2")) == ["a3"]
        assert texts(await follower.has(3)) == ["a1", "a2", "a3"]


async def test_who_retries_without_recovering_first_is_told_of_the_repeat_too(path: Path) -> None:
    async with ambiguous(path) as (store, follower):
        with pytest.raises(DuplicateCommand):
            await store.append(A, [said("again", command_id="c-2")], expected_version=2)
        await assert_whole_again(store, follower, ["a1", "a2", "a3"])


async def test_others_append_behind_what_was_durable_although_its_commit_failed(path: Path) -> None:
    async with ambiguous(path) as (store, follower):
        await store.append(B, [said("b1")], expected_version=0)
        await assert_whole_again(store, follower, ["a1", "a2", "a3", "b1"])


async def test_faults_of_every_kind_in_a_row_leave_one_history(path: Path, nursery: trio.Nursery) -> None:
    disk, expected = Disk(), ["a1", "a2"]
    moods: list[Literal["well", "lost", "durable"]] = ["well"]
    rounds: tuple[Literal["lost", "durable"], ...] = ("durable", "lost", "durable", "durable", "lost")
    disk.fault = commits(lambda: moods[-1])
    async with opened(path, disk) as store:
        follower = Follower(store)
        nursery.start_soon(follower.run)
        for turn, mood in enumerate(rounds):
            moods.append(mood)
            with pytest.raises(StoreUnavailable):
                await say(store, A, f"turn {turn}")
            moods.append("well")
            await say(store, B, f"then {turn}")
            expected += [f"turn {turn}", f"then {turn}"] if mood == "durable" else [f"then {turn}"]
            assert texts(await follower.has(len(expected))) == expected
        await assert_whole_again(store, follower, expected)
        nursery.cancel_scope.cancel()


# --- a damaged file ---------------------------------------------------------------------------------------------


async def test_a_damaged_page_is_a_reason_and_no_crash(path: Path) -> None:
    async with open_sqlite(path) as store:
        await say(store, A, *(f"{n} " + "x" * 3000 for n in range(100)))
    with raw(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[16 * 4096 : -4096] = b"\xff" * (len(content) - 17 * 4096)
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"malformed|not a database"):
        async with open_sqlite(path) as store:
            await whole(store)
