"""Making an archive: texts of streams that are at rest into a file, and out of the log once the file is durable.

Crash by crash: before the file has its name nothing has happened. A file that the log does not know is made anew under
its name. A file the log knows, whose texts are still in the log, costs its bytes and nothing else: those texts go into
the next one. No event is ever without its text, as it leaves the log only in favour of a file that was read back.

What is written here blocks, so it belongs into threads; what changes the log goes through the one that writes.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from msgspec import MsgspecError, Raw, Struct, json

from core.ports import StoreUnavailable
from eventstore import durable
from eventstore.archives import GZIP, STUB, archive_file, explained, member, pointer, teach, texts_of
from eventstore.batches import Statement
from eventstore.chain import COLUMNS, GENESIS, Row, link
from eventstore.locking import take_lock
from eventstore.recorder import TABLE
from eventstore.uris import reading_uri, uri

PIECE = 10_000
"""Events that are put in order by their streams: whoever reads the log in its order goes back and forth in so many."""
MEMBER = 1 << 16
"""Bytes of text in a member, about: what is read for one event at least."""
MOST_EVENTS = 100_000
"""Events in one archive, but for a stream that has more."""
LOOK = 5_000
"""Streams looked at in one go for those at rest."""

_KEYS = f"SELECT rowid FROM {TABLE} WHERE originator_id = ? AND SUBSTR(state, 1, 12) <> '{STUB}'"
_ROWS = f"SELECT {', '.join(COLUMNS)}, hash FROM {TABLE} WHERE rowid = ?"


class NotArchived(StoreUnavailable):
    """The message says why, and what to do."""


class Archived(Struct, frozen=True):
    """An archive: its number, what the file is, and what is in it."""

    number: int
    sha256: str
    bytes: int
    events: int
    streams: int

    @property
    def name(self) -> str:
        return f"{self.number:06}"


class Stub(Struct, frozen=True):
    """Where the texts of the events at these positions are."""

    place: str
    positions: tuple[int, ...]


class _Line(Struct):
    """All that the log says of an event; `time` in µs UTC. A `command` there is not is null."""

    position: int
    stream: str
    version: int
    event: str
    payload: Raw
    time: int
    correlation_id: str
    causation_id: str | None
    command_id: str | None
    principal: str
    origin: str
    command: Raw
    hash: str


_encode = json.Encoder().encode


def at_rest(path: Path, category: str, before: int, after: str = "") -> tuple[list[str], str | None]:
    """Streams of a category whose last event is older than `before` (µs UTC) and still has its text in the log: some of
    those behind `after`, in their order, and where the next begin. Raises NotArchived."""
    try:
        with closing(sqlite3.connect(reading_uri(path), uri=True)) as connection:
            names = _next_streams(connection, category, after)
            return [name for name in names if _rests(connection, name, before)], names[-1] if names else None
    except sqlite3.Error as fault:
        raise NotArchived(f"the log cannot be read: {fault}") from fault


def _next_streams(connection: sqlite3.Connection, category: str, after: str) -> list[str]:
    query = f"""WITH RECURSIVE names (name) AS (
        SELECT MIN(originator_id) FROM {TABLE} WHERE originator_id > ?1 AND originator_id < ?2 UNION ALL
        SELECT (SELECT MIN(originator_id) FROM {TABLE} WHERE originator_id > name AND originator_id < ?2)
        FROM names WHERE name IS NOT NULL)
        SELECT name FROM names WHERE name IS NOT NULL LIMIT ?3"""
    bounds = max(after, f"{category}-"), f"{category}."  # the character behind the hyphen
    return [name for (name,) in connection.execute(query, (*bounds, LOOK))]


def _rests(connection: sqlite3.Connection, stream: str, before: int) -> bool:
    query = f"SELECT recorded_at, SUBSTR(state, 1, 12) FROM {TABLE} WHERE originator_id = ? "
    time, begins = connection.execute(query + "ORDER BY originator_version DESC LIMIT 1", (stream,)).fetchone()
    return bool(time < before and begins != STUB)


def write_archive(path: Path, streams: Sequence[str]) -> tuple[Archived, list[Stub]]:
    """The next archive of the log at `path`, of as many of the streams as fit, the first ones: what it is, and what may
    leave the log for it. Raises NotArchived, OSError.

    It is read back and held against the log before it gets its name.
    """
    try:
        with closing(teach(sqlite3.connect(reading_uri(path), uri=True), path)) as log:
            log.execute("BEGIN")
            return _written(log, path, streams)
    except sqlite3.Error as fault:
        raise NotArchived(f"the log cannot be read: {explained(fault)}") from fault


def _written(log: sqlite3.Connection, path: Path, streams: Sequence[str]) -> tuple[Archived, list[Stub]]:
    positions, taken = _positions(log, streams)
    number = _next_number(log)
    file = archive_file(path, number)
    beside = durable.partial(file)
    try:
        stubs = _fill(log, beside, number, positions)
        kept = durable.measure(beside)
        durable.sync(beside)
        durable.put(beside, file)
    finally:
        durable.remove(beside)
    return Archived(number, kept.sha256, kept.bytes, len(positions), taken), stubs


def _positions(log: sqlite3.Connection, streams: Sequence[str]) -> tuple[list[int], int]:
    """Of the events to archive, in order, and how many of the streams they are of."""
    found, taken = list[int](), 0
    for stream in streams:
        if len(found) >= MOST_EVENTS:
            break
        found += (position for (position,) in log.execute(_KEYS, (stream,)))
        taken += 1
    return sorted(found), taken


def _next_number(log: sqlite3.Connection) -> int:
    """Behind those the log knows: a file it does not know was never used."""
    return int(log.execute("SELECT MAX(CAST(name AS INTEGER)) FROM archives").fetchone()[0] or 0) + 1


def _fill(log: sqlite3.Connection, file: Path, number: int, positions: Sequence[int]) -> list[Stub]:
    stubs, written = list[Stub](), sha256()
    with file.open("wb") as archive:
        for start in range(0, len(positions), PIECE):
            rows = [_row(log, position) for position in positions[start : start + PIECE]]
            rows.sort(key=lambda row: (row[1], row[2]))
            for some in _members(rows):
                place = pointer(number, archive.tell())
                archive.write(_compressed(b"".join(_line(row) for row in some)))
                written.update(_digested((row[4], row[11]) for row in some))
                stubs.append(Stub(place, tuple(row[0] for row in some)))
    _read_back(file, stubs, written.digest())
    return stubs


def _row(log: sqlite3.Connection, position: int) -> Row:
    """The row, which is as it was recorded."""
    row: Row = log.execute(_ROWS, (position,)).fetchone()
    before = log.execute(f"SELECT hash FROM {TABLE} WHERE rowid = ?", (position - 1,)).fetchone()
    previous = GENESIS if position == 1 else before and before[0]
    columns = [part.encode() if at in (4, 11) and part is not None else part for at, part in enumerate(row[:-1])]
    if previous is None or link(previous, tuple(columns)) != row[-1]:
        raise NotArchived(f"{row[1]}@{row[2]} is not what was recorded; see what `callboard verify` says of the log")
    return row


def _members(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start, size = 0, 0
    for at, row in enumerate(rows, start=1):
        size += len(row[4]) + len(row[11] or "")
        if size >= MEMBER or at == len(rows):
            yield rows[start:at]
            start, size = at, 0


def _line(row: Row) -> bytes:
    payload, command = Raw(row[4].encode()), Raw((row[11] or "null").encode())
    columns = zip(_Line.__struct_fields__, (*row[:4], payload, *row[5:11], command, row[12].hex()), strict=True)
    return _encode(_Line(**dict(columns))) + b"\n"


def _compressed(lines: bytes) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, GZIP)
    return deflate.compress(lines) + deflate.flush()


def _digested(texts: Iterator[tuple[str, str | None]]) -> bytes:
    return b"".join(sha256(json.encode(text)).digest() for text in texts)


def _read_back(file: Path, stubs: Sequence[Stub], written: bytes) -> None:
    """The file says what was to be written, as its readers will find it."""
    read = sha256()
    try:
        for stub in stubs:
            offset = int(stub.place[stub.place.index("@") + 1 : -2])
            texts = texts_of(member(file, offset))
            read.update(_digested(texts[position] for position in stub.positions))
    except (OSError, zlib.error, EOFError, ValueError, LookupError, MsgspecError) as fault:
        raise NotArchived(f"{file.name} cannot be read as it was written: {fault}") from fault
    if read.digest() != written:
        raise NotArchived(f"{file.name} cannot be read as it was written; try another disk")


def known(archived: Archived) -> Statement:
    """Makes the archive known to the log, for ever."""
    return Statement("INSERT INTO archives VALUES (?, ?)", (archived.name, json.encode(archived).decode()))


def let_go(stub: Stub) -> Statement:
    """Puts where they are in the place of the texts."""
    statement = f"UPDATE {TABLE} SET state = ?1, command = IIF(command IS NULL, NULL, ?1) "
    statement += f"WHERE rowid IN (SELECT value FROM JSON_EACH(?2)) AND SUBSTR(state, 1, 12) <> '{STUB}'"
    return Statement(statement, (stub.place, json.encode(stub.positions).decode()))


def compact(path: Path) -> tuple[int, int]:
    """Give back what room is free in the log's file, which nobody may be writing to; its bytes before and after. Raises
    StoreUnavailable."""
    lock = take_lock(path)
    before = path.stat().st_size
    try:
        with closing(sqlite3.connect(uri(path, "rw"), uri=True, isolation_level=None)) as log:
            log.execute("VACUUM")
            log.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as fault:
        raise NotArchived(f"{path} cannot be made smaller: {fault}") from fault
    finally:
        lock.release()
    return before, path.stat().st_size
