"""Group commit: one thread, one connection, one transaction for all that was appended while the last one was written.

The thread takes what waits, writes it, and wakes Trio once for the whole batch. Every append succeeds or fails on its
own: a batch that hits a conflict is written again with a savepoint per append. After a fault of the disk nobody is
told yes, and the connection is discarded: what became of its transaction is for the log to say. A new connection asks
it, with the next append or without one, since a commit may be durable although it failed.
"""

from __future__ import annotations

import queue
import sqlite3
from collections.abc import Callable
from time import perf_counter

import structlog
import trio

from core.messages import Recorded
from core.ports import DuplicateCommand, StoreUnavailable, WrongExpectedVersion
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
from eventstore.rows import to_records
from eventstore.subscription import Tail
from eventstore.waiting import Append, Job, WriterStatistics, WriterTally

MOST_ROWS = 192
"""Rows in one transaction, beyond which further appends wait for the next: few enough to fit into one statement."""
MOST_WAITING = 20_000
"""Appends that may wait for the writer; more are told to come back."""
MOST_VERSIONS = 100_000
"""Streams whose last version the writer remembers."""
DOUBT_PAUSE = 0.5
"""Seconds between looks at the log after a fault, while nobody appends."""

UNWRITABLE = (ValueError, TypeError, OverflowError)
"""What a row raises that cannot be stored at all, e.g. for half a surrogate pair. It is its appender's own fault."""

log = structlog.get_logger("callboard.writer")


