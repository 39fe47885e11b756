"""Asking a log what happened: filters, pages that go on for ever, counts, and a walk through all that is meant.

Reads only, by connections of its own, on threads; also while a server writes to the log.
"""

from __future__ import annotations

import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import trio
from msgspec import Struct

from core.ports import StoreUnavailable
from eventstore import searching
from eventstore.questions import Filters, Span
from eventstore.recorder import TABLE
from eventstore.uris import reading_uri
from eventstore.words import phrases, says

__all__ = ["MOST_ON_PAGE", "AuditLog", "BadCursor", "Entry", "Filters", "Page"]

MOST_ON_PAGE = 1000
"""Entries of a page, and of a batch of a walk."""
READERS = 2
"""Threads that look up at one time."""
KEPT = 4
"""Connections kept open for the next one who asks."""

T = TypeVar("T")


class BadCursor(ValueError):
    """A cursor that was not given out for this question."""


class Entry(Struct, frozen=True):
    """One event with all the log says of it. `payload` and `command` are JSON, `time` µs UTC, `hash` hexadecimal."""

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
    hash: str


class Page(Struct, frozen=True):
    """Entries in order. With a cursor there is more to look at, even where a page has few entries or none."""

    entries: tuple[Entry, ...]
    next_cursor: str | None = None


class AuditLog:
    """The log in `path`, for questions. Its methods raise StoreUnavailable when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = trio.CapacityLimiter(READERS)
        self._idle: list[sqlite3.Connection] = []

    async def page(
        self, filters: Filters, *, cursor: str | None = None, limit: int = 100, newest_first: bool = False
    ) -> Page:
        """The next entries, from 1 to MOST_ON_PAGE, behind `cursor`. Raises BadCursor."""
        place = None if cursor is None else _place(cursor, filters, newest_first=newest_first)
        return await self._run(_page, filters, place, max(1, min(limit, MOST_ON_PAGE)), newest_first)

    async def count(self, filters: Filters, at_most: int = 100_000) -> tuple[int, bool]:
        """How many entries there are, and whether that is all of them: counting ends at `at_most`."""
        counted, after, head = 0, 0, await self.head()
        while counted < at_most:
            found = await self._run(searching.find, filters, Span(after, head), MOST_ON_PAGE)
            counted += len(found.rows)
            if (place := _end(found)) is None or place >= head:
                return min(counted, at_most), counted <= at_most
            after = place
        return at_most, False

    async def walk(
        self, filters: Filters, *, after: int = 0, until: int | None = None
    ) -> AsyncIterator[Sequence[Entry]]:
        """All entries with positions above `after` up to `until` (where the log ends now), in batches that are
        never empty; one batch in memory at a time."""
        head = await self.head() if until is None else until
        while after < head:
            found = await self._run(searching.find, filters, Span(after, head), MOST_ON_PAGE)
            if found.rows:
                yield tuple(map(_entry, found.rows))
            if (place := _end(found)) is None:
                return
            after = place

    async def head(self) -> int:
        """The last position."""
        return await self._run(_head)

    async def plan(self, filters: Filters) -> list[str]:
        """SQLite's plan for a page, for those who want to see which index it goes by."""
        return await self._run(lambda connection: list(searching.plan_of(connection, filters, _whole(connection))))

    def close(self) -> None:
        """Let the connections go; nobody may be asking."""
        while self._idle:
            self._idle.pop().close()

    # --- in threads ---------------------------------------------------------------------------------------------

    async def _run(self, look: Callable[..., T], *args: Any) -> T:
        try:
            return await trio.to_thread.run_sync(partial(self._with_connection, look, *args), limiter=self._threads)
        except sqlite3.Error as fault:
            raise StoreUnavailable(f"the log cannot be read: {fault}") from fault

    def _with_connection(self, look: Callable[..., T], *args: Any) -> T:
        with self._connection() as connection:
            return look(connection, *args)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One of those kept, or a new one; one that had a fault is not kept."""
        connection = self._idle.pop() if self._idle else self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < KEPT:
            self._idle.append(connection)
        else:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(reading_uri(self._path), uri=True, check_same_thread=False, isolation_level=None)
        connection.text_factory = lambda text: text.decode(errors="replace")
        connection.create_function("says", 6, _says)
        return connection


def _says(text: str, stream: str, version: int, name: str, state: str, command: str | None) -> bool:  # noqa: ARG001
    return says(phrases(text), state, command)


def _page(connection: sqlite3.Connection, filters: Filters, place: int | None, limit: int, newest_first: bool) -> Page:
    span = _behind(_whole(connection), place, newest_first=newest_first)
    found = searching.find(connection, filters, span, limit + 1)
    entries = tuple(map(_entry, found.rows[:limit]))
    reached = entries[-1].position if len(found.rows) > limit else found.reached
    return Page(entries, None if reached is None else _cursor(reached, filters, newest_first=newest_first))


def _whole(connection: sqlite3.Connection) -> Span:
    return Span(0, _head(connection))


def _head(connection: sqlite3.Connection) -> int:
    return connection.execute(f"SELECT MAX(rowid) FROM {TABLE}").fetchone()[0] or 0


def _behind(span: Span, place: int | None, *, newest_first: bool) -> Span:
    if place is None:
        return Span(span.low, span.high, newest_first)
    return Span(span.low, place - 1, True) if newest_first else Span(place, span.high)


def _end(found: searching.Found) -> int | None:
    """Where a walk goes on, None at its end."""
    if len(found.rows) == MOST_ON_PAGE:
        return int(found.rows[-1][0])
    return found.reached


def _entry(row: tuple[Any, ...]) -> Entry:
    (position, stream, version, event, payload, time, correlation, causation, command_id, principal, origin, command,
     hash_) = row  # fmt: skip
    return Entry(
        position, stream, version, event, payload, time, correlation, causation, command_id, principal, origin, command,
        hash_,
    )  # fmt: skip


# --- cursors ----------------------------------------------------------------------------------------------------


def _cursor(position: int, filters: Filters, *, newest_first: bool) -> str:
    return urlsafe_b64encode(msgspec.msgpack.encode((position, newest_first, _digest(filters)))).decode().rstrip("=")


def _place(cursor: str, filters: Filters, *, newest_first: bool) -> int:
    """The position a cursor stands for. Raises BadCursor."""
    try:
        content = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position, direction, digest = msgspec.msgpack.decode(content, type=tuple[int, bool, bytes])
    except (ValueError, msgspec.DecodeError):
        raise BadCursor("this is no cursor; begin without one") from None
    if direction != newest_first or digest != _digest(filters) or not 0 <= position < 1 << 63:
        raise BadCursor("this cursor belongs to another question; ask the same again, or begin without one")
    return position


def _digest(filters: Filters) -> bytes:
    return sha256(repr(msgspec.structs.astuple(filters)).encode()).digest()[:8]
