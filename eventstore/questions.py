"""What is asked of a log, and the SQL that answers it: always by an index, always in the order of positions.

A question has conditions, and a source of candidates: positions found by one index, between two bounds, in order. Every
page goes on at a position (keyset pagination), so that the hundredth costs what the first did.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Protocol

from msgspec import Struct

from core.decider import CommandRejected
from eventstore.archives import command_of, state_of
from eventstore.codec import events
from eventstore.recorder import TABLE

REJECTED = events.name_of(CommandRejected).partition("/")[0]
"""The stored name of a refusal, without its version."""


class Filters(Struct, frozen=True):
    """What to look for; all that is given must hold, and without anything given everything does.

    `event` is a stored name, with its version or without. `origin` is a connection. Times are µs UTC, `since`
    belongs to what is wanted and `until` does not. `text` is what `eventstore.words` makes of it. `rejected`: refusals
    alone, or all but those.
    """

    stream: str | None = None
    category: str | None = None
    event: str | None = None
    principal: str | None = None
    correlation: str | None = None
    causation: str | None = None
    origin: str | None = None
    command_id: str | None = None
    since: int | None = None
    until: int | None = None
    text: str | None = None
    rejected: bool | None = None


class Span(Struct, frozen=True):
    """The positions above `low` up to `high`, in one direction."""

    low: int
    high: int
    newest_first: bool = False

    @property
    def order(self) -> str:
        return "DESC" if self.newest_first else "ASC"


class Select(Struct, frozen=True):
    """SQL and the values it takes."""

    sql: str
    values: tuple[Any, ...] = ()


class Source(Protocol):
    """Where candidates come from."""

    @property
    def settles(self) -> frozenset[str]:
        """The filters that hold for every candidate."""

    def select(self, connection: sqlite3.Connection, span: Span) -> Select:
        """Their positions as `r`, in the span's order, without a limit."""


class ByPosition(Struct, frozen=True):
    """All of the log."""

    settles: frozenset[str] = frozenset()

    def select(self, connection: sqlite3.Connection, span: Span) -> Select:  # noqa: ARG002  # the protocol's
        sql = f"SELECT rowid AS r FROM {TABLE} WHERE rowid > ? AND rowid <= ? ORDER BY rowid {span.order}"
        return Select(sql, (span.low, span.high))


class ByColumn(Struct, frozen=True):
    """By an index of the log's own on one column, which has one of `values`. Such an index is in order of positions."""

    settles: frozenset[str]
    index: str
    column: str
    values: tuple[str, ...]

    def select(self, connection: sqlite3.Connection, span: Span) -> Select:  # noqa: ARG002  # the protocol's
        arm = f"SELECT rowid AS r FROM {TABLE} INDEXED BY {self.index} WHERE {self.column} = ? "
        arm += "AND rowid > ? AND rowid <= ?"
        arms = " UNION ALL ".join([arm] * len(self.values)) if self.values else "SELECT 0 AS r WHERE 0"
        values = tuple(value for each in self.values for value in (each, span.low, span.high))
        return Select(f"{arms} ORDER BY r {span.order}", values)


class ByStream(Struct, frozen=True):
    """By the key of the log: in a stream versions and positions have one order."""

    stream: str
    settles: frozenset[str] = frozenset({"stream"})

    def select(self, connection: sqlite3.Connection, span: Span) -> Select:
        sql = f"SELECT rowid AS r FROM {TABLE} WHERE originator_id = ? AND originator_version > ? "
        sql += f"AND originator_version <= ? ORDER BY originator_version {span.order}"
        low, high = (self._version_at(connection, position) for position in (span.low, span.high))
        return Select(sql, (self.stream, low, high))

    def _version_at(self, connection: sqlite3.Connection, position: int) -> int:
        """The stream's version once the log had come to `position`, by halving."""
        newest = f"SELECT MAX(originator_version) FROM {TABLE} WHERE originator_id = ?"
        low, high = 0, connection.execute(newest, (self.stream,)).fetchone()[0] or 0
        query = f"SELECT rowid FROM {TABLE} WHERE originator_id = ? AND originator_version >= ? "
        query += "ORDER BY originator_version LIMIT 1"
        while low < high:
            middle = (low + high + 1) // 2
            above = connection.execute(query, (self.stream, middle)).fetchone()[0] > position
            low, high = (low, middle - 1) if above else (middle, high)
        return low


