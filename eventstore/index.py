"""The index beside a log, `<log>-index`: words, and what the log's own indexes do not have or do not combine.

All of it is derived from the log, so it may be deleted at any time and is made again. It is brought level by whoever
asks for that: one SQL statement for some thousand events, on a thread, without Python for each. Several processes may
do so; the file's own lock puts them in order. What it says is used only where it knows the log by the hash it ends at.

A full-text table (sqlite.org/fts5.html) has two columns: `text` the strings in events and their commands, and `tags`, a
word for each thing an event may be looked up by, so that any combination is one question to one index. `blocks` has the
first and last time in each block of positions, as times are only nearly in the order of positions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import trio

from core.ports import StoreUnavailable
from eventstore import index_reading
from eventstore.archives import command_of, explained, state_of, teach
from eventstore.index_reading import index_path, known_level
from eventstore.recorder import IDENTITY, TABLE
from eventstore.uris import reading_uri, uri

STEP = 2_000
"""Events taken in one transaction."""
STEPS = 5
"""Transactions of one connection, and between two tellings how far it is."""
FORMAT = 1
"""Of the file. One of another format is made anew."""
PAUSE = 0.5
"""Seconds between two looks of a follower."""
BREATH = 0.05
"""Seconds in which a follower that is behind leaves the machine to the living."""
PATIENCE = 30.0
"""Seconds to wait for another process that writes to the index, or for readers when texts must go."""


class Opener(Protocol):
    """Makes readable what is sealed in a log; JSON comes and goes, as text or as its bytes."""

    def event(self, stream: str, version: int, name: str, state: str) -> str | bytes:
        """An event, given what is stored."""

    def command(self, stream: str, version: int, command: str | None) -> str | bytes | None:
        """The command stored with an event."""


SCHEMA = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS entries USING fts5(text, tags, content='')",
    "CREATE TABLE IF NOT EXISTS blocks (block INTEGER PRIMARY KEY, least INTEGER NOT NULL, most INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS level (epoch TEXT NOT NULL, position INTEGER NOT NULL, hash BLOB)",
    f"PRAGMA user_version = {FORMAT}",
)


def _tag(kind: str, value: str) -> str:
    """SQL that makes one word of a value, whatever is in it."""
    return f"'{kind}' || HEX({value})"


_TAGS = " || ' ' || ".join((
    _tag("s", "e.originator_id"),
    _tag("c", "SUBSTR(e.originator_id, 1, INSTR(e.originator_id, '-') - 1)"),
    _tag("e", "e.topic"),
    _tag("n", "SUBSTR(e.topic, 1, INSTR(e.topic, '/') - 1)"),
    _tag("p", "e.principal"),
    _tag("o", "e.origin"),
    f"COALESCE({_tag('u', 'e.causation_id')}, '')",
))  # fmt: skip


def _strings(content: str, path: str) -> str:
    """SQL for all strings in a JSON column from the path on, without their keys; what is no JSON is taken whole."""
    readable = f"CASE WHEN JSON_VALID({content}) THEN {content} ELSE JSON_OBJECT('body', {content}) END"
    return (
        f"COALESCE((SELECT GROUP_CONCAT(atom, CHAR(10)) FROM JSON_TREE({readable}, '{path}') WHERE type = 'text'), '')"
    )


class Index:
    """The index of the log in `path`. `opener` where the log has sealed texts. Methods raise StoreUnavailable."""

    def __init__(self, path: Path, opener: Opener | None = None) -> None:
        self._log, self._opener = path, opener
        self.path = index_path(path)
        self._turn = trio.CapacityLimiter(1)

    async def level(self, tell: Callable[[int, int], None] | None = None) -> int:
        """Take in all that the log has by now; returns the position. `tell` hears how far it is, and of the head."""
        head = await self._run(self._head)
        while (position := await self._run(self._steps)) < head:
            if tell is not None:
                tell(position, head)
        return position

    async def follow(self, head: Callable[[], int]) -> None:
        """Stay level with a log whose head can be asked for at no cost. A fault is a pause: it is only an index."""
        known: tuple[int, int | None] | None = None
        while True:
            with suppress(StoreUnavailable):
                while known != (head(), self._written()):
                    known = await self._run(self._steps), self._written()
                    await trio.sleep(BREATH)
            await trio.sleep(PAUSE)

    def _written(self) -> int | None:
        """When the file was last written to; None without a file. Somebody else may delete or empty it."""
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return None

    async def forget(self) -> None:
        """Begin anew: when this returns, no text from before is in any of the index's files.

        For texts that must be found nowhere any more, once the log itself does not give them any more. What is asked
        meanwhile is looked up in the log, until the index is level again.
        """
        await self._run(self._forget)

    # --- in a thread --------------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[sqlite3.Connection], int]) -> int:
        return await trio.to_thread.run_sync(self._in_thread, work, limiter=self._turn)

    def _in_thread(self, work: Callable[[sqlite3.Connection], int]) -> int:
        try:
            return self._attempt(work)
        except sqlite3.OperationalError as fault:
            raise StoreUnavailable(f"the index {self.path} cannot be written: {explained(fault)}") from fault
        except sqlite3.DatabaseError:  # it is no database any more
            pass
        try:
            self._delete()
            return self._attempt(work)
        except (sqlite3.Error, OSError) as fault:
            raise StoreUnavailable(f"the index {self.path} cannot be written: {explained(fault)}") from fault

    def _attempt(self, work: Callable[[sqlite3.Connection], int]) -> int:
        with closing(self._connect()) as connection:
            return work(connection)

    def _connect(self) -> sqlite3.Connection:
        address = uri(self.path, "rwc")
        connection = teach(sqlite3.connect(address, uri=True, isolation_level=None, timeout=PATIENCE), self._log)
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -32768"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("ATTACH ? AS log", (reading_uri(self._log),))
        if (opener := self._opener) is not None:
            connection.create_function("opened_event", 4, lambda *event: as_text(opener.event(*event)))
            connection.create_function("opened_command", 3, lambda *command: as_text(opener.command(*command)))
        return connection

    def _delete(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)

    def _head(self, connection: sqlite3.Connection) -> int:
        return connection.execute(f"SELECT MAX(rowid) FROM log.{TABLE}").fetchone()[0] or 0

    def _steps(self, connection: sqlite3.Connection) -> int:
        position = -1
        for _ in range(STEPS):  # each is a transaction, so that no other process waits long
            before, position = position, self._step(connection)
            if position == before:
                break
        return position

    def _step(self, connection: sqlite3.Connection) -> int:
        """Take in the next events; the position come to."""
        with _writing(connection):
            position = self._prepared(connection)
            last = min(position + STEP, self._head(connection))
            if last > position:
                self._take(connection, position, last)
            return last

    def _prepared(self, connection: sqlite3.Connection) -> int:
        """The level of what there is, which is nothing where it is not of this log."""
        if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, FORMAT):
            raise sqlite3.DatabaseError("of another format")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in SCHEMA:
                connection.execute(statement)
        position = known_level(connection, "main", "log")
        if position == 0:
            self._clear(connection)
        return position

    def _clear(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO entries (entries) VALUES ('delete-all')")
        connection.execute("DELETE FROM blocks")
        connection.execute("DELETE FROM level")
        identity = f"SELECT value FROM log.{IDENTITY} WHERE name = 'epoch'"
        connection.execute(f"INSERT INTO level VALUES (COALESCE(({identity}), ''), 0, NULL)")

    def _take(self, connection: sqlite3.Connection, after: int, last: int) -> None:
        state, command = state_of("e."), command_of("e.")
        if self._opener is not None:
            state = f"opened_event(e.originator_id, e.originator_version, e.topic, {state})"
            command = f"opened_command(e.originator_id, e.originator_version, {command})"
        chosen = f"FROM log.{TABLE} AS e WHERE e.rowid > ? AND e.rowid <= ?"
        text = f"{_strings('state', '$')} || CHAR(10) || {_strings('command', '$.body')}"
        rows = (
            f"SELECT e.rowid AS r, {_TAGS} AS tags, {state} AS state, COALESCE({command}, 'null') AS command {chosen}"
        )
        connection.execute(
            f"INSERT INTO entries (rowid, text, tags) SELECT r, {text}, tags FROM ({rows})", (after, last)
        )
        connection.execute(
            f"INSERT INTO blocks SELECT (e.rowid - 1) / {index_reading.BLOCK} AS b, MIN(e.recorded_at), "
            f"MAX(e.recorded_at) {chosen} GROUP BY b "
            "ON CONFLICT (block) DO UPDATE SET least = MIN(least, excluded.least), most = MAX(most, excluded.most)",
            (after, last),
        )
        hash_ = f"(SELECT hash FROM log.{TABLE} WHERE rowid = ?)"
        connection.execute(f"UPDATE level SET position = ?, hash = {hash_}", (last, last))

    def _forget(self, connection: sqlite3.Connection) -> int:
        with _writing(connection):
            self._prepared(connection)
            self._clear(connection)
        connection.execute("VACUUM main")
        busy, _, _ = connection.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreUnavailable(f"the index {self.path} is being read; forget again, or delete it")
        return 0


def as_text(content: str | bytes | None) -> str:
    """JSON as text; that of nothing for nothing."""
    if content is None:
        return "null"
    return content if isinstance(content, str) else content.decode(errors="replace")


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
