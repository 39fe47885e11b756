"""Making an archive: texts of streams that are at rest into a file, and out of the log once the file is durable.

Crash by crash: before the file has its name nothing has happened. A file that the log does not know costs its bytes
and nothing else. Of a file that it knows, the texts that are still in the log leave it the next time (`left_over`). A
number is used once: whoever archives beside us, such as the process of a server that was killed, writes another file.
No event is ever without its text, as that leaves the log only in favour of a file that was read back.

What is written here blocks, so it belongs into threads; what changes the log goes through the one that writes.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from glob import escape
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from msgspec import MsgspecError, Raw, Struct, json

from core.ports import StoreUnavailable
from eventstore import durable
from eventstore.archives import (
    ARCHIVE,
    ENDING,
    GZIP,
    KEPT,
    archive_file,
    archives_beside,
    explained,
    is_stub,
    member,
    pointer,
    reading,
    texts_of,
)
from eventstore.batches import Statement
from eventstore.chain import COLUMNS, GENESIS, Row, link
from eventstore.recorder import TABLE
from eventstore.turns import give_way

PIECE = 10_000
"""Events that are put in order by their streams: whoever reads the log in its order goes back and forth in so many."""
MEMBER = 1 << 16
"""Bytes of text in a member, about: what is read for one event at least."""
MOST_EVENTS = 100_000
"""Events in one archive, but for a stream that has more."""

_KEYS = f"SELECT rowid FROM {TABLE} WHERE originator_id = ? AND NOT {is_stub('state')}"
_ROWS = f"SELECT {', '.join(COLUMNS)}, hash FROM {TABLE} WHERE rowid = ?"


class NotArchived(StoreUnavailable):
    """The message says why, and what to do."""


class Altered(NotArchived):
    """An event of the `stream` is not what was recorded."""

    def __init__(self, stream: str, version: int) -> None:
        told = f"{stream}@{version} is not what was recorded; see what `callboard verify` says of the log"
        super().__init__(told)
        self.stream = stream


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


def write_archive(path: Path, streams: Sequence[str]) -> tuple[Archived, list[Stub]]:
    """The next archive of the log at `path`, of as many of the streams as fit, the first ones: what it is, and what may
    leave the log for it. Raises Altered, NotArchived, OSError.

    It is read back and held against the log before it gets its name.
    """
    try:
        with closing(reading(path)) as log:
            log.execute("BEGIN")
            return _written(log, path, streams)
    except sqlite3.Error as fault:
        raise NotArchived(f"the log cannot be read: {explained(fault)}") from fault


def _written(log: sqlite3.Connection, path: Path, streams: Sequence[str]) -> tuple[Archived, list[Stub]]:
    positions, taken = _positions(log, streams)
    number = _next_number(log, path)
    file = archive_file(path, number)
    _remove_unfinished(path)
    descriptor, name = tempfile.mkstemp(".partial", f".{file.name}.", file.parent)
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as archive:
            stubs = _fill(log, archive, number, positions)
        beside.chmod(0o644)
        _read_back(beside, stubs, _digest_of(log, stubs))
        kept = durable.measure(beside)
        durable.sync(beside)
        _name(beside, file)
    finally:
        durable.remove(beside)
    return Archived(number, kept.sha256, kept.bytes, len(positions), taken), stubs


def _name(beside: Path, file: Path) -> None:
    """Never over another file. Raises NotArchived."""
    try:
        os.link(beside, file)
    except FileExistsError:
        raise NotArchived(f"{file.name} was made by somebody else meanwhile; archive again") from None
    durable.sync(file.parent)


def _remove_unfinished(path: Path) -> None:
    """What others left who were killed; whoever still writes it comes to nothing."""
    for leftover in path.resolve().parent.glob(f".{escape(path.resolve().name)}{ARCHIVE}*.partial"):
        durable.remove(leftover)


def _positions(log: sqlite3.Connection, streams: Sequence[str]) -> tuple[list[int], int]:
    """Of the events to archive, in order, and how many of the streams they are of."""
    found, taken = list[int](), 0
    for stream in streams:
        if len(found) >= MOST_EVENTS:
            break
        found += (position for (position,) in log.execute(_KEYS, (stream,)))
        taken += 1
    return sorted(found), taken


def _next_number(log: sqlite3.Connection, path: Path) -> int:
    """Behind those the log knows, and those that are there."""
    known = log.execute("SELECT MAX(CAST(name AS INTEGER)) FROM archives").fetchone()[0] or 0
    there = (int(file.name.removesuffix(ENDING).rpartition("-")[2]) for file in archives_beside(path))
    return max(int(known), *there, 0) + 1


def _fill(log: sqlite3.Connection, archive: BinaryIO, number: int, positions: Sequence[int]) -> list[Stub]:
    stubs = list[Stub]()
    for rows in _pieces(_row(log, position) for position in positions):
        for some in _members(sorted(rows, key=lambda row: (row[1], row[2]))):
            place = pointer(number, archive.tell())
            archive.write(_compressed(b"".join(_line(row) for row in some)))
            stubs.append(Stub(place, tuple(row[0] for row in some)))
    archive.flush()
    return stubs


def _pieces(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """PIECE rows at a time; fewer where they have much text, as a reader keeps no more."""
    piece, size = list[Row](), 0
    for row in rows:
        piece.append(row)
        size += _size(row)
        if len(piece) >= PIECE or size >= KEPT // 2:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _size(row: Row) -> int:
    return len(row[4]) + len(row[11] or "")


def _row(log: sqlite3.Connection, position: int) -> Row:
    """The row, which is as it was recorded."""
    row: Row = log.execute(_ROWS, (position,)).fetchone()
    before = log.execute(f"SELECT hash FROM {TABLE} WHERE rowid = ?", (position - 1,)).fetchone()
    previous = GENESIS if position == 1 else before and before[0]
    columns = [part.encode() if at in (4, 11) and part is not None else part for at, part in enumerate(row[:-1])]
    if previous is None or link(previous, tuple(columns)) != row[-1]:
        raise Altered(row[1], row[2])
    give_way()
    return row


def _members(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start, size = 0, 0
    for at, row in enumerate(rows, start=1):
        size += _size(row)
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


def _digested(texts: Iterable[tuple[str, str | None]]) -> bytes:
    return b"".join(sha256(json.encode(text)).digest() for text in texts)


def _digest_of(log: sqlite3.Connection, stubs: Sequence[Stub]) -> bytes:
    """Of the texts in the log, in the order of the archive."""
    digest, query = sha256(), f"SELECT state, command FROM {TABLE} WHERE rowid = ?"
    for stub in stubs:
        digest.update(_digested(log.execute(query, (position,)).fetchone() for position in stub.positions))
    return digest.digest()


def _read_back(file: Path, stubs: Sequence[Stub], written: bytes) -> None:
    """The file says what is in the log, as its readers will find it."""
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
    statement += f"WHERE rowid IN (SELECT value FROM JSON_EACH(?2)) AND NOT {is_stub('state')}"
    return Statement(statement, (stub.place, json.encode(stub.positions).decode()))
