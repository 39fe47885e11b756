"""Looking a question up in a log: by the way with the fewest candidates, and at so many rows at most.

Where little of what one index gives meets the other conditions, a page would look at the whole log. It looks at LOOK
rows instead, and says how far it has come: its reader goes on from there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from eventstore.chain import COLUMNS
from eventstore.questions import Filters, Select, Source, Span, conditions, sources
from eventstore.recorder import TABLE

LOOK = 10_000
"""Candidates looked at for one page at most."""
LOOK_INTO = 1_000
"""The same where their texts must be read for words, a hundred times the work."""
PROBE = 1_000
"""Candidates counted to find the way with the fewest; ways with more count as equal."""

_ROW = ", ".join(f"CAST(e.{name} AS TEXT)" if name in ("state", "command") else f"e.{name}" for name in COLUMNS)
ROW = f"{_ROW}, LOWER(HEX(e.hash))"


class Found(Struct, frozen=True):
    """Rows (chain.COLUMNS and the hash) in the span's order. `reached`: what is behind this was not looked at."""

    rows: list[tuple[Any, ...]]
    reached: int | None = None


class Piece(Struct, frozen=True):
    """A part of a span, and where its candidates come from."""

    source: Source
    span: Span


def find(connection: sqlite3.Connection, filters: Filters, span: Span, wanted: int) -> Found:
    """The first `wanted` rows of the span, or fewer with the place to go on from."""
    rows: list[tuple[Any, ...]] = []
    look = LOOK if filters.text is None else LOOK_INTO
    for piece in pieces(connection, filters, span):
        found, looked = _find_in(connection, filters, piece, wanted - len(rows), look)
        rows += found.rows
        look -= looked
        if len(rows) >= wanted or found.reached is not None:
            return Found(rows, found.reached if len(rows) < wanted else None)
    return Found(rows)


def pieces(connection: sqlite3.Connection, filters: Filters, span: Span) -> Iterator[Piece]:
    """The span's parts in its order."""
    span = _in_time(connection, filters, span)
    if span.low < span.high:
        yield Piece(fewest(connection, filters, span), span)


def _in_time(connection: sqlite3.Connection, filters: Filters, span: Span) -> Span:
    """The part of the span between the first and the last event in the time asked for."""
    if filters.since is None and filters.until is None:
        return span
    query = f"SELECT MIN(rowid), MAX(rowid) FROM {TABLE} INDEXED BY by_time WHERE recorded_at >= ? AND recorded_at < ?"
    since = -(1 << 63) if filters.since is None else filters.since
    until = (1 << 63) - 1 if filters.until is None else filters.until
    first, last = connection.execute(query, (since, until)).fetchone()
    if first is None:
        return Span(span.low, span.low, span.newest_first)
    return Span(max(span.low, first - 1), min(span.high, last), span.newest_first)


def fewest(connection: sqlite3.Connection, filters: Filters, span: Span) -> Source:
    """The way with the fewest candidates."""
    ways = list(sources(connection, filters))
    if len(ways) <= 2:  # one, and all of the log
        return ways[0]
    return min(ways[:-1], key=lambda way: _size(connection, way.select(connection, span)))


def _size(connection: sqlite3.Connection, select: Select) -> int:
    query = f"SELECT COUNT(*) FROM ({select.sql} LIMIT {PROBE})"
    return int(connection.execute(query, select.values).fetchone()[0])


def _find_in(
    connection: sqlite3.Connection, filters: Filters, piece: Piece, wanted: int, look: int
) -> tuple[Found, int]:
    """What is found there, and how many candidates it took."""
    candidates = piece.source.select(connection, piece.span)
    query = rows_of(candidates, filters, piece.source, look)
    rows = connection.execute(f"{query.sql} LIMIT ?", (*query.values, wanted)).fetchall()
    if len(rows) >= wanted:
        return Found(rows), 0
    last = "MIN" if piece.span.newest_first else "MAX"
    looked = f"SELECT COUNT(*), {last}(r) FROM ({candidates.sql} LIMIT ?)"
    count, reached = connection.execute(looked, (*candidates.values, look)).fetchone()
    return Found(rows, reached if count >= look else None), count


def rows_of(candidates: Select, filters: Filters, source: Source, look: int) -> Select:
    """The rows of up to `look` candidates that meet all conditions, in the candidates' order."""
    open_ones = [condition for name, condition in conditions(filters) if name not in source.settles]
    where = " AND ".join(f"({condition.sql})" for condition in open_ones) or "1"
    sql = f"SELECT {ROW} FROM ({candidates.sql} LIMIT ?) CROSS JOIN {TABLE} AS e ON e.rowid = r WHERE {where}"
    values = (*candidates.values, look, *(value for condition in open_ones for value in condition.values))
    return Select(sql, values)


def plan_of(connection: sqlite3.Connection, filters: Filters, span: Span) -> Iterator[str]:
    """How SQLite goes about it, line by line."""
    for piece in pieces(connection, filters, span):
        query = rows_of(piece.source.select(connection, piece.span), filters, piece.source, LOOK)
        for *_, line in connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", query.values):
            yield line
