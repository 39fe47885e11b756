"""The durable store: one SQLite file in WAL mode, one writer, readers of their own, SQL never on the event loop."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import trio

from core.identifiers import StreamName
from core.messages import Decision, Recorded, Stamp
from core.ports import StoreUnavailable
from eventstore.archives import STATE, columns_of, explained
from eventstore.batches import Statement, Work
from eventstore.chain import COLUMNS, Row
from eventstore.codec import Undecodable, UnknownName, events
from eventstore.decisions import Unreadable, decisions
from eventstore.proofs import Select
from eventstore.recorder import TABLE, LogDatastore, PersistenceError
from eventstore.rows import to_rows
from eventstore.sealed_rows import SealedRows
from eventstore.sealing import Opener, Vault
from eventstore.subjects import FIRST, First
from eventstore.subscription import LogSubscription, Tail
from eventstore.waiting import Append, Job, WriterStatistics
from eventstore.writer import Writer

BEFORE_ALL = -(1 << 63)
"""A position before any a row can have, so that rows put in where no event can be are found too."""
READERS = 4
"""Threads that read at one time."""

T = TypeVar("T")

_RECORD = (
    f"rowid, originator_id, originator_version, topic, {STATE}, correlation_id, recorded_at, command_id, causation_id, "
    "principal, origin"
)
_ROW = columns_of((*COLUMNS, "hash"), "BLOB")


class SQLiteStore:
    """`core.ports.EventStore` on one file. Opened by `eventstore.opening`."""

    def __init__(
        self, datastore: LogDatastore, epoch: str, tail: Tail, writer: Writer | None, opener: Opener | None = None
    ) -> None:
        self.epoch, self.opener = epoch, opener
        self._datastore, self._tail, self._writer = datastore, tail, writer
        self._sealing = SealedRows(opener, self._read_first) if isinstance(opener, Vault) else None
        self._readers = trio.CapacityLimiter(READERS)
        self._finished = False

    @property
    def head(self) -> int:
        return self._tail.head

    @property
    def forgettings(self) -> int:
        return self.opener.forgettings if isinstance(self.opener, Vault) else 0

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
        if self._sealing is None:
            rows, ids = to_rows(stream, decisions, expected_version)
        else:
            rows, ids = await self._sealing.to_rows(stream, decisions, expected_version)
        append = Append(stream, expected_version, decisions, Work(str(stream), expected_version, rows, ids))
        await self._writing.write(append)
        return append.records

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

    async def read_commands(self, stream: StreamName) -> dict[int, Any]:
        return await self._read(self._select_commands, stream)

    async def read_rows(self, *, after: int = BEFORE_ALL, limit: int = 1000) -> list[Row]:
        """The stored rows (chain.COLUMNS and the hash), as they are: for verification. Raises StoreUnavailable."""
        query = f"SELECT {_ROW} FROM {TABLE} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        return await self._read(self._select, query, (after, limit))

    def subscribe(self, *, after: int = 0) -> LogSubscription:
        return LogSubscription(self._tail, lambda after, limit: self.read_all(after=after, limit=limit), after)

    async def load_checkpoint(self, name: str) -> tuple[int, bytes] | None:
        query = "SELECT position, CAST(view AS BLOB) FROM checkpoints WHERE name = ?"
        rows = await self._read(self._select, query, (name,))
        if not rows:
            return None
        position, saved = rows[0]
        view = saved if self.opener is None else await self._read(self.opener.view, name, position, saved)
        return None if view is None else (position, view)

    async def save_checkpoint(self, name: str, position: int, view: bytes) -> None:
        if isinstance(self.opener, Vault):
            view = await self.opener.sealed_view(name, position, view)
        statement = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, CAST(? AS TEXT))"
        await self.write(Statement(statement, (name, position, view)))

    async def write(self, statement: Statement) -> None:
        """Anything else, by the connection that writes; durable afterwards. Raises StoreUnavailable."""
        await self._writing.write(Job(statement))

    async def save_note(self, size: int, note: str) -> None:
        """Keep a checkpoint of the chain (eventstore.checkpoints), for ever."""
        await self.write(Statement("INSERT INTO chain_checkpoints VALUES (?, ?)", (size, note)))

    async def look(self, reading: Callable[[Select], T]) -> T:
        """What `reading` makes of the log's tables as they are; in a thread. Raises StoreUnavailable."""
        return await self._read(reading, self._select)

    async def poll(self) -> int:
        """Look how far the log has come by another process's doing, and return the head. For read-only followers."""
        rows = await self._read(self._select, f"SELECT MAX(rowid) FROM {TABLE}", ())
        self._tail.skip_to(rows[0][0] or 0)
        return self.head

    async def settle_readers(self) -> None:
        """Wait until whoever reads now has read, and let nobody get what was read before from memory."""
        self._tail.drop()
        with trio.CancelScope(shield=True):  # as in `finish`
            for place in range(READERS):
                await self._readers.acquire_on_behalf_of((self, place))
            for place in range(READERS):
                self._readers.release_on_behalf_of((self, place))
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()  # those who have read have gone on

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
        if self.opener is not None:
            self.opener.close()

    # --- in reader threads --------------------------------------------------------------------------------------

    async def _read(self, read: Callable[..., T], *args: Any) -> T:
        if self._finished:
            raise StoreUnavailable("the log is closed")
        try:
            return await trio.to_thread.run_sync(partial(read, *args), limiter=self._readers)
        except (sqlite3.Error, PersistenceError, UnknownName, Undecodable, Unreadable) as fault:
            raise StoreUnavailable(f"the log cannot be read: {explained(fault)}") from fault

    def _select(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        with self._datastore.transaction(commit=False) as cursor:
            rows = cursor.sqlite_cursor
            rows.row_factory = None  # plain tuples: a third of the price of named rows
            return rows.execute(query, parameters).fetchall()

    def _select_records(self, query: str, parameters: tuple[Any, ...]) -> list[Recorded]:
        decode, rows = events.decode, self._select(query, parameters)
        if self.opener is not None:
            opened = self.opener.event
            rows = [(row[0], *row[1:4], opened(*row[1:5]), *row[5:]) for row in rows]
        return [
            Recorded(position, StreamName(stream), version, decode(name, state), Stamp(*stamp))
            for position, stream, version, name, state, *stamp in rows
        ]

    def _select_events(self, stream: StreamName, after: int) -> list[Any]:
        version = "" if self.opener is None else ", originator_version"
        query = f"SELECT topic, {STATE}{version} FROM {TABLE} WHERE originator_id = ? AND originator_version > ? "
        rows = self._select(query + "ORDER BY originator_version", (stream, after))
        decode = events.decode
        if self.opener is not None:
            opened = self.opener.event
            rows = [(name, opened(stream, version, name, state)) for name, state, version in rows]
        return [decode(name, state) for name, state in rows]

    async def _read_first(self, stream: str) -> First | None:
        rows = await self._read(self._select, FIRST, (stream,))
        return rows[0] if rows else None

    def _select_commands(self, stream: StreamName) -> dict[int, Any]:
        found, version = dict[int, Any](), 1
        with self._datastore.transaction(commit=False) as cursor:
            rows = cursor.sqlite_cursor
            rows.row_factory = None
            for command, recorded in decisions(rows, stream, self.opener):
                found[version], version = command, version + len(recorded)
        return found

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
