"""Commits batches through one connection, each as one transaction; every append in it succeeds or conflicts on its own.

A batch that hits a conflict is written again with a savepoint for each append. After a fault of the disk nothing counts
as written, and the connection is discarded: what became of its transaction is for the log to say, since a commit may be
durable although it failed. The next batch, an empty one too, begins with that question.
"""

from __future__ import annotations

import sqlite3
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter

from eventstore.batches import (
    UNWRITABLE,
    Batch,
    Refusal,
    Report,
    Statement,
    Work,
    conflict,
    duplicate,
    unavailable,
    unwritable,
)
from eventstore.chain import Row
from eventstore.recorder import (
    Head,
    IntegrityError,
    LogRecorder,
    PersistenceError,
    SQLiteConnection,
    SQLiteCursor,
    immediate,
)

MOST_VERSIONS = 100_000
"""Streams whose last version is remembered."""

Verdict = int | Refusal


class Committer:
    """The one that writes. `in_doubt`: whether the last one before it may have left a commit that nobody heard of."""

    def __init__(
        self, recorder: LogRecorder, connect: Callable[[], SQLiteConnection], *, in_doubt: bool = False
    ) -> None:
        self._recorder, self._connect, self._in_doubt = recorder, connect, in_doubt
        self._connection: SQLiteConnection | None = None
        self._versions: dict[str, int] = {}
        self._head: Head | None = None

    def commit(self, batch: Batch) -> Report:
        """Write it and say what became of it. Raises nothing."""
        began = perf_counter()
        try:
            connection = self._connection = self._connection or self._connect()
            settled = self._settle_doubt(connection)
            verdicts, rewritten = self._written(connection, batch)
        except (sqlite3.Error, PersistenceError, OSError) as fault:
            return self._failed(f"the log cannot be written: {fault}")
        except Exception:  # noqa: BLE001  # it must live on, and its askers must hear of it
            return self._failed(f"the log cannot be written: {traceback.format_exc()}")
        rows = sum(_rows(piece) for piece, verdict in zip(batch, verdicts, strict=True) if isinstance(verdict, int))
        return Report(tuple(verdicts), rows, perf_counter() - began, rewritten, settled)

    def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error, PersistenceError):  # nothing is under way on it that anybody was told of
                connection.close()

    def _failed(self, reason: str) -> Report:
        self._in_doubt = True
        self._forget()
        self.close()
        return Report(fault=reason)

    def _settle_doubt(self, connection: SQLiteConnection) -> int | None:
        if not self._in_doubt:
            return None
        with immediate(connection) as cursor:
            position, _ = self._recorder.head(cursor)
        self._in_doubt = False
        return position

    def _written(self, connection: SQLiteConnection, batch: Batch) -> tuple[list[Verdict], bool]:
        """The verdicts, and whether it took a second attempt."""
        works = [piece for piece in batch if isinstance(piece, Work)]
        if len(works) < len(batch):
            return self._written_singly(connection, batch), False
        try:
            return self._written_together(connection, works), False
        except (IntegrityError, *UNWRITABLE):
            return self._written_singly(connection, batch), True

    def _written_together(self, connection: SQLiteConnection, works: Sequence[Work]) -> list[Verdict]:
        verdicts, appended, rows = list[Verdict](), dict[str, int](), list[Row]()
        cursor = connection.cursor()
        before = self._head or self._recorder.head(cursor)
        for work in works:
            refusal = self._conflict(cursor, work, appended)
            if refusal is not None:
                refusal = self._duplicate(cursor, work) or refusal
                if work.stream in appended and work.command_ids:
                    raise IntegrityError("whether it repeats a command of this very batch shows once that is written")
            else:
                rows.extend(work.rows)
                appended[work.stream] = work.expected_version + len(work.rows)
            verdicts.append(before[0] + len(rows) if refusal is None else refusal)
        self._head = self._recorder.append_rows(connection, before, rows) if rows else before
        self._remember(appended)
        return verdicts

    def _written_singly(self, connection: SQLiteConnection, batch: Batch) -> list[Verdict]:
        """In one transaction too, but with a savepoint for each, so that one conflict stays one; and statements."""
        self._forget()
        verdicts, appended = list[Verdict](), dict[str, int]()
        with immediate(connection) as cursor:
            for piece in batch:
                cursor.execute("SAVEPOINT one")
                verdict = self._write_one(cursor, piece, appended)
                if isinstance(verdict, Refusal):
                    cursor.execute("ROLLBACK TO one")
                elif isinstance(piece, Work):
                    appended[piece.stream] = piece.expected_version + len(piece.rows)
                cursor.execute("RELEASE one")
                verdicts.append(verdict)
        self._remember(appended)
        return verdicts

    def _write_one(self, cursor: SQLiteCursor, piece: Work | Statement, appended: dict[str, int]) -> Verdict:
        try:
            if isinstance(piece, Statement):
                cursor.execute(piece.sql, piece.parameters)
                return 0
            if refusal := self._duplicate(cursor, piece) or self._conflict(cursor, piece, appended):
                return refusal
            return self._recorder.insert_rows(cursor, piece.rows)
        except sqlite3.IntegrityError as error:
            return unavailable(f"the log refused this: {error}")
        except UNWRITABLE as error:
            return unwritable(error)

    def _conflict(self, cursor: SQLiteCursor, work: Work, appended: dict[str, int]) -> Refusal | None:
        actual = appended.get(work.stream)
        if actual is None:
            actual = self._versions.get(work.stream)
        if actual is None:
            actual = self._versions[work.stream] = self._stored_version(cursor, work.stream)
        return None if actual == work.expected_version else conflict(work, actual)

    def _stored_version(self, cursor: SQLiteCursor, stream: str) -> int:
        cursor.execute("SELECT MAX(originator_version) FROM stored_events WHERE originator_id = ?", (stream,))
        return cursor.fetchone()[0] or 0

    def _duplicate(self, cursor: SQLiteCursor, work: Work) -> Refusal | None:
        seen = set[str]()
        for command_id in work.command_ids:
            cursor.execute(
                "SELECT 1 FROM stored_events WHERE command_id = ? AND originator_id = ? AND command IS NOT NULL",
                (command_id, work.stream),
            )
            if command_id in seen or cursor.fetchone():
                return duplicate(work, command_id)
            seen.add(command_id)
        return None

    def _forget(self) -> None:
        """What is remembered of the log spares reading it; where it may be wrong, the log is read again."""
        self._versions.clear()
        self._head = None

    def _remember(self, appended: dict[str, int]) -> None:
        if len(self._versions) > MOST_VERSIONS:
            self._versions.clear()
        self._versions.update(appended)


def _rows(piece: Work | Statement) -> int:
    return len(piece.rows) if isinstance(piece, Work) else 0
