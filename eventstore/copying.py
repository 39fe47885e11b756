"""A database copied while a server writes to it, without being much in its way."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from eventstore import durable
from eventstore.backups import NotKept, Tell, silent
from eventstore.uris import reading_uri

PIECE = 2048
"""Pages copied at one time, of 4 KiB each; then they are synced, so that no commit on the same disk waits for many."""
REST = 0.5
"""How long it rests then, in the time that took. No longer: until the copy is done, the server cannot fold its
write-ahead log into the file, and what it writes meanwhile is folded at once afterwards."""


def copy_database(source: Path, target: Path, tell: Tell = silent) -> None:
    """The database as it is at one moment, in one plain file, synced. Raises NotKept, OSError."""
    try:
        with (
            closing(sqlite3.connect(reading_uri(source), uri=True, isolation_level=None)) as log,
            closing(sqlite3.connect(target, isolation_level=None)) as copy,
        ):
            log.execute("BEGIN")  # or each commit of the server's would make the copying begin anew
            log.execute("SELECT 1 FROM sqlite_master").fetchone()
            for setting in ("journal_mode = OFF", "synchronous = OFF"):
                copy.execute(f"PRAGMA {setting}")  # who is killed leaves a file that never gets its name
            log.backup(copy, pages=PIECE, progress=_Pace(target, tell).rest)
            copy.execute("PRAGMA journal_mode = DELETE")  # it comes as a database with a write-ahead log
    except sqlite3.Error as fault:
        raise NotKept(f"{source} cannot be copied: {fault}") from fault
    durable.sync(target)


class _Pace:
    """Leaves the disk to others for a while."""

    def __init__(self, target: Path, tell: Tell) -> None:
        self._target, self._tell, self._began = target, tell, time.perf_counter()

    def rest(self, status: int, remaining: int, total: int) -> None:  # noqa: ARG002  # as SQLite calls it
        durable.sync(self._target)
        self._tell("copying", total - remaining, total)
        if remaining:
            time.sleep((time.perf_counter() - self._began) * REST)
        self._began = time.perf_counter()
