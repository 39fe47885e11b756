"""Reading the index beside a log: whether it is of this log, what it is asked, and where a time is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from eventstore.questions import REJECTED, Filters, Select, Span
from eventstore.recorder import IDENTITY, TABLE
from eventstore.words import match_expression, phrases

BLOCK = 1_000
"""Positions of one entry in the table of times."""


def index_path(log: Path) -> Path:
    """Where the index of a log is."""
    return log.with_name(f"{log.name}-index")


def known_level(connection: sqlite3.Connection, index: str, log: str) -> int:
    """Up to which position the index (a schema of the connection) can be relied on for the log (another); 0 where it
    is of another log, or of another past of this one."""
    query = (
        f"SELECT l.position FROM {index}.level AS l CROSS JOIN {log}.{TABLE} AS e ON e.rowid = l.position "
        f"WHERE e.hash = l.hash AND l.epoch = COALESCE((SELECT value FROM {log}.{IDENTITY} WHERE name = 'epoch'), '')"
    )
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def tags_asked(filters: Filters) -> dict[str, str]:
    """The tags that an event must have, by the filter each of them settles."""
    named = "e" if "/" in (filters.event or "") else "n"
    asked = {
        "stream": ("s", filters.stream),
        "category": ("c", filters.category),
        "event": (named, filters.event),
        "principal": ("p", filters.principal),
        "causation": ("u", filters.causation),
        "origin": ("o", filters.origin),
        "rejected": ("n", REJECTED if filters.rejected else None),
    }
    return {name: f"{kind}{_hex(value)}" for name, (kind, value) in asked.items() if value is not None}


def _hex(value: str) -> str:
    return value.encode(errors="replace").hex()


class ByIndex:
    """Events with all the tags and words that are asked for."""

    def __init__(self, filters: Filters) -> None:
        tags = tags_asked(filters)
        asked = [f'tags : "{tag}"' for tag in tags.values()]
        if filters.text is not None:
            asked.append(f"text : ({match_expression(phrases(filters.text))})")
        self.settles = frozenset(tags) | ({"text"} if filters.text is not None else set())
        self._match = " AND ".join(asked)

    def select(self, connection: sqlite3.Connection, span: Span) -> Select:  # noqa: ARG002  # the protocol's
        sql = "SELECT rowid AS r FROM side.entries WHERE entries MATCH ? AND rowid > ? AND rowid <= ? "
        return Select(f"{sql}ORDER BY rowid {span.order}", (self._match, span.low, span.high))


def stretches(connection: sqlite3.Connection, filters: Filters, span: Span) -> Iterator[Span]:
    """The parts of an indexed span in which something may be of the time asked for, in its order; some are empty."""
    query = f"SELECT block * {BLOCK} FROM side.blocks WHERE block >= ? AND block <= ? "
    query += f"AND most >= ? AND least < ? ORDER BY block {span.order}"
    bounds = (span.low // BLOCK, span.high // BLOCK, *times(filters))
    low, high = 0, 0
    for (start,) in connection.execute(query, bounds):
        if start not in (high, low - BLOCK):  # not beside what there is
            yield _within(span, low, high)
            low, high = start, start
        low, high = min(low, start), max(high, start + BLOCK)
    yield _within(span, low, high)


def times(filters: Filters) -> tuple[int, int]:
    """The time asked for, from its first µs to the first one behind it."""
    since = -(1 << 63) if filters.since is None else filters.since
    return since, (1 << 63) - 1 if filters.until is None else filters.until


def _within(span: Span, low: int, high: int) -> Span:
    return Span(max(span.low, low), min(span.high, high), span.newest_first)