class ByCommand(Struct, frozen=True):
    """By the index of command ids, which has the first event of each decision; the others follow in its stream."""

    command_id: str
    settles: frozenset[str] = frozenset({"command_id"})

    def select(self, connection: sqlite3.Connection, span: Span) -> Select:  # noqa: ARG002  # the protocol's
        sql = (
            f"SELECT rest.rowid AS r FROM {TABLE} AS first INDEXED BY by_command CROSS JOIN {TABLE} AS rest "
            "WHERE first.command_id = ? AND first.command IS NOT NULL AND rest.originator_id = first.originator_id "
            "AND rest.originator_version >= first.originator_version AND rest.originator_version < COALESCE("
            f"(SELECT MIN(next.originator_version) FROM {TABLE} AS next WHERE next.originator_id = first.originator_id "
            "AND next.originator_version > first.originator_version AND next.command IS NOT NULL), 1 << 62) "
            f"AND rest.rowid > ? AND rest.rowid <= ? ORDER BY r {span.order}"
        )
        return Select(sql, (self.command_id, span.low, span.high))


def conditions(filters: Filters) -> Iterator[tuple[str, Select]]:
    """What must hold of a row `e`, by the filter it stands for. `says` is a function of the connection's."""
    for name, column in _EXACT.items():
        if (value := getattr(filters, name)) is not None:
            yield name, Select(f"e.{column} = ?", (value,))
    if filters.category is not None:
        yield "category", Select("e.originator_id >= ? AND e.originator_id < ?", _range(filters.category, "-"))
    if filters.event is not None:
        yield "event", _named(filters.event)
    if filters.rejected is not None:
        named = _named(REJECTED)
        yield "rejected", named if filters.rejected else Select(f"NOT ({named.sql})", named.values)
    if filters.since is not None:
        yield "since", Select("e.recorded_at >= ?", (filters.since,))
    if filters.until is not None:
        yield "until", Select("e.recorded_at < ?", (filters.until,))
    if filters.text is not None:
        yield (
            "text",
            Select(
                f"says(?, e.originator_id, e.originator_version, e.topic, {state_of('e.')}, {command_of('e.')})",
                (filters.text,),
            ),
        )


_EXACT = {
    "stream": "originator_id",
    "principal": "principal",
    "correlation": "correlation_id",
    "causation": "causation_id",
    "origin": "origin",
    "command_id": "command_id",
}


def _named(event: str) -> Select:
    if "/" in event:
        return Select("e.topic = ?", (event,))
    return Select("e.topic >= ? AND e.topic < ?", _range(event, "/"))


def _range(start: str, separator: str) -> tuple[str, str]:
    """All texts that begin with `start` and the separator, as a range."""
    return start + separator, start + chr(ord(separator) + 1)


def sources(connection: sqlite3.Connection, filters: Filters) -> Iterator[Source]:
    """The ways to the answer by the log's own indexes; the last is to look at everything."""
    if filters.command_id is not None:
        yield ByCommand(filters.command_id)
    if filters.correlation is not None:
        yield ByColumn(frozenset({"correlation"}), "by_correlation", "correlation_id", (filters.correlation,))
    if filters.stream is not None:
        yield ByStream(filters.stream)
    if filters.rejected:
        yield _by_event(connection, "rejected", REJECTED)
    if filters.event is not None:
        yield _by_event(connection, "event", filters.event)
    if filters.principal is not None:
        yield ByColumn(frozenset({"principal"}), "by_principal", "principal", (filters.principal,))
    yield ByPosition()


def _by_event(connection: sqlite3.Connection, settled: str, event: str) -> ByColumn:
    stored = (event,) if "/" in event else tuple(name for name in names_stored(connection) if _stem(name) == event)
    return ByColumn(frozenset({settled}), "by_topic", "topic", stored)


def _stem(name: str) -> str:
    return name.rpartition("/")[0]


def distinct(column: str, begin: str = "TRUE", within: str = "TRUE") -> str:
    """SQL for the values of an indexed column, in order: one step in the index for each, however many rows have it.
    `begin` is a condition on the first, `within` on all."""
    following = f"SELECT MIN({column}) FROM {TABLE} WHERE {within} AND"
    return f"""WITH RECURSIVE names (name) AS (
        {following} {begin} UNION ALL
        SELECT ({following} {column} > name) FROM names WHERE name IS NOT NULL)
        SELECT name FROM names WHERE name IS NOT NULL"""


def names_stored(connection: sqlite3.Connection) -> list[str]:
    """The names of events in the log."""
    return [name for (name,) in connection.execute(distinct("topic"))]
