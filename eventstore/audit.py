"""Asking a log what happened: filters, pages that go on for ever, counts, and a walk through all that is meant.

Reads only, by connections of its own, on threads; also while a server writes to the log.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import trio
from msgspec import Struct, structs

from core.ports import StoreUnavailable
from eventstore import searching
from eventstore.archives import explained, teach
from eventstore.codec import Undecodable
from eventstore.cursors import Place, cursor_at, place_of
from eventstore.index import Opener, as_text
from eventstore.index_reading import index_path, known_level
from eventstore.questions import Filters, Span
from eventstore.recorder import TABLE
from eventstore.searching import View
from eventstore.turns import give_way
from eventstore.uris import reading_uri
from eventstore.words import phrases, says

__all__ = ["MOST_ON_PAGE", "AuditLog", "Columns", "Entry", "Filters", "Page", "TooBroad"]

MOST_ON_PAGE = 1000
"""Entries."""
IN_BATCH = 250
"""Entries read at one go by a walk, which may have to give way (eventstore/turns.py)."""
READERS = 2
"""Threads that look up at one time."""
MOST_LOOKS = 100
"""Looks at the log for one count."""
KEPT = 4
"""Connections kept open for the next one who asks."""

SECONDS = 2.0
"""How long one look for a page or a count may take: there are but few readers."""
STEPS = 5_000
"""Steps of SQLite between two looks at the clock; the merging of many words takes few steps for its time."""

T = TypeVar("T")


class TooBroad(ValueError):
    """A question that would keep a reader busy for too long."""


class Columns(Struct, frozen=True):
    """One event with all that is hashed of it. `payload` and `command` are JSON, `time` is µs UTC."""

    position: int
    stream: str
    version: int
    event: str
    payload: str
    time: int
    correlation: str
    causation: str | None
    command_id: str | None
    principal: str
    origin: str
    command: str | None


class Entry(Columns, frozen=True):
    """One event with all the log says of it; `hash` is hexadecimal."""

    hash: str


class Page(Struct, frozen=True):
    """Entries in order. With a cursor there is more to look at, even where a page has few entries or none."""

    entries: tuple[Entry, ...]
    next_cursor: str | None = None


class AuditLog:
    """The log in `path`, for questions; `opener` where it has sealed texts. Methods raise StoreUnavailable.

    What the index beside the log has is looked up there, the rest in the log itself: answers are the same with a stale
    index or none, but take more pages.
    """

    def __init__(self, path: Path, opener: Opener | None = None) -> None:
        self._path, self._opener = path, opener
        self._threads = trio.CapacityLimiter(READERS)
        self._idle: list[Reader] = []

    async def page(
        self, filters: Filters, *, cursor: str | None = None, limit: int = 100, newest_first: bool = False
    ) -> Page:
        """The next entries, from 1 to MOST_ON_PAGE, behind `cursor`; all pages are of the log as it was at the first.
        Raises BadCursor, TooBroad."""
        place = None if cursor is None else place_of(cursor, filters, newest_first=newest_first)
        limit = max(1, min(limit, MOST_ON_PAGE))
        return await self._run(self._page, filters, place, limit, newest_first, seconds=SECONDS)

    async def count(self, filters: Filters, at_most: int = 100_000) -> tuple[int, bool]:
        """How many entries there are, and whether that is all of them: counting ends at `at_most`, and where it would
        take reading all of a large log. Raises TooBroad."""
        counted, after, head, looks, until = 0, 0, await self.head(), 0, perf_counter() + SECONDS
        while counted < at_most and looks < MOST_LOOKS and (looks == 0 or perf_counter() < until):
            ask = filters, Span(after, head), at_most - counted + 1
            more, reached = await self._run(searching.count, *ask, seconds=SECONDS)
            counted, looks = counted + more, looks + 1
            if reached is None:
                return min(counted, at_most), counted <= at_most
            after = reached
        return min(counted, at_most), False

    async def walk(
        self, filters: Filters, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[Sequence[Entry]]:
        """All entries with positions above `after` up to `until` (where the log ends now), in batches that are
        never empty; one batch in memory at a time."""
        head = await self.head() if until is None else until
        while after < head:
            entries, place = await self._run(self._batch, filters, Span(after, head))
            if entries:
                yield entries
            if place is None:
                return
            after = place

    async def event(self, stream: str, version: int) -> Entry | None:
        """One event, None where there is none."""
        entries = await self._run(lambda view: self._entries(searching.event(view, stream, version)))
        return entries[0] if entries else None

    async def head(self) -> int:
        """The last position."""
        return await self._run(_head)

    async def plan(self, filters: Filters, *, newest_first: bool = False, counting: bool = False) -> list[str]:
        """SQLite's plan for a page or a count, for those who want to see which index it goes by."""

        def explain(view: View) -> list[str]:
            return list(searching.plan_of(view, filters, Span(0, _head(view), newest_first), counting=counting))

        return await self._run(explain)

    def close(self) -> None:
        """Let the connections go; nobody may be asking."""
        while self._idle:
            self._idle.pop().close()

    # --- in threads ---------------------------------------------------------------------------------------------

    def _entries(self, rows: Sequence[tuple[Any, ...]]) -> tuple[Entry, ...]:
        entries = list[Entry]()
        for row in rows:
            entries.append(_entry(row, self._opener))
            give_way()
        return tuple(entries)

    def _page(self, view: View, filters: Filters, place: Place | None, limit: int, newest_first: bool) -> Page:
        head = _head(view) if place is None else min(place.head, _head(view))
        begin = Place(head + 1 if newest_first else 0, head) if place is None else Place(place.position, head)
        span = begin.span(newest_first=newest_first)
        found = searching.find(view, filters, span, limit + 1)
        entries = self._entries(found.rows[:limit])
        reached = entries[-1].position if len(found.rows) > limit else found.reached
        if reached is None:
            return Page(entries)
        return Page(entries, cursor_at(Place(reached, head), filters, newest_first=newest_first))

    def _batch(self, view: View, filters: Filters, span: Span) -> tuple[tuple[Entry, ...], int | None]:
        """The next of a walk, and where it goes on, None at its end."""
        found = searching.find(view, filters, span, IN_BATCH)
        entries = self._entries(found.rows)
        return entries, entries[-1].position if len(entries) == IN_BATCH else found.reached

    async def _run(self, look: Callable[..., T], *args: Any, seconds: float = math.inf) -> T:
        """Raises TooBroad when it takes more than `seconds`."""
        try:
            return await trio.to_thread.run_sync(partial(self._look, seconds, look, *args), limiter=self._threads)
        except (sqlite3.Error, Undecodable) as fault:
            if getattr(fault, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                raise TooBroad("too broad: ask for less, or for words that are not so common") from None
            raise StoreUnavailable(f"the log cannot be read: {explained(fault)}") from fault

    def _look(self, seconds: float, look: Callable[..., T], *args: Any) -> T:
        """Log and index as they are at one moment: whoever makes the index anew is not in between."""
        with self._connected() as connection, _ending_after(connection, seconds):
            view = View(connection, _level(connection))
            return look(view, *args)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """One of the connections kept, or a new one; one that had a fault is not kept, nor one to an index that is no
        more the index."""
        reader = self._idle.pop() if self._idle else self._connect()
        if reader.index != _identity(self._path):
            reader.close()
            reader = self._connect()
        connection = reader.connection
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            reader.close()
            raise
        if len(self._idle) < KEPT:
            self._idle.append(reader)
        else:
            reader.close()

    def _connect(self) -> Reader:
        connection = sqlite3.connect(reading_uri(self._path), uri=True, check_same_thread=False, isolation_level=None)
        teach(connection, self._path)
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.create_function("says", 6, self._says)
        index = _identity(self._path)
        if index is not None:
            with suppress(sqlite3.Error):
                connection.execute("ATTACH ? AS side", (reading_uri(index_path(self._path)),))
        return Reader(connection, index)

    def _says(self, text: str, stream: str, version: int, name: str, state: str, command: str | None) -> bool:
        if self._opener is not None:
            state = as_text(self._opener.event(stream, version, name, state))
            command = as_text(self._opener.command(stream, version, command))
        return says(phrases(text), state, command)


@dataclass(frozen=True, slots=True)
class Reader:
    """A connection, and which file was the index when it was made."""

    connection: sqlite3.Connection
    index: tuple[int, int] | None

    def close(self) -> None:
        self.connection.close()


@contextmanager
def _ending_after(connection: sqlite3.Connection, seconds: float) -> Iterator[None]:
    """What is looked for meanwhile is interrupted then."""
    until = perf_counter() + seconds

    def is_over() -> bool:
        give_way()
        return perf_counter() > until

    connection.set_progress_handler(is_over, STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _identity(log: Path) -> tuple[int, int] | None:
    """Which file the log's index is, None while there is none."""
    try:
        status = index_path(log).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _level(connection: sqlite3.Connection) -> int:
    """How far the index can be relied on; what is no index, not at all."""
    try:
        return known_level(connection, "side", "main")
    except sqlite3.Error:
        return 0


def _head(view: View) -> int:
    return view.connection.execute(f"SELECT MAX(rowid) FROM {TABLE}").fetchone()[0] or 0


def _entry(row: tuple[Any, ...], opener: Opener | None) -> Entry:
    entry = Entry(*row)
    if opener is None:
        return entry
    payload = as_text(opener.event(entry.stream, entry.version, entry.event, entry.payload))
    command = None if entry.command is None else as_text(opener.command(entry.stream, entry.version, entry.command))
    return structs.replace(entry, payload=payload, command=command)
