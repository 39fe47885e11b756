"""Which streams are at rest: candidates for an archive. Blocks; for threads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from eventstore.archives import is_stub, reading
from eventstore.archiving import NotArchived
from eventstore.questions import distinct
from eventstore.recorder import TABLE

LOOK = 5_000
"""Streams looked at in one go for those at rest."""


def at_rest(path: Path, category: str, before: int, after: str = "") -> tuple[list[str], str | None]:
    """Streams of a category whose last event is older than `before` (µs UTC) and still has its text in the log: some of
    those behind `after`, in their order, and where the next begin. Raises NotArchived."""
    try:
        with closing(reading(path)) as connection:
            names = _next_streams(connection, category, after)
            return [name for name in names if _rests(connection, name, before)], names[-1] if names else None
    except sqlite3.Error as fault:
        raise NotArchived(f"the log cannot be read: {fault}") from fault


def _next_streams(connection: sqlite3.Connection, category: str, after: str) -> list[str]:
    query = distinct("originator_id", "originator_id > ?1", "originator_id < ?2") + " LIMIT ?3"
    bounds = max(after, f"{category}-"), f"{category}."  # the character behind the hyphen
    return [name for (name,) in connection.execute(query, (*bounds, LOOK))]


def _rests(connection: sqlite3.Connection, stream: str, before: int) -> bool:
    query = f"SELECT recorded_at, {is_stub('state')} FROM {TABLE} WHERE originator_id = ? "
    time, is_archived = connection.execute(query + "ORDER BY originator_version DESC LIMIT 1", (stream,)).fetchone()
    return time < before and not is_archived
