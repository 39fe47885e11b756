"""The keys that personal text is sealed with: one for each data subject, wrapped with the master key, in one file.

`<log>-keys` is the only place where these keys are, so that to destroy a row is to destroy what it opens. The file is
small, and is written the cautious way: no write-ahead log, what is deleted is overwritten. All of this blocks, and
belongs into threads; one lock lets in one at a time.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from msgspec import Struct

from core.ports import StoreUnavailable
from eventstore.masterkey import MasterKey

DERIVED = "derived"
"""The subject of what is derived from the log, as checkpoints are; people's and streams' have a colon in them."""
KEY_BYTES = 32
UNFINISHED = "unfinished"
"""The name in the table `ring` that is there while a forgetting is under way."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS keys (
        id TEXT PRIMARY KEY, subject TEXT NOT NULL, generation INTEGER NOT NULL, wrapped BLOB NOT NULL,
        made_at INTEGER NOT NULL, UNIQUE (subject, generation)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS destroyed (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS ring (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)


class SubjectKey(Struct, frozen=True):
    """A key and its id, which every value sealed with it names."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"SubjectKey({self.id!r}, …)"


class KeyRing:
    """The file. Raises StoreUnavailable where it cannot be read or written, or was wrapped with another master key."""

    def __init__(self, path: Path, master: MasterKey, *, read_only: bool = False) -> None:
        self.path, self._master = path, master
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._mode = "ro" if read_only else "rwc"
        try:
            with self._open() as ring:
                if not read_only:
                    _prepare(ring, master)
                self.id = self._identified(ring)
        except BaseException:
            self.close()
            raise

    def current(self, subject: str) -> SubjectKey | None:
        """The subject's newest key; None when it has none."""
        query = "SELECT id, wrapped FROM keys WHERE subject = ? ORDER BY generation DESC LIMIT 1"
        with self._open() as ring:
            return self._unwrapped(ring.execute(query, (subject,)).fetchone())

    def ensure(self, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        """Every subject's newest key; durable on return, also where it had to be made."""
        with self._open() as ring, _transaction(ring):
            return {subject: self._ensured(ring, subject) for subject in subjects}

    def renew(self, subject: str) -> SubjectKey:
        """A key of the next generation: for what is sealed from now on. The older ones open what they have sealed."""
        with self._open() as ring, _transaction(ring):
            return self._made(ring, subject)

    def find(self, key_id: str) -> SubjectKey | None:
        """The key with this id; None when it was destroyed, or never was here: `is_destroyed` tells which."""
        with self._open() as ring:
            return self._unwrapped(ring.execute("SELECT id, wrapped FROM keys WHERE id = ?", (key_id,)).fetchone())

    def is_destroyed(self, key_id: str) -> bool:
        with self._open() as ring:
            return ring.execute("SELECT 1 FROM destroyed WHERE id = ?", (key_id,)).fetchone() is not None

    def ids_of(self, subject: str) -> tuple[str, ...]:
        """The ids of all of the subject's keys, oldest first."""
        with self._open() as ring:
            query = "SELECT id FROM keys WHERE subject = ? ORDER BY generation"
            return tuple(id for (id,) in ring.execute(query, (subject,)))

    def subjects(self) -> list[str]:
        """Everybody who has a key, but what is derived."""
        with self._open() as ring:
            query = "SELECT DISTINCT subject FROM keys WHERE subject <> ? ORDER BY subject"
            return [subject for (subject,) in ring.execute(query, (DERIVED,))]

    def destroy(self, key_ids: Iterable[str]) -> None:
        """Destroy these keys, and with them the one of all that is derived. What is destroyed already stays so.

        Until `finish` the ring is `unfinished`, also for who opens it after a crash.
        """
        try:
            self._destroy(key_ids)
        finally:
            self.close()  # it would keep the pages it has read

    def finish(self) -> None:
        """Call this when nobody remembers any more what the destroyed keys had sealed, nor anything derived of it."""
        with self._open() as ring:
            ring.execute("DELETE FROM ring WHERE name = ?", (UNFINISHED,))

    def unfinished(self) -> bool:
        """Whether keys were destroyed, and it was not finished."""
        with self._open() as ring:
            return ring.execute("SELECT 1 FROM ring WHERE name = ?", (UNFINISHED,)).fetchone() is not None

    def rotate(self, master: MasterKey) -> int:
        """Wrap every key with another master key, all or none; how many there are."""
        with self._open() as ring:
            with _transaction(ring):
                rows = ring.execute("SELECT id, wrapped FROM keys").fetchall()
                for id, wrapped in rows:
                    again = aes_key_wrap(master.secret, self._unwrap(wrapped))
                    ring.execute("UPDATE keys SET wrapped = ? WHERE id = ?", (again, id))
                ring.execute("UPDATE ring SET value = ? WHERE name = 'master'", (_mark(master, self.id),))
            ring.execute("VACUUM")
        self._master = master
        return len(rows)

    def close(self) -> None:
        """Let the file go; it is opened again when it is needed."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    # --- inside -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                self._connection = self._connection or self._connected()
                yield self._connection
        except (sqlite3.Error, OSError) as fault:
            raise StoreUnavailable(f"the keys in {self.path} cannot be used: {fault}") from fault

    def _destroy(self, key_ids: Iterable[str]) -> None:
        with self._open() as ring:
            with _transaction(ring):
                ring.execute("INSERT OR IGNORE INTO ring VALUES (?, '')", (UNFINISHED,))
                derived = ring.execute("SELECT id FROM keys WHERE subject = ?", (DERIVED,)).fetchall()
                for key_id in (*key_ids, *(id for (id,) in derived)):
                    ring.execute("INSERT OR IGNORE INTO destroyed VALUES (?, ?)", (key_id, _now()))
                    ring.execute("DELETE FROM keys WHERE id = ?", (key_id,))
            ring.execute("VACUUM")

    def _connected(self) -> sqlite3.Connection:
        if self._mode != "ro":
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # wrapped or not, they are nobody else's
        uri = f"{self.path.resolve().as_uri()}?mode={self._mode}"
        ring = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        ring.execute("PRAGMA secure_delete = ON")
        ring.execute("PRAGMA synchronous = FULL")
        return ring

    def _identified(self, ring: sqlite3.Connection) -> str:
        """The ring's id. Raises StoreUnavailable for another master key than the one it was wrapped with."""
        marks = dict(ring.execute("SELECT name, value FROM ring").fetchall())
        if not hmac.compare_digest(marks.get("master", ""), _mark(self._master, marks.get("id", ""))):
            raise WrongMasterKey(
                f"CALLBOARD_ENCRYPTION_KEY: this is not the key that the keys in {self.path} are wrapped with"
            )
        return str(marks["id"])

    def _ensured(self, ring: sqlite3.Connection, subject: str) -> SubjectKey:
        query = "SELECT id, wrapped FROM keys WHERE subject = ? ORDER BY generation DESC LIMIT 1"
        return self._unwrapped(ring.execute(query, (subject,)).fetchone()) or self._made(ring, subject)

    def _made(self, ring: sqlite3.Connection, subject: str) -> SubjectKey:
        self._identified(ring)  # somebody may have rotated since this ring was opened
        key = SubjectKey(secrets.token_hex(12), secrets.token_bytes(KEY_BYTES))
        wrapped = aes_key_wrap(self._master.secret, key.secret)
        query = "INSERT INTO keys SELECT ?, ?, COALESCE(MAX(generation), 0) + 1, ?, ? FROM keys WHERE subject = ?"
        ring.execute(query, (key.id, subject, wrapped, _now(), subject))
        return key

    def _unwrapped(self, row: tuple[str, bytes] | None) -> SubjectKey | None:
        return None if row is None else SubjectKey(row[0], self._unwrap(row[1]))

    def _unwrap(self, wrapped: bytes) -> bytes:
        try:
            return aes_key_unwrap(self._master.secret, wrapped)
        except InvalidUnwrap:
            raise StoreUnavailable(f"a key in {self.path} was wrapped with another master key, or damaged") from None


class WrongMasterKey(StoreUnavailable):
    """The configured key is not the ring's."""


def _prepare(ring: sqlite3.Connection, master: MasterKey) -> None:
    ring.execute("PRAGMA journal_mode = DELETE")
    for statement in _SCHEMA:
        ring.execute(statement)
    if ring.execute("SELECT 1 FROM ring").fetchone() is None:
        id = secrets.token_hex(12)
        with _transaction(ring):
            ring.executemany("INSERT OR IGNORE INTO ring VALUES (?, ?)", [("id", id), ("master", _mark(master, id))])


@contextmanager
def _transaction(ring: sqlite3.Connection) -> Iterator[None]:
    ring.execute("BEGIN IMMEDIATE")
    try:
        yield
        ring.execute("COMMIT")
    except BaseException:
        if ring.in_transaction:
            ring.execute("ROLLBACK")
        raise


def _mark(master: MasterKey, ring_id: str) -> str:
    """By what the master key is known again, and nothing else can be learned of it."""
    return hmac.new(master.secret, f"callboard keys {ring_id}".encode(), hashlib.sha256).hexdigest()


def _now() -> int:
    """µs UTC: the time in this file is for people, and nothing is decided by it."""
    return time.time_ns() // 1000
