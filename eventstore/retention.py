"""When each data subject was last heard of, for rules of how long its text is kept. Blocks; for threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from eventstore.archives import STATE, teach
from eventstore.keyring import KeyRing
from eventstore.recorder import TABLE
from eventstore.subjects import PERSON, owner
from eventstore.uris import reading_uri

_NAMES = """WITH RECURSIVE names (name) AS (
    SELECT MIN({0}) FROM {1} UNION ALL
    SELECT (SELECT MIN({0}) FROM {1} WHERE {0} > name) FROM names WHERE name IS NOT NULL)
    SELECT name FROM names WHERE name IS NOT NULL"""
"""All values of an indexed column, one step in the index for each."""


def silent_since(path: Path, ring: KeyRing, before: int) -> list[str]:
    """The subjects with keys of whom the log has something, but nothing since `before` (µs UTC). Raises sqlite3.Error,
    StoreUnavailable."""
    with closing(teach(sqlite3.connect(reading_uri(path), uri=True), path)) as connection:
        heard = dict[str, int]()
        for subject, time in (*_of_streams(connection), *_of_people(connection)):
            heard[subject] = max(time, heard.get(subject, time))
    return [subject for subject in ring.subjects() if heard.get(subject, before) < before]


def _of_streams(connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    first = f"SELECT topic, {STATE}, principal FROM {TABLE} WHERE originator_id = ? AND originator_version = 1"
    last = f"SELECT recorded_at FROM {TABLE} WHERE originator_id = ? ORDER BY originator_version DESC LIMIT 1"
    for (stream,) in connection.execute(_NAMES.format("originator_id", TABLE)):
        begin = connection.execute(first, (stream,)).fetchone()
        if begin is not None:
            yield owner(stream, begin), connection.execute(last, (stream,)).fetchone()[0]


def _of_people(connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    last = f"SELECT recorded_at FROM {TABLE} WHERE principal = ? ORDER BY rowid DESC LIMIT 1"
    for (principal,) in connection.execute(_NAMES.format("principal", TABLE)):
        yield PERSON + principal, connection.execute(last, (principal,)).fetchone()[0]
