"""Looking a question up in a log: by the way with the fewest candidates, and at so many rows at most.

Where little of what one index gives meets the other conditions, a page would look at the whole log. It looks at LOOK
rows instead, and says how far it has come: its reader goes on from there. Where the index beside the log leafs through
much without finding anything, time is the bound.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from time import perf_counter
from typing import Any

from msgspec import Struct

from eventstore.archives import columns_of
from eventstore.chain import COLUMNS
from eventstore.index_reading import ByIndex, stretches, tags_asked, times
from eventstore.questions import ByPosition, Filters, Select, Source, Span, conditions, sources
from eventstore.recorder import TABLE

LOOK = 10_000
"""Candidates looked at for one page at most."""
LOOK_INTO = 1_000
"""The same where their texts must be read for words, a hundred times the work."""
PROBE = 1_000
"""Candidates counted to find the way with the fewest; ways with more count as equal."""
SLICE = 250_000
"""Positions an index leafs through in one go."""
WHILE = 0.02
"""Seconds after which a page begins with no further part of the log."""

ROW = f"{columns_of(COLUMNS, 'TEXT', 'e.')}, LOWER(HEX(e.hash))"


class Found(Struct, frozen=True):
    """Rows (chain.COLUMNS and the hash) in the span's order. `reached`: what is behind this was not looked at."""

    rows: list[tuple[Any, ...]]
    reached: int | None = None


class Piece(Struct, frozen=True):
    """A part of a span, and where its candidates come from."""

    source: Source
    span: Span

    @property
    def end(self) -> int:
        """The last position in it."""
        return self.span.low + 1 if self.span.newest_first else self.span.high

    def unsettled(self, filters: Filters) -> dict[str, Select]:
        """The conditions that the source leaves to be checked."""
        return {name: it for name, it in conditions(filters) if name not in self.source.settles}


class View(Struct, frozen=True):
    """A log to look into, and how far the index beside it (attached as `side`) can be relied on."""

    connection: sqlite3.Connection
    level: int


def find(view: View, filters: Filters, span: Span, wanted: int) -> Found:
    """The first `wanted` rows of the span, or fewer with the place to go on from."""
    rows, look, until = list[tuple[Any, ...]](), LOOK, perf_counter() + WHILE
    end: int | None = None
    for piece in pieces(view, filters, span):
        if end is not None and (look <= 0 or perf_counter() > until):
            return Found(rows, end)
        most = min(look, LOOK_INTO) if "text" in piece.unsettled(filters) else look
        found, looked = _find_in(view.connection, filters, piece, wanted - len(rows), most)
        rows += found.rows
        look -= looked
        if len(rows) >= wanted or found.reached is not None:
            return Found(rows, found.reached if len(rows) < wanted else None)
        end = piece.end
    return Found(rows)


def event(view: View, stream: str, version: int) -> list[tuple[Any, ...]]:
    """The row of one event, if there is one."""
    query = f"SELECT {ROW} FROM {TABLE} AS e WHERE e.originator_id = ? AND e.originator_version = ?"
    return view.connection.execute(query, (stream.encode(errors="replace").decode(), version)).fetchall()


def count(view: View, filters: Filters, span: Span, at_most: int) -> tuple[int, int | None]:
    """How many rows there are, `at_most` of them counted, and what was not looked at, as `Found.reached`."""
    counted, look = 0, LOOK
    end: int | None = None
    for piece in pieces(view, filters, span):
        if end is not None and look <= 0:
            return counted, end
        candidates, open_ones = piece.source.select(view.connection, piece.span), piece.unsettled(filters)
        most = min(look, LOOK_INTO) if "text" in open_ones else look
        limit = most if open_ones else at_most - counted
        query = number_of(candidates, open_ones.values(), limit)
        counted += view.connection.execute(query.sql, query.values).fetchone()[0]
        if counted >= at_most:
            return counted, None
        looked, reached = _looked(view.connection, candidates, piece.span, limit) if open_ones else (0, None)
        if reached is not None:
            return counted, reached
        look -= looked
        end = piece.end
    return counted, None


# --- where to look ----------------------------------------------------------------------------------------------


def pieces(view: View, filters: Filters, span: Span) -> Iterator[Piece]:
    """The span's parts in its order: what the index has, and what only the log has yet."""
    border = min(max(view.level, span.low), span.high)
    indexed = Span(span.low, border, span.newest_first)
    newer = Span(border, span.high, span.newest_first)
    parts = [_indexed(view, filters, indexed), _unindexed(view, filters, newer)]
    for part in reversed(parts) if span.newest_first else parts:
        yield from part


def _indexed(view: View, filters: Filters, span: Span) -> Iterator[Piece]:
    if span.low >= span.high:
        return
    timed = filters.since is not None or filters.until is not None
    for stretch in stretches(view.connection, filters, span) if timed else (span,):
        for slice_ in _slices(stretch):
            yield Piece(_best(view.connection, filters, slice_), slice_)


def _slices(span: Span) -> Iterator[Span]:
    """Parts of SLICE positions at most: as much as an index may leaf through without finding anything."""
    starts = range(span.low, span.high, SLICE)
    for low in reversed(starts) if span.newest_first else starts:
        yield Span(low, min(low + SLICE, span.high), span.newest_first)