class Writer:
    """The one that writes. `run` is the thread; `write` is for tasks.

    The tail gets every commit, on the event loop; and how far the log really is when a fault had left that in doubt.
    """

    def __init__(self, recorder: LogRecorder, connect: Callable[[], SQLiteConnection], tail: Tail) -> None:
        self._recorder, self._connect, self._tail = recorder, connect, tail
        self._tally, self._began = WriterTally(), 0.0
        self._queue: queue.SimpleQueue[Append | Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._connection: SQLiteConnection | None = None
        self._versions: dict[str, int] = {}
        self._head: Head | None = None
        self._closed = False
        self._trio = trio.lowlevel.current_trio_token()

    @property
    def statistics(self) -> WriterStatistics:
        """As of now."""
        return self._tally.statistics()

    # --- on the event loop ------------------------------------------------------------------------------------

    async def write(self, item: Append | Job) -> None:
        """Wait until it is durable. Raises what it failed with. Cancelled: it is written whole, or not at all."""
        if self._closed:
            raise StoreUnavailable("the log is closed")
        if self._waiting >= MOST_WAITING:
            raise StoreUnavailable(f"{MOST_WAITING} appends are waiting for the disk already")
        self._waiting += 1
        item.task = trio.lowlevel.current_task()
        self._queue.put(item)

        def give_up_waiting(_: object) -> trio.lowlevel.Abort:
            item.task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(give_up_waiting)
        if item.error is not None:
            raise item.error

    def close(self) -> None:
        """Write what waits, then end the thread."""
        self._closed = True
        self._queue.put(None)

    def _report(self, batch: list[Append | Job]) -> None:
        """Tell the tail and the tasks, in commit order."""
        self._waiting -= len(batch)
        committed = list[Recorded]()
        for item in batch:
            if isinstance(item, Append) and item.error is None:
                first = item.last - len(item.rows)
                item.records = to_records(item.stream, item.decisions, item.expected_version, first)
                committed.extend(item.records)
        self._tail.extend(committed)
        for item in batch:
            if item.task is not None:
                trio.lowlevel.reschedule(item.task)
                item.task = None

    # --- in the thread ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Write until closed; whatever comes wrong, every item gets its answer."""
        open_ = True
        while open_:
            batch, open_ = self._take()
            if batch or (self._tally.in_doubt and open_):
                self._commit(batch)
            if batch:
                self._trio.run_sync_soon(self._report, batch)
        self._discard_connection()

    def _take(self) -> tuple[list[Append | Job], bool]:
        """All that waits, up to MOST_ROWS rows; and whether more may come. Nothing when a look at the log is due."""
        batch: list[Append | Job] = []
        try:
            rows, item = 0, self._queue.get(timeout=DOUBT_PAUSE if self._tally.in_doubt else None)
        except queue.Empty:
            return batch, True
        while item is not None:
            batch.append(item)
            rows += len(item.rows) if isinstance(item, Append) else 1
            if rows >= MOST_ROWS:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[Append | Job]) -> None:
        self._began = perf_counter()
        try:
            connection = self._connection = self._connection or self._connect()
            self._settle_doubt(connection)
            appends = [item for item in batch if isinstance(item, Append)]
            try:
                if len(appends) == len(batch):
                    self._commit_together(connection, appends)
                else:
                    self._commit_singly(connection, batch)
            except (IntegrityError, *UNWRITABLE):
                self._tally.rewritten += 1
                self._commit_singly(connection, batch)
        except (sqlite3.Error, PersistenceError, OSError) as fault:
            self._fail(batch, StoreUnavailable(f"the log cannot be written: {fault}"))
        except Exception as fault:  # the thread must live on, and its askers must hear of it
            log.exception("the writer failed")
            self._fail(batch, StoreUnavailable(f"the log cannot be written: {fault!r}"))

    def _settle_doubt(self, connection: SQLiteConnection) -> None:
        """After a fault: tell how far the log really is before anything is written behind that."""
        if self._tally.in_doubt:
            with immediate(connection) as cursor:
                position, _ = self._recorder.head(cursor)
            self._trio.run_sync_soon(self._tail.skip_to, position)
            log.info("the log can be written again", position=position)
            self._tally.in_doubt = False

    def _fail(self, batch: list[Append | Job], error: StoreUnavailable) -> None:
        self._tally.failed += 1
        if not self._tally.in_doubt:
            log.error("the log cannot be written", reason=str(error))
        self._tally.in_doubt = True
        self._forget()
        self._discard_connection()
        batch.extend(self._others_waiting())
        for item in batch:
            item.error = StoreUnavailable(*error.args)

    def _others_waiting(self) -> list[Append | Job]:
        """All that waits behind a fault fails with it, rather than each for as long as a lock is waited for."""
        waiting: list[Append | Job] = []
        for _ in range(self._queue.qsize()):
            item = self._queue.get_nowait()
            if item is None:
                self._queue.put(None)
            else:
                waiting.append(item)
        return waiting

    def _discard_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except (sqlite3.Error, PersistenceError):
                log.warning("a connection to the log could not be closed")

    def _commit_together(self, connection: SQLiteConnection, batch: list[Append]) -> None:
        appended, rows = dict[str, int](), list[Row]()
        cursor = connection.cursor()
        for item in batch:
            item.error = self._conflict(cursor, item, appended)
            if item.error is not None:
                item.error = self._duplicate(cursor, item) or item.error
            if item.error is None:
                rows.extend(item.rows)
                appended[item.stream] = item.expected_version + len(item.rows)
            elif item.stream in appended and item.command_ids:
                raise IntegrityError("whether it repeats a command of this very batch shows once that is written")
        before = self._head or self._recorder.head(cursor)
        self._head = self._recorder.append_rows(connection, before, rows) if rows else before
        self._number(batch, before[0])
        self._remember(appended)
        self._count(len(rows))

    def _number(self, batch: list[Append], position: int) -> None:
        for item in batch:
            if item.error is None:
                position += len(item.rows)
                item.last = position

    def _commit_singly(self, connection: SQLiteConnection, batch: list[Append | Job]) -> None:
        """In one transaction too, but with a savepoint for each, so that one conflict stays one; and jobs with them."""
        self._forget()
        appended = dict[str, int]()
        with immediate(connection) as cursor:
            for item in batch:
                cursor.execute("SAVEPOINT one")
                item.error = self._write_one(cursor, item, appended)
                if item.error is not None:
                    cursor.execute("ROLLBACK TO one")
                elif isinstance(item, Append):
                    appended[item.stream] = item.expected_version + len(item.rows)
                cursor.execute("RELEASE one")
        self._remember(appended)
        self._count(sum(len(item.rows) for item in batch if isinstance(item, Append) and item.error is None))

    def _write_one(self, cursor: SQLiteCursor, item: Append | Job, appended: dict[str, int]) -> Exception | None:
        try:
            if isinstance(item, Job):
                item.work(cursor)
                return None
            if refusal := self._duplicate(cursor, item) or self._conflict(cursor, item, appended):
                return refusal
            item.last = self._recorder.insert_rows(cursor, item.rows)
        except sqlite3.IntegrityError as error:
            return StoreUnavailable(f"the log refused this: {error}")
        except UNWRITABLE as error:
            return error
        return None

    def _conflict(self, cursor: SQLiteCursor, item: Append, appended: dict[str, int]) -> Exception | None:
        actual = appended.get(item.stream)
        if actual is None:
            actual = self._versions.get(item.stream)
        if actual is None:
            actual = self._versions[item.stream] = self._stored_version(cursor, item.stream)
        if actual == item.expected_version:
            return None
        return WrongExpectedVersion(item.stream, item.expected_version, actual)

    def _stored_version(self, cursor: SQLiteCursor, stream: str) -> int:
        cursor.execute("SELECT MAX(originator_version) FROM stored_events WHERE originator_id = ?", (stream,))
        return cursor.fetchone()[0] or 0

    def _duplicate(self, cursor: SQLiteCursor, item: Append) -> DuplicateCommand | None:
        seen = set[str]()
        for command_id in item.command_ids:
            cursor.execute(
                "SELECT 1 FROM stored_events WHERE command_id = ? AND originator_id = ? AND command IS NOT NULL",
                (command_id, item.stream),
            )
            if command_id in seen or cursor.fetchone():
                return DuplicateCommand(item.stream, command_id)
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

    def _count(self, rows: int) -> None:
        self._tally.committed(rows, perf_counter() - self._began)
