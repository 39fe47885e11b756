"""The table of the log, on eventsourcing's SQLite recorder: its shape, with our columns, chained and append-only.

The only module that imports eventsourcing. The recorder passes the library's own shipped cases, so everything its
users know about a recorder holds; our store writes through `insert_rows` in transactions of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError, InterfaceError, PersistenceError, StoredEvent, Tracking
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteProcessRecorder,
)

from eventstore.archives import STATE, STUB, Archives, is_stub, teach
from eventstore.chain import COLUMNS, GENESIS, Row, link
from eventstore.uris import path_in

__all__ = ["IntegrityError", "LogDatastore", "LogRecorder", "PersistenceError", "SQLiteConnection", "SQLiteCursor"]

TABLE = "stored_events"
IDENTITY = "log_identity"

_SAME = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in (*COLUMNS, "hash") if name not in ("state", "command"))
_IS_ARCHIVED = f"""{_SAME} AND {is_stub("NEW.state")} AND NOT {is_stub("OLD.state")}
        AND NEW.command IS IIF(OLD.command IS NULL, NULL, NEW.state)
        AND EXISTS (SELECT 1 FROM archives WHERE name = SUBSTR(NEW.state, 14, INSTR(NEW.state, '@') - 14))"""

SCHEMA = (
    f"""CREATE TABLE IF NOT EXISTS {TABLE} (
        rowid INTEGER PRIMARY KEY CHECK (rowid > 0),
        originator_id TEXT NOT NULL,
        originator_version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state TEXT NOT NULL,
        recorded_at INTEGER NOT NULL,
        correlation_id TEXT NOT NULL,
        causation_id TEXT,
        command_id TEXT,
        principal TEXT NOT NULL,
        origin TEXT NOT NULL,
        command TEXT,
        hash BLOB NOT NULL,
        UNIQUE (originator_id, originator_version))""",
    # The id first: ids come in the order of time, stream names do not, and an index grows cheaply at its end only.
    f"""CREATE UNIQUE INDEX IF NOT EXISTS by_command ON {TABLE} (command_id, originator_id)
        WHERE command IS NOT NULL AND command_id IS NOT NULL""",
    f"CREATE INDEX IF NOT EXISTS by_topic ON {TABLE} (topic)",
    f"CREATE INDEX IF NOT EXISTS by_correlation ON {TABLE} (correlation_id)",
    f"CREATE INDEX IF NOT EXISTS by_principal ON {TABLE} (principal)",
    f"CREATE INDEX IF NOT EXISTS by_time ON {TABLE} (recorded_at)",
    # Texts may make room for the place in an archive where they are, and nothing else may change.
    "CREATE TABLE IF NOT EXISTS archives (name TEXT PRIMARY KEY, note TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TRIGGER IF NOT EXISTS no_archive_update BEFORE UPDATE ON archives
        BEGIN SELECT RAISE(ABORT, 'archives are for ever'); END""",
    """CREATE TRIGGER IF NOT EXISTS no_archive_delete BEFORE DELETE ON archives
        BEGIN SELECT RAISE(ABORT, 'archives are for ever'); END""",
    "DROP TRIGGER IF EXISTS no_update",
    f"""CREATE TRIGGER IF NOT EXISTS only_archived BEFORE UPDATE ON {TABLE}
        WHEN NOT ({_IS_ARCHIVED})
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
    f"""CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END""",
    f"CREATE TABLE IF NOT EXISTS {IDENTITY} (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS checkpoints (name TEXT PRIMARY KEY, position INTEGER NOT NULL, view TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS chain_checkpoints (size INTEGER PRIMARY KEY CHECK (size > 0), note TEXT NOT NULL)",
    """CREATE TRIGGER IF NOT EXISTS no_checkpoint_update BEFORE UPDATE ON chain_checkpoints
        BEGIN SELECT RAISE(ABORT, 'checkpoints are for ever'); END""",
    """CREATE TRIGGER IF NOT EXISTS no_checkpoint_delete BEFORE DELETE ON chain_checkpoints
        BEGIN SELECT RAISE(ABORT, 'checkpoints are for ever'); END""",
)

ROWS_AT_ONCE = 256
"""Rows in one INSERT statement at most. There is a statement for each number of rows, prepared when it first occurs."""
STATEMENTS = ROWS_AT_ONCE + 32
"""Prepared statements a connection keeps."""
WAL_PAGES = 8000
"""Pages in the write-ahead log before it is folded into the file: 32 MB, so that hot pages are written less often."""
CACHE_KIB = 65536
"""Page cache of the connection that writes."""


Head = tuple[int, bytes]
"""Position and hash of the last event."""


class LogConnectionPool(SQLiteConnectionPool):
    """Connections as durable as the log promises, and never a checkpoint by a reader."""

    def _create_connection(self) -> SQLiteConnection:
        try:
            opened = sqlite3.connect(
                self.db_name,
                uri=True,
                check_same_thread=False,  # a pool's connection serves one thread after the other
                isolation_level=None,
                timeout=self.lock_timeout or 5,
                cached_statements=STATEMENTS,  # the library's own pool keeps a single one, and parses all others anew
            )
        except sqlite3.Error as error:
            raise InterfaceError(error) from error
        opened.row_factory = sqlite3.Row
        teach(opened, path_in(self.db_name))
        connection = SQLiteConnection(opened, self.max_age)
        cursor = connection.cursor()
        if "mode=ro" not in self.db_name:
            cursor.execute("PRAGMA journal_mode = WAL")
            if (mode := cursor.fetchone()[0]) != "wal":
                raise InterfaceError(f"this file system allows no write-ahead log: SQLite keeps to {mode!r}")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        return connection

    def connect(self) -> SQLiteConnection:
        """A connection that does not come back to the pool."""
        return self._create_connection()


class LogDatastore(SQLiteDatastore):
    """A database of streams with text names. `lock_timeout` is how many seconds a commit waits for a lock."""

    def __init__(self, db_name: str, *, lock_timeout: int = 5) -> None:
        super().__init__(db_name, lock_timeout=lock_timeout, originator_id_type="text")
        self.pool: LogConnectionPool = LogConnectionPool(db_name=db_name, lock_timeout=lock_timeout)

    def connect_writer(self) -> SQLiteConnection:
        """A connection of its own for the one that writes. It is not the pool's: whoever has it closes it."""
        connection = self.pool.connect()
        connection.cursor().execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        return connection


