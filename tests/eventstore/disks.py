"""Disks that do not do what they should, by way of the connection that writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Literal, cast

from eventstore.recorder import LogDatastore, SQLiteConnection, SQLiteCursor

Connected = Callable[[SQLiteConnection], SQLiteConnection]


class Disk:
    """What is done to every new connection that writes. Nothing, at first."""

    def __init__(self) -> None:
        self.fault: Connected = lambda connection: connection
        self.connections = 0

    def connect(self, datastore: LogDatastore) -> SQLiteConnection:
        self.connections += 1
        return self.fault(datastore.connect_writer())


Mood = Callable[[], Literal["well", "lost", "durable"]]


class CommitsByItself(SQLiteCursor):
    """A cursor for which the same holds of an INSERT that is its own transaction."""

    def __init__(self, cursor: SQLiteCursor, mood: Mood) -> None:
        super().__init__(cursor.sqlite_cursor)
        self._mood = mood

    def execute(self, *args: Any, **kwargs: Any) -> None:
        if not args[0].startswith("INSERT") or self.sqlite_cursor.connection.in_transaction:
            super().execute(*args, **kwargs)
            return
        mood = self._mood()
        if mood != "lost":
            super().execute(*args, **kwargs)
        if mood != "well":
            raise sqlite3.OperationalError("disk I/O error")


class Commits:
    """A connection whose COMMIT reports an I/O error, before or after it took effect, or works; as its mood is."""

    def __init__(self, connection: SQLiteConnection, mood: Mood) -> None:
        self._connection, self._mood = connection, mood

    def cursor(self) -> SQLiteCursor:
        return CommitsByItself(self._connection.cursor(), self._mood)

    def commit(self) -> None:
        mood = self._mood()
        if mood != "lost":
            self._connection.commit()
        if mood != "well":
            raise sqlite3.OperationalError("disk I/O error")

    def rollback(self) -> None:
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()


def commits(mood: Mood) -> Connected:
    return lambda connection: cast("SQLiteConnection", Commits(connection, mood))


def after(*statements: str) -> Connected:
    def fault(connection: SQLiteConnection) -> SQLiteConnection:
        for statement in statements:
            connection.cursor().execute(statement)
        return connection

    return fault


def full_disk(connection: SQLiteConnection) -> SQLiteConnection:
    cursor = connection.cursor()
    cursor.execute("PRAGMA page_count")
    cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0] + 1}")
    return connection


FAULTS: dict[str, Connected] = {
    "a full disk": full_disk,
    "a file that became read-only": after("PRAGMA query_only = ON"),
    "a COMMIT with an I/O error": commits(lambda: "lost"),
    "a COMMIT that leaves its transaction open": after(
        "PRAGMA foreign_keys = ON",
        "CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TEMP TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TEMP TRIGGER orphan AFTER INSERT ON main.stored_events BEGIN INSERT INTO child VALUES (1); END",
        "CREATE TEMP TRIGGER orphan_too AFTER INSERT ON main.checkpoints BEGIN INSERT INTO child VALUES (1); END",
    ),
}
