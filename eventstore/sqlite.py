"""The durable store: one SQLite file in WAL mode, one writer, readers of their own, SQL never on the event loop."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import trio
from msgspec import json

from core.identifiers import StreamName
from core.messages import Decision, Recorded, Stamp
from core.ports import StoreUnavailable
from eventstore.chain import COLUMNS, Row
from eventstore.codec import Undecodable, UnknownName, commands, events
from eventstore.recorder import IDENTITY, TABLE, LogDatastore, LogRecorder, PersistenceError, SQLiteConnection
from eventstore.subscription import LogSubscription, Tail
from eventstore.writer import Append, Job, Writer, WriterStatistics

READERS = 4
"""Threads that read at one time."""

T = TypeVar("T")

_RECORD = (
    "rowid, originator_id, originator_version, topic, state, correlation_id, recorded_at, command_id, causation_id, "
    "principal, origin"
)
_ROW = ", ".join(f"CAST({name} AS BLOB)" if name in ("state", "command") else name for name in (*COLUMNS, "hash"))
_encode = json.Encoder().encode


class SQLiteStore:
    """`core.ports.EventStore` on one file. Opened by `open_sqlite` (one writer) or `open_sqlite_read_only`."""

    def __init__(self, datastore: LogDatastore, epoch: str, tail: Tail, writer: Writer | None) -> None:
        self.epoch = epoch
        self._datastore, self._tail, self._writer = datastore, tail, writer
        self._readers = trio.CapacityLimiter(READERS)
        self._finished = False

    @property
    def head(self) -> int:
        return self._tail.head

    @property
    def statistics(self) -> WriterStatistics:
        return self._writing.statistics

    @property
    def _writing(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable("the log was opened for reading only")
        return self._writer

    async def append(
        self, stream: StreamName, decisions: Sequence[Decision], *, expected_version: int
    ) -> tuple[Recorded, ...]:
        rows, ids = _rows(stream, decisions, expected_version)
        committed: list[tuple[Recorded, ...]] = []

        def on_durable(append: Append) -> None:
            records = _records(stream, decisions, expected_version, append.last - len(rows))
            committed.append(records)
            self._tail.extend(records)

        await self._writing.write(Append(stream, expected_version, rows, ids, on_durable))
        return committed[0]

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        query = f"SELECT {_RECORD} FROM {TABLE} WHERE originator_id = ? AND originator_version > ? "
        query += "ORDER BY originator_version LIMIT ?"
        return await self._read(self._select_records, query, (stream, after, -1 if limit is None else limit))

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> list[Recorded]:
        query = f"SELECT {_RECORD} FROM {TABLE} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        return await self._read(self._select_records, query, (after, limit))

    async def read_events(self, stream: StreamName, *, after: int = 0) -> list[Any]:
        return await self._read(self._select_events, stream, after)

    async def read_outcome(self, stream: StreamName, command_id: str) -> tuple[Recorded, ...]:
        return await self._read(self._select_outcome, stream, command_id)

    async def read_rows(self, *, after: int = 0, limit: int = 1000) -> list[Row]:
        """The stored rows (chain.COLUMNS and the hash), as they are: for verification. Raises StoreUnavailable."""
        query = f"SELECT {_ROW} FROM {TABLE} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        return await self._read(self._select, query, (after, limit))

    def subscribe(self, *, after: int = 0) -> LogSubscription:
        return LogSubscription(self._tail, lambda after, limit: self.read_all(after=after, limit=limit), after)

    async def load_checkpoint(self, name: str) -> tuple[int, bytes] | None:
        query = "SELECT position, CAST(view AS BLOB) FROM checkpoints WHERE name = ?"
        rows = await self._read(self._select, query, (name,))
        return (rows[0][0], rows[0][1]) if rows else None

    async def save_checkpoint(self, name: str, position: int, view: bytes) -> None:
        statement = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, CAST(? AS TEXT))"
        await self._writing.write(Job(lambda cursor: cursor.execute(statement, (name, position, view))))

    async def poll(self) -> int:
        """Look how far the log has come by another process's doing, and return the head. For read-only followers."""
        rows = await self._read(self._select, f"SELECT MAX(rowid) FROM {TABLE}", ())
        self._tail.skip_to(rows[0][0] or 0)
        return self.head

    def close(self) -> None:
        """End every subscription."""
        self._tail.close("the log is closed")

    async def finish(self) -> None:
        """Close, and wait for those who read: a database closed under one of them takes the whole process down."""
        self.close()
        self._finished = True
        with trio.CancelScope(shield=True):  # no longer than the queries under way
            for place in range(READERS):
                await self._readers.acquire_on_behalf_of((self, place))

    # --- in reader threads --------------------------------------------------------------------------------------

    async def _read(self, read: Callable[..., T], *args: Any) -> T:
        if self._finished:
            raise StoreUnavailable("the log is closed")
        try:
            return await trio.to_thread.run_sync(partial(read, *args), limiter=self._readers)
        except (sqlite3.Error, PersistenceError, UnknownName, Undecodable) as fault:
            raise StoreUnavailable(f"the log cannot be read: {fault}") from fault

    def _select(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        with self._datastore.transaction(commit=False) as cursor:
            rows = cursor.sqlite_cursor
            rows.row_factory = None  # plain tuples: a third of the price of named rows
            return rows.execute(query, parameters).fetchall()

    def _select_records(self, query: str, parameters: tuple[Any, ...]) -> list[Recorded]:
        decode = events.decode
        return [
            Recorded(position, StreamName(stream), version, decode(name, state), Stamp(*stamp))
            for position, stream, version, name, state, *stamp in self._select(query, parameters)
        ]

    def _select_events(self, stream: StreamName, after: int) -> list[Any]:
        query = f"SELECT topic, state FROM {TABLE} WHERE originator_id = ? AND originator_version > ? "
        rows = self._select(query + "ORDER BY originator_version", (stream, after))
        decode = events.decode
        return [decode(name, state) for name, state in rows]

    def _select_outcome(self, stream: StreamName, command_id: str) -> tuple[Recorded, ...]:
        """The first event of the command by the index of commands, the others behind it as they share its id."""
        query = f"SELECT originator_version FROM {TABLE} WHERE command_id = ? AND originator_id = ? "
        first = self._select(query + "AND command IS NOT NULL", (command_id, stream))
        if not first:
            return ()
        query = f"SELECT {_RECORD} FROM {TABLE} WHERE originator_id = ? AND originator_version >= ? "
        query += "AND originator_version < COALESCE((SELECT MIN(originator_version) FROM stored_events "
        query += "WHERE originator_id = ? AND originator_version > ? AND command IS NOT NULL), 1 << 62) "
        query += "ORDER BY originator_version"
        version = first[0][0]
        return tuple(self._select_records(query, (stream, version, stream, version)))


def _rows(stream: StreamName, decisions: Sequence[Decision], version: int) -> tuple[list[Row], list[str]]:
    """The rows to insert (chain.COLUMNS without the position), and the command ids among them."""
    rows: list[Row] = []
    ids: list[str] = []
    name_of_stream = str(stream)  # SQLite and MessagePack are quicker with a plain one
    for decision in decisions:
        stamp = decision.stamp
        command: bytes | None = _command(decision.command)
        if stamp.command_id is not None:
            ids.append(stamp.command_id)
        for event in decision.events:
            version += 1
            name, state = events.encode(event)
            rows.append(
                (name_of_stream, version, name, state, stamp.time, stamp.correlation_id, stamp.causation_id,
                 stamp.command_id, stamp.principal, stamp.origin, command)
            )  # fmt: skip
            command = None
    return rows, ids


def _command(command: Any) -> bytes:
    return b'{"name":"%s","body":%s}' % (commands.name_of(type(command)).encode(), _encode(command))


def _records(
    stream: StreamName, decisions: Sequence[Decision], version: int, position: int
) -> tuple[Recorded, ...]:
    pairs = [(event, decision.stamp) for decision in decisions for event in decision.events]
    return tuple(
        Recorded(position + n, stream, version + n, event, stamp) for n, (event, stamp) in enumerate(pairs, start=1)
    )


Connect = Callable[[LogDatastore], SQLiteConnection]


@asynccontextmanager
async def open_sqlite(
    path: Path, *, lock_timeout: int = 5, connect: Connect = LogDatastore.connect_writer
) -> AsyncIterator[SQLiteStore]:
    """The log in `path`, created if need be, with this process as its one writer.

    `connect` makes the connection that writes; tests have their faults from there. Raises StoreUnavailable when the
    file is no log, cannot be opened, or another process writes to it.
    """
    with _sole_writer(path):
        await trio.to_thread.run_sync(_refuse_foreign, path)
        datastore = LogDatastore(_uri(path, "rwc"), lock_timeout=lock_timeout)
        try:
            recorder = LogRecorder(datastore)
            epoch, head = await trio.to_thread.run_sync(_prepare, datastore, recorder, path)
            tail = Tail(head)
            writer = Writer(recorder, partial(connect, datastore), tail.skip_to)
            async with _finishing(SQLiteStore(datastore, epoch, tail, writer)) as store, _running(writer):
                yield store
        finally:
            datastore.close()


@asynccontextmanager
async def open_sqlite_read_only(path: Path) -> AsyncIterator[SQLiteStore]:
    """The log in `path` for reading, also while a server writes to it. Raises StoreUnavailable when there is none."""
    if not await trio.to_thread.run_sync(_refuse_foreign, path):
        raise StoreUnavailable(f"there is no log at {path}")
    datastore = LogDatastore(_uri(path, "ro"))
    try:
        epoch, head = await trio.to_thread.run_sync(_identify, datastore, path)
        async with _finishing(SQLiteStore(datastore, epoch, Tail(head), None)) as store:
            yield store
    finally:
        datastore.close()


@asynccontextmanager
async def _finishing(store: SQLiteStore) -> AsyncIterator[SQLiteStore]:
    try:
        yield store
    finally:
        await store.finish()


@asynccontextmanager
async def _running(writer: Writer) -> AsyncIterator[None]:
    """The writer's thread runs inside; on the way out it writes what waits."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run, writer)
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised below: the nursery would wrap what its task has no part in
            failure = error
        finally:
            writer.close()
    if failure is not None:
        raise failure


async def _run(writer: Writer) -> None:
    """The writer's thread: never abandoned, as its database must not be closed under it."""
    with trio.CancelScope(shield=True):  # ends when the writer is closed, which happens on every way out
        await trio.to_thread.run_sync(writer.run, limiter=trio.CapacityLimiter(1))


def _uri(path: Path, mode: str) -> str:
    """The file as SQLite wants it named, whatever characters its path has. Mode "ro" or "rwc"."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def _refuse_foreign(path: Path) -> bool:
    """Before anything is written: what is there already must be a log. Whether there is. Raises StoreUnavailable."""
    if not path.exists():
        return False
    if path.is_dir():
        raise StoreUnavailable(f"{path} is a folder, and no Callboard log")
    try:
        with closing(sqlite3.connect(_uri(path, "ro"), uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as fault:
        raise StoreUnavailable(f"{path} is not a Callboard log: {fault}") from fault
    if tables and IDENTITY not in tables:
        raise StoreUnavailable(f"{path} is not a Callboard log: it is another program's database")
    return bool(tables)


def _prepare(datastore: LogDatastore, recorder: LogRecorder, path: Path) -> tuple[str, int]:
    try:
        recorder.create_table()
        with datastore.transaction(commit=True) as cursor:
            cursor.execute(f"INSERT OR IGNORE INTO {IDENTITY} VALUES ('epoch', ?)", (uuid4().hex[:16],))
    except (sqlite3.Error, PersistenceError) as fault:
        raise StoreUnavailable(f"the log {path} cannot be opened: {fault}") from fault
    return _identify(datastore, path)


def _identify(datastore: LogDatastore, path: Path) -> tuple[str, int]:
    """Epoch and head of the log."""
    try:
        with datastore.transaction(commit=False) as cursor:
            cursor.execute(f"SELECT value FROM {IDENTITY} WHERE name = 'epoch'")
            epoch = cursor.fetchone()[0]
            cursor.execute(f"SELECT MAX(rowid) FROM {TABLE}")
            return epoch, cursor.fetchone()[0] or 0
    except (sqlite3.Error, PersistenceError, TypeError) as fault:
        raise StoreUnavailable(f"{path} is not a Callboard log: {fault}") from fault


@contextmanager
def _sole_writer(path: Path) -> Iterator[None]:
    """Hold the file `<path>-lock`, so that two servers cannot take the same log for theirs."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as fault:
        raise StoreUnavailable(f"the log {path} cannot be opened: {fault}") from fault
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreUnavailable(f"another process is serving {path}") from None
        yield
    finally:
        os.close(lock)