def _best(connection: sqlite3.Connection, filters: Filters, span: Span) -> Source:
    """Several things that must hold together are one question to the index beside the log; a single thing that the log
    has an index for is asked there, and so is what but few events have."""
    ways = list(sources(connection, filters))[:-1]  # all but leafing through everything
    tags = len(tags_asked(filters)) + (filters.text is not None)
    if tags == 0:
        return ways[0] if ways else ByPosition()
    if tags == 1 and len(ways) == 1 and not ways[0].settles.isdisjoint(tags_asked(filters)):
        return ways[0]
    for way in ways:
        if way.settles & {"command_id", "correlation"} and _size(connection, way.select(connection, span)) < PROBE:
            return way
    return ByIndex(filters)


def _unindexed(view: View, filters: Filters, span: Span) -> Iterator[Piece]:
    if view.level == 0:
        span = _in_time(view.connection, filters, span)
    if span.low < span.high:
        yield Piece(_fewest(view.connection, filters, span), span)


def _in_time(connection: sqlite3.Connection, filters: Filters, span: Span) -> Span:
    """The part of the span between the first and the last event in the time asked for."""
    if filters.since is None and filters.until is None:
        return span
    query = f"SELECT MIN(rowid), MAX(rowid) FROM {TABLE} INDEXED BY by_time WHERE recorded_at >= ? AND recorded_at < ?"
    first, last = connection.execute(query, times(filters)).fetchone()
    if first is None:
        return Span(span.low, span.low, span.newest_first)
    return Span(max(span.low, first - 1), min(span.high, last), span.newest_first)


def _fewest(connection: sqlite3.Connection, filters: Filters, span: Span) -> Source:
    """Of the log's own indexes the one with the fewest candidates."""
    ways = list(sources(connection, filters))
    if len(ways) <= 2:  # one, and all of the log
        return ways[0]
    return min(ways[:-1], key=lambda way: _size(connection, way.select(connection, span)))


def _size(connection: sqlite3.Connection, select: Select) -> int:
    query = f"SELECT COUNT(*) FROM ({select.sql} LIMIT {PROBE})"
    return int(connection.execute(query, select.values).fetchone()[0])


# --- looking ----------------------------------------------------------------------------------------------------


def _find_in(
    connection: sqlite3.Connection, filters: Filters, piece: Piece, wanted: int, look: int
) -> tuple[Found, int]:
    """What is found there, and how many candidates it took."""
    candidates = piece.source.select(connection, piece.span)
    query = rows_of(candidates, filters, piece, look, wanted)
    rows = connection.execute(query.sql, query.values).fetchall()
    if len(rows) >= wanted or not piece.unsettled(filters):
        return Found(rows), 0
    looked, reached = _looked(connection, candidates, piece.span, look)
    return Found(rows, reached), looked


def rows_of(candidates: Select, filters: Filters, piece: Piece, look: int, wanted: int) -> Select:
    """Rows that meet all conditions, in the candidates' order; with something left to check, of up to `look`."""
    open_ones = piece.unsettled(filters)
    query = _joined(ROW, candidates, open_ones.values(), look if open_ones else wanted)
    return Select(f"{query.sql} LIMIT ?", (*query.values, wanted))


def number_of(candidates: Select, open_ones: Collection[Select], look: int) -> Select:
    """How many rows meet what is left to check, of up to `look`."""
    if open_ones:
        return _joined("COUNT(*)", candidates, open_ones, look)
    return Select(f"SELECT COUNT(*) FROM ({candidates.sql} LIMIT ?)", (*candidates.values, look))


def _joined(columns: str, candidates: Select, open_ones: Collection[Select], look: int) -> Select:
    where = " AND ".join(f"({condition.sql})" for condition in open_ones) or "1"
    sql = f"SELECT {columns} FROM ({candidates.sql} LIMIT ?) CROSS JOIN {TABLE} AS e ON e.rowid = r WHERE {where}"
    return Select(sql, (*candidates.values, look, *(value for condition in open_ones for value in condition.values)))


def _looked(connection: sqlite3.Connection, candidates: Select, span: Span, look: int) -> tuple[int, int | None]:
    """How many candidates that were, and how far they reach where there may be more."""
    last = "MIN" if span.newest_first else "MAX"
    query = f"SELECT COUNT(*), {last}(r) FROM ({candidates.sql} LIMIT ?)"
    looked, reached = connection.execute(query, (*candidates.values, look)).fetchone()
    return looked, reached if looked >= look else None


def plan_of(view: View, filters: Filters, span: Span, *, counting: bool = False) -> Iterator[str]:
    """How SQLite goes about a page or a count, line by line."""
    for piece in pieces(view, filters, span):
        candidates = piece.source.select(view.connection, piece.span)
        if counting:
            query = number_of(candidates, piece.unsettled(filters).values(), LOOK)
        else:
            query = rows_of(candidates, filters, piece, LOOK, 100)
        for *_, line in view.connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", query.values):
            yield line