class LogRecorder(SQLiteProcessRecorder):
    """Inserts and selects the rows of the log."""

    def __init__(self, datastore: LogDatastore) -> None:
        super().__init__(datastore, events_table_name=TABLE)
        marks = ", ".join("CAST(? AS TEXT)" if name in ("state", "command") else "?" for name in (*COLUMNS, "hash"))
        self.insert_events_statement = f"INSERT INTO {TABLE} VALUES ({marks})"
        self._inserts = [
            f"INSERT INTO {TABLE} VALUES {', '.join([f'({marks})'] * rows)}" for rows in range(ROWS_AT_ONCE + 1)
        ]
        self.select_events_statement = (
            f"SELECT originator_id, originator_version, topic, CAST({STATE} AS BLOB) AS state "
            f"FROM {TABLE} WHERE originator_id=? "
        )

    def construct_create_table_statements(self) -> list[str]:
        tracking = [statement for statement in super().construct_create_table_statements() if "tracking" in statement]
        return [*SCHEMA, *tracking]

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        with self.datastore.get_connection(commit=True) as connection, immediate(connection) as cursor:
            return self._insert_events(cursor, stored_events, **kwargs)

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """The library's way in: events without our columns get what can be said of them."""
        rows = [(_text_id(s.originator_id), s.originator_version, s.topic, s.state, *_UNSAID) for s in stored_events]
        last = self.insert_rows(c, rows)
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is not None:
            self._insert_tracking(c, tracking)
        return list(range(last - len(rows) + 1, last + 1))

    def insert_rows(self, cursor: SQLiteCursor, rows: Sequence[Row]) -> int:
        """Chain and insert rows (COLUMNS without the position) in an open write transaction; the last position."""
        head, chained = _chained(self.head(cursor), rows)
        cursor.executemany(self.insert_events_statement, chained)
        return head[0]

    def append_rows(self, connection: SQLiteConnection, head: Head, rows: Sequence[Row]) -> Head:
        """Chain and insert rows behind `head` as one transaction of their own; the new head.

        Rows that fit into one statement are a transaction without BEGIN and COMMIT. SQLite then does all of it in one
        call and without the interpreter's lock, which three calls would each have to wait for (a third of the
        throughput beside a busy event loop). Raises IntegrityError when a position, version or command is taken.
        """
        head, chained = _chained(head, rows)
        if len(chained) <= ROWS_AT_ONCE:
            try:
                self._insert(connection.cursor(), chained)
            except sqlite3.IntegrityError as error:
                raise IntegrityError(error) from error
        else:
            with immediate(connection) as cursor:
                for start in range(0, len(chained), ROWS_AT_ONCE):
                    self._insert(cursor, chained[start : start + ROWS_AT_ONCE])
        return head

    def _insert(self, cursor: SQLiteCursor, chained: Sequence[Row]) -> None:
        cursor.execute(self._inserts[len(chained)], list(chain.from_iterable(chained)))

    def head(self, cursor: SQLiteCursor) -> Head:
        """Position and hash of the last event; 0 and GENESIS for an empty log."""
        cursor.execute(f"SELECT rowid, hash FROM {TABLE} ORDER BY rowid DESC LIMIT 1")
        row = cursor.fetchone()
        return (row[0], row[1]) if row else (0, GENESIS)

    def select_notifications(self, *args: Any, **kwargs: Any) -> Any:
        notifications = super().select_notifications(*args, **kwargs)
        archives = Archives(path_in(self.datastore.pool.db_name))
        for notification in notifications:
            state: Any = notification.state  # readable text in the table, bytes to the library
            if state.startswith(STUB):
                state = archives.state(state, notification.id)
            object.__setattr__(notification, "state", state.encode())
        return notifications


_UNSAID = (0, "", None, None, "", "", None)


def _chained(head: Head, rows: Sequence[Row]) -> tuple[Head, list[Row]]:
    """The rows with their positions and hashes, and the head they lead to."""
    position, previous = head
    chained = []
    for row in rows:
        position += 1
        columns = (position, *row)
        previous = link(previous, columns)
        chained.append((*columns, previous))
    return (position, previous), chained


def _text_id(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id


@contextmanager
def immediate(connection: SQLiteConnection) -> Iterator[SQLiteCursor]:
    """A write transaction that has its lock from the start: what is read in it is still true when it commits.

    Raises PersistenceError or sqlite3.Error; the transaction is rolled back then, or the connection must be discarded.
    """
    cursor = connection.cursor()
    try:
        cursor.execute("BEGIN IMMEDIATE")
        yield cursor
        connection.commit()
    except sqlite3.IntegrityError as error:
        connection.rollback()
        raise IntegrityError(error) from error
    except BaseException:
        connection.rollback()
        raise
    finally:
        cursor.__exit__()
