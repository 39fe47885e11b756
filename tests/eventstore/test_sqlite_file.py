"""The SQLite store's file: durable, one writer's alone, and nobody else's database."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from core.ports import DuplicateCommand, StoreUnavailable, WrongExpectedVersion
from eventstore.opening import open_sqlite, open_sqlite_read_only
from eventstore.recorder import LogDatastore
from eventstore.sqlite import SQLiteStore
from tests.eventstore.logs import (
    PATIENCE,
    Follower,
    assert_chained,
    assert_sound,
    heard,
    raw,
    said,
    say,
    stream,
    texts,
    whole,
)

A, B = stream("a"), stream("b")


async def test_a_log_survives_being_opened_again(path: Path) -> None:
    async with open_sqlite(path) as store:
        await store.append(A, [said("one", command_id="c"), said("two")], expected_version=0)
        await store.save_checkpoint("board", 2, b"{}")
        before = await whole(store)
    async with open_sqlite(path) as store:
        assert store.head == 2
        assert await whole(store) == before == await heard(store, 2)
        assert await store.load_checkpoint("board") == (2, b"{}")
        with pytest.raises(DuplicateCommand):
            await say(store, A, "again", command_id="c")
        with pytest.raises(WrongExpectedVersion):
            await store.append(A, [said("no")], expected_version=0)
        await say(store, A, "three")
        assert_sound(await whole(store))
        await assert_chained(store)


async def test_what_waits_for_the_writer_when_the_log_closes_is_written(path: Path) -> None:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery, open_sqlite(path) as store:
            for n in range(50):
                nursery.start_soon(partial(store.append, stream(n), [said(str(n))], expected_version=0))
            await trio.testing.wait_all_tasks_blocked()
    async with open_sqlite(path) as store:
        assert store.head == 50
        assert_sound(await whole(store))


async def test_commits_are_synced_and_in_write_ahead_mode(durable: SQLiteStore, path: Path) -> None:
    """On the very connection that writes: `open_sqlite` makes it this way."""
    with closing(LogDatastore(str(path))) as datastore, closing(datastore.connect_writer()) as connection:
        for pragma, value in (("synchronous", 2), ("journal_mode", "wal")):
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA {pragma}")
            assert cursor.fetchone()[0] == value


async def test_nothing_is_shown_before_another_reader_of_the_file_can_see_it(
    durable: SQLiteStore, path: Path, nursery: trio.Nursery
) -> None:
    async def doubt() -> None:
        with raw(path) as connection:
            async for batch in durable.subscribe():
                assert connection.execute("SELECT MAX(rowid) FROM stored_events").fetchone()[0] >= batch[-1].position

    nursery.start_soon(doubt)
    follower = Follower(durable)
    nursery.start_soon(follower.run)
    for n in range(50):
        await say(durable, stream(n % 5), str(n))
    await follower.has(50)


async def test_the_epoch_is_the_files_for_life_and_no_other_files(tmp_path: Path) -> None:
    epochs = []
    for name in ("one.db", "one.db", "two.db"):
        async with open_sqlite(tmp_path / name) as store:
            epochs.append(store.epoch)
    assert epochs[0] == epochs[1] != epochs[2]
    assert all(epochs)


# --- what is no log ---------------------------------------------------------------------------------------------


async def refusal_to_open(path: Path) -> str:
    with pytest.raises(StoreUnavailable) as refusal:
        async with open_sqlite(path):
            pass
    reason = str(refusal.value)
    assert str(path) in reason
    assert "\n" not in reason
    return reason


@pytest.mark.parametrize("content", [b"no database at all, " * 100, b"SQLite format 3\x00" + bytes(100)])
async def test_a_file_of_something_else_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "is not a Callboard log" in await refusal_to_open(path)
    assert path.read_bytes() == content


async def test_another_programs_database_is_left_alone(path: Path) -> None:
    with raw(path) as connection:
        connection.execute("CREATE TABLE stored_events (id)")  # other users of the same library have one too
    before = path.read_bytes()
    assert "another program's database" in await refusal_to_open(path)
    with pytest.raises(StoreUnavailable, match="another program's database"):
        async with open_sqlite_read_only(path):
            pass
    assert path.read_bytes() == before


async def test_a_folder_is_no_log(path: Path) -> None:
    path.mkdir()
    assert "is a folder" in await refusal_to_open(path)


async def test_a_path_through_a_file_is_no_log(path: Path) -> None:
    path.write_bytes(b"")
    assert "cannot be opened" in await refusal_to_open(path / "log.db")


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    async with open_sqlite(tmp_path / "new" / "folder" / "log.db") as store:
        await say(store, A, "one")


@pytest.mark.parametrize("name", ["a b.db", "50%.db", "what?.db", "#1.db", "ä ☎.db", "a%20b.db", "file:x.db"])
async def test_a_log_may_have_any_name(tmp_path: Path, name: str) -> None:
    async with open_sqlite(tmp_path / name) as store:
        await say(store, A, "one")
    assert (tmp_path / name).stat().st_size
    async with open_sqlite_read_only(tmp_path / name) as reader:
        assert texts(await whole(reader)) == ["one"]


async def test_an_error_in_the_body_arrives_as_itself(path: Path) -> None:
    """Not wrapped in a group by the nursery inside, which nobody outside knows of."""
    with pytest.raises(WrongExpectedVersion):
        async with open_sqlite(path) as store:
            await store.append(A, [said("one")], expected_version=3)


async def test_a_closed_log_says_so_to_everybody(path: Path) -> None:
    async with open_sqlite(path) as store:
        await say(store, A, "one")
    for use in (store.read_all, store.poll, lambda: say(store, A, "two"), lambda: store.load_checkpoint("board")):
        with pytest.raises(StoreUnavailable, match="the log is closed"):
            await use()
    with pytest.raises(StoreUnavailable, match="the log is closed"):
        await store.append(A, [said("two")], expected_version=1)
    with pytest.raises(StoreUnavailable, match="the log is closed"):
        await store.save_checkpoint("board", 1, b"{}")


async def test_a_log_closes_only_once_its_readers_are_done(path: Path) -> None:
    """A database closed under a reader takes the process down; those who come too late are told."""
    outcomes: list[int | str] = []

    async def read(store: SQLiteStore) -> None:
        try:
            outcomes.append(len(await store.read_all(limit=5000)))
        except StoreUnavailable as reason:
            outcomes.append(str(reason))

    async with trio.open_nursery() as nursery, open_sqlite(path) as store:
        await store.append(A, [said(*(str(n) for n in range(5000)))], expected_version=0)
        for _ in range(12):
            nursery.start_soon(read, store)
        await trio.testing.wait_all_tasks_blocked()
    assert len(outcomes) == 12
    assert set(outcomes) <= {5000, "the log is closed"}
    assert 5000 in outcomes
