"""Archives that there are: whether they are what is on record, what of them is yet to be done, room given back."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from msgspec import MsgspecError, Struct, json

from eventstore import durable
from eventstore.archives import archive_file, is_stub, measured_member, pointer, reading, texts_of
from eventstore.archiving import Archived, NotArchived, Stub
from eventstore.locking import take_lock
from eventstore.proofs import Select
from eventstore.recorder import TABLE
from eventstore.uris import uri

RECORDED = "audit.streams_archived/1"
"""The event that has an archive's digest."""


class _OnRecord(Struct):
    archive: str
    sha256: str


def left_over(path: Path) -> list[Stub]:
    """What may leave the log for the last archive it knows, and is still in it. Raises NotArchived, OSError."""
    try:
        with closing(reading(path)) as log:
            row = log.execute("SELECT note FROM archives ORDER BY CAST(name AS INTEGER) DESC LIMIT 1").fetchone()
            if row is None:
                return []
            number = json.decode(row[0], type=Archived).number
            return [stub for stub in _stubs_in(archive_file(path, number), number) if _is_in(log, stub)]
    except (sqlite3.Error, zlib.error, EOFError, ValueError, MsgspecError) as fault:
        raise NotArchived(f"the last archive cannot be read: {fault}") from fault


def _stubs_in(file: Path, number: int) -> Iterator[Stub]:
    offset, size = 0, file.stat().st_size
    while offset < size:
        lines, length = measured_member(file, offset)
        yield Stub(pointer(number, offset), tuple(texts_of(lines)))
        offset += length


def _is_in(log: sqlite3.Connection, stub: Stub) -> bool:
    query = f"SELECT 1 FROM {TABLE} WHERE rowid IN (SELECT value FROM JSON_EACH(?)) "
    query += f"AND NOT {is_stub('state')} LIMIT 1"
    return log.execute(query, (json.encode(stub.positions).decode(),)).fetchone() is not None


def altered(select: Select, path: Path) -> str | None:
    """The first archive that the log at `path` knows and that is not what is on record. Raises OSError."""
    if not select("SELECT 1 FROM sqlite_master WHERE name = 'archives'", ()):
        return None  # of a version that had none
    rows = select(f"SELECT state FROM {TABLE} WHERE topic = ?", (RECORDED,))  # which are never archived
    told = [json.decode(state, type=_OnRecord) for (state,) in rows]
    recorded = {(each.archive, each.sha256) for each in told}
    for (name,) in select("SELECT name FROM archives ORDER BY name", ()):
        file = archive_file(path, int(name))
        if (name, durable.measure(file).sha256) not in recorded:
            return file.name
    return None


def compact(path: Path) -> tuple[int, int]:
    """Give back what room is free in the log's file, which nobody may be writing to; its bytes before and after. Raises
    StoreUnavailable."""
    path = path.resolve()
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
