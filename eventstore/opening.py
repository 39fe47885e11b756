"""How a log file is opened: by one writer or by readers, and what is refused before anything is written."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from uuid import uuid4

import trio

from core.ports import StoreUnavailable
from eventstore.committer import Committer
from eventstore.locking import sole_writer
from eventstore.masterkey import MasterKey
from eventstore.recorder import IDENTITY, TABLE, LogDatastore, LogRecorder, PersistenceError, SQLiteConnection
from eventstore.renewal import renew_if_put_back
from eventstore.scribe import ProcessScribe
from eventstore.sqlite import SQLiteStore
from eventstore.subscription import Tail
from eventstore.unlocking import opener_of, vault_for
from eventstore.uris import has_tail, is_folder_writable, reading_uri, uri
from eventstore.writer import ThreadScribe, Writer

Connect = Callable[[LogDatastore], SQLiteConnection]


@asynccontextmanager
async def open_sqlite(
    path: Path, *, lock_timeout: int = 5, connect: Connect = LogDatastore.connect_writer, apart: bool = False,
    master: MasterKey | None = None,
) -> AsyncIterator[SQLiteStore]:  # fmt: skip
    """The log in `path`, created if need be, with this process as its one writer.

    `apart`: a process of its own commits, as servers want it; else a thread does, which starts sooner, by the
    connection that `connect` makes: tests have their faults from there. With a `master` key personal text is sealed.
    Raises StoreUnavailable when the file is no log, cannot be opened, another process writes to it, or its keys are
    wrapped with another master key.
    """
    path = await trio.to_thread.run_sync(path.resolve)  # one lock for one file, by whatever name
    async with sole_writer(path) as lock:
        await trio.to_thread.run_sync(_refuse_foreign, path)
        datastore = LogDatastore(uri(path, "rwc"), lock_timeout=lock_timeout)
        try:
            recorder = LogRecorder(datastore)
            epoch, head = await trio.to_thread.run_sync(_prepare, datastore, recorder, path)
            opener = await trio.to_thread.run_sync(vault_for, datastore, path, master)
            tail = Tail(head)
            by_thread = partial(ThreadScribe, Committer(recorder, partial(connect, datastore)))
            scribe = ProcessScribe(uri(path, "rw"), lock_timeout, lock) if apart else by_thread()
            writer = Writer(scribe, tail)
            async with _finishing(SQLiteStore(datastore, epoch, tail, writer, opener)) as store, _running(writer):
                yield store
        finally:
            datastore.close()


@asynccontextmanager
async def open_sqlite_read_only(path: Path, master: MasterKey | None = None) -> AsyncIterator[SQLiteStore]:
    """The log in `path` for reading, also while a server writes to it. Raises StoreUnavailable when there is none.

    It need not be writable, nor its folder. In a folder that is not, a log that nobody writes to is read as it is now:
    what a server appends from then on is not seen. Sealed text is read with the `master` key; without it, whoever
    reads that is refused.
    """
    if not await trio.to_thread.run_sync(_refuse_foreign, path):
        raise StoreUnavailable(f"there is no log at {path}; name one with --store sqlite:///PATH")
    datastore = LogDatastore(await trio.to_thread.run_sync(reading_uri, path))
    try:
        epoch, head = await trio.to_thread.run_sync(_identify, datastore, path)
        opener = await trio.to_thread.run_sync(opener_of, path, master)
        async with _finishing(SQLiteStore(datastore, epoch, Tail(head), None, opener)) as store:
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
    """The writer runs inside; on the way out it writes what waits."""
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
    with trio.CancelScope(shield=True):  # ends when the writer is closed, which happens on every way out
        await writer.run()


def _refuse_foreign(path: Path) -> bool:
    """Before anything is written: what is there already must be a log. Whether there is. Raises StoreUnavailable."""
    if not path.exists():
        return False
    if path.is_dir():
        raise StoreUnavailable(f"{path} is a folder, and no Callboard log")
    try:
        with closing(sqlite3.connect(reading_uri(path), uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error as fault:
        raise StoreUnavailable(_complaint(path, fault)) from fault
    if tables and IDENTITY not in tables:
        raise StoreUnavailable(f"{path} is not a Callboard log: it is another program's database")
    return bool(tables)


def _complaint(path: Path, fault: sqlite3.Error) -> str:
    """Why the file cannot be read: what is no database, and what only may not be read, are two things."""
    # The lower byte of the code is its kind (sqlite.org/rescode.html); other faults than SQLite's own have none.
    if getattr(fault, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
        return f"{path} is not a Callboard log: {fault}"
    if has_tail(path) and not is_folder_writable(path):
        reason = f"its newest events are in {path.name}-wal, and to read those its folder must be writable"
        return f"the log {path} cannot be read: {reason}; copy both files into a folder of yours and read them there"
    return f"the log {path} cannot be read: {fault}; see that you may read it, and what begins like it in its folder"


def _prepare(datastore: LogDatastore, recorder: LogRecorder, path: Path) -> tuple[str, int]:
    try:
        recorder.create_table()
        with datastore.transaction(commit=True) as cursor:
            cursor.execute(f"INSERT OR IGNORE INTO {IDENTITY} VALUES ('epoch', ?)", (uuid4().hex[:16],))
            renew_if_put_back(path, cursor.sqlite_cursor)
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
