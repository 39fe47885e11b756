"""When each data subject was last heard of, for rules of how long its text is kept. Blocks; for threads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from msgspec import MsgspecError, Struct

from core.ports import StoreUnavailable
from eventstore.archives import STATE, explained, reading
from eventstore.keyring import KeyRing
from eventstore.personal import FORKED
from eventstore.questions import distinct
from eventstore.recorder import TABLE
from eventstore.subjects import FIRST, PERSON, STREAM, is_shared, owner

_FORKS = f"SELECT originator_id, JSON_EXTRACT({STATE}, '$.source') FROM {TABLE} WHERE topic IN (?, ?)"


class Silent(Struct, frozen=True):
    """Subjects nothing was heard of for long, when the log ended at `head`."""

    subjects: tuple[str, ...]
    head: int


def silent_since(path: Path, ring: KeyRing, before: int) -> Silent:
    """The subjects with keys of whom the log has something, but nothing since `before` (µs UTC). What is said in a fork
    of a stream that is nobody's is heard of that stream: they are forgotten together. Raises StoreUnavailable."""
    heard = dict[str, int]()
    with _reading(path) as log:
        head = log.execute(f"SELECT MAX(rowid) FROM {TABLE}").fetchone()[0] or 0
        for subject, time in (*_of_streams(log), *_of_people(log)):
            heard[subject] = max(time, heard.get(subject, time))
    return Silent(tuple(subject for subject in ring.subjects() if heard.get(subject, before) < before), head)


def heard_since(path: Path, head: int) -> set[str]:
    """The subjects that were heard of behind this position of the log. Raises StoreUnavailable."""
    with _reading(path) as log:
        rows = log.execute(f"SELECT DISTINCT originator_id, principal FROM {TABLE} WHERE rowid > ?", (head,)).fetchall()
        forks = dict(log.execute(_FORKS, FORKED))
        of_streams = {subject for stream, _ in rows for subject in _subjects(log, stream, forks)}
        return of_streams | {PERSON + person for _, person in rows}


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the log. Raises StoreUnavailable for whatever cannot be read by it."""
    try:
        with closing(reading(path)) as log:
            yield log
    except sqlite3.Error as fault:
        raise StoreUnavailable(f"the log cannot be read: {explained(fault)}") from fault


def _of_streams(log: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    last = f"SELECT recorded_at FROM {TABLE} WHERE originator_id = ? ORDER BY originator_version DESC LIMIT 1"
    forks = dict(log.execute(_FORKS, FORKED))
    for (stream,) in log.execute(distinct("originator_id")):
        (time,) = log.execute(last, (stream,)).fetchone()
        for subject in _subjects(log, stream, forks):
            yield subject, time


def _of_people(log: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    last = f"SELECT recorded_at FROM {TABLE} WHERE principal = ? ORDER BY rowid DESC LIMIT 1"
    for (principal,) in log.execute(distinct("principal")):
        yield PERSON + principal, log.execute(last, (principal,)).fetchone()[0]


def _subjects(log: sqlite3.Connection, stream: str, forks: Mapping[str, str]) -> Iterator[str]:
    """Who is heard of where something is recorded in the stream: its owner; where that is nobody, the stream, and the
    ones it was forked from. In a stream of many, that stream: the people are heard of by their names."""
    first = None if is_shared(stream) else log.execute(FIRST, (stream,)).fetchone()
    subject = STREAM + stream
    with suppress(MsgspecError):  # somebody changed it: nobody is forgotten for that
        subject = subject if first is None else owner(stream, first)
    yield subject
    seen = {stream}
    while subject == STREAM + stream and (source := forks.get(stream)) is not None and source not in seen:
        seen.add(source)
        stream, subject = source, STREAM + source
        yield subject
