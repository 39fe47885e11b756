"""Reading the SQLite store's file from elsewhere: another process's log, and the table itself with SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio
import trio.testing

from core.ports import StoreUnavailable
from eventstore.opening import open_sqlite, open_sqlite_read_only
from eventstore.recorder import LogDatastore, LogRecorder
from eventstore.sqlite import SQLiteStore
from tests.eventstore.logs import (
    PATIENCE,
    Follower,
    raw,
    said,
    say,
    stream,
    texts,
)

A, B = stream("a"), stream("b")


async def test_a_reader_follows_a_log_that_is_being_written(
    durable: SQLiteStore, path: Path, nursery: trio.Nursery
) -> None:
    await say(durable, A, "one")
    async with open_sqlite_read_only(path) as reader:
        assert (reader.epoch, reader.head) == (durable.epoch, 1)
        follower = Follower(reader)
        nursery.start_soon(follower.run)
        assert texts(await follower.has(1)) == ["one"]
        await say(durable, A, "two", "three")
        assert reader.head == 1
        assert await reader.poll() == reader.head == 3
        assert texts(await follower.has(3)) == ["one", "two", "three"]
        assert await reader.poll() == 3
        nursery.cancel_scope.cancel()


async def test_a_reader_cannot_write(durable: SQLiteStore, path: Path) -> None:
    async with open_sqlite_read_only(path) as reader:
        with pytest.raises(StoreUnavailable, match="for reading only"):
            await reader.append(A, [said("one")], expected_version=0)
        with pytest.raises(StoreUnavailable, match="for reading only"):
            await reader.save_checkpoint("board", 1, b"{}")
    assert durable.head == 0


async def test_followers_of_a_reader_end_with_it(durable: SQLiteStore, path: Path) -> None:
    with trio.fail_after(PATIENCE):
        async with open_sqlite_read_only(path) as reader:
            follower = Follower(reader)
        with pytest.raises(StoreUnavailable, match="the log is closed"):
            await follower.run()


async def test_there_is_nothing_to_read_where_there_is_no_log(path: Path) -> None:
    async def refused() -> None:
        with pytest.raises(StoreUnavailable, match=f"there is no log at {path}"):
            async with open_sqlite_read_only(path):
                pass

    await refused()
    path.touch()
    await refused()
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["log.db"]


# --- the table --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET principal = 'nobody' WHERE rowid = 1",
        "UPDATE stored_events SET rowid = 9 WHERE rowid = 2",
        "DELETE FROM stored_events WHERE rowid = 2",
        "DELETE FROM stored_events",
    ],
)
async def test_the_table_refuses_to_change_what_was_recorded(durable: SQLiteStore, path: Path, statement: str) -> None:
    await say(durable, A, "one", "two")
    before = await durable.read_rows()
    with raw(path) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    assert await durable.read_rows() == before


async def test_sql_tools_can_look_into_events_and_commands(durable: SQLiteStore, path: Path) -> None:
    await say(durable, A, "Grüße ☎", "two")
    with raw(path) as connection:
        rows = connection.execute(
            "SELECT json_extract(state, '$.content'), json_extract(command, '$.name'), "
            "json_extract(command, '$.body.content'), typeof(state) FROM stored_events"
        ).fetchall()
    assert rows == [("Grüße ☎", "conversation.say/1", "Grüße ☎", "text"), ("two", None, None, "text")]


QUESTIONS = {
    "a stream": "WHERE originator_id = 'conversation-a' AND originator_version > 3 ORDER BY originator_version",
    "the newest of a stream": "WHERE originator_id = 'conversation-a' ORDER BY originator_version DESC LIMIT 1",
    "a page of the log": "WHERE rowid > 1000 ORDER BY rowid LIMIT 100",
    "a kind of event": "WHERE topic = 'conversation.message_said/1' AND rowid > 7 ORDER BY rowid LIMIT 100",
    "a correlation": "WHERE correlation_id = 'x' ORDER BY rowid",
    "a principal": "WHERE principal = 'ann' AND rowid > 7 ORDER BY rowid LIMIT 100",
    "a time": "WHERE recorded_at BETWEEN 5 AND 9",
    "a command": "WHERE command_id = 'c' AND originator_id = 'conversation-a' AND command IS NOT NULL",
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_no_question_an_auditor_asks_reads_the_whole_table(
    durable: SQLiteStore, path: Path, question: str
) -> None:
    with raw(path) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN SELECT * FROM stored_events {QUESTIONS[question]}").fetchall()
    steps = [detail for *_, detail in plan]
    assert all(step.startswith("SEARCH") for step in steps), steps
    assert all("USING INDEX" in step or "INTEGER PRIMARY KEY" in step for step in steps), steps


async def test_a_log_with_a_name_of_a_newer_version_says_so_instead_of_crashing_its_readers(
    durable: SQLiteStore, path: Path
) -> None:
    await say(durable, A, "one")
    with raw(path) as connection:
        columns = "originator_id, 2, 'conversation.sung/7', state, 1, '', NULL, NULL, '', '', NULL"
        connection.execute(f"INSERT INTO stored_events SELECT 2, {columns}, hash FROM stored_events")
    for read in (durable.read_stream, durable.read_events):
        with pytest.raises(StoreUnavailable, match=r"'conversation\.sung/7', which this version"):
            await read(A)


async def test_the_recorder_alone_makes_a_log_others_can_open(path: Path) -> None:
    with closing(LogDatastore(str(path))) as datastore:
        LogRecorder(datastore).create_table()
    async with open_sqlite(path) as store:
        assert store.head == 0
        assert store.epoch
