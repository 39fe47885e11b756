"""How a log with sealed text is opened: which file has its keys, and what is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from msgspec import json

from core.ports import StoreUnavailable
from eventstore.keyring import KeyRing
from eventstore.masterkey import MasterKey
from eventstore.recorder import IDENTITY, TABLE, LogDatastore
from eventstore.sealing import Locked, Opener, Vault
from eventstore.uris import reading_uri

FORGOTTEN = "audit.subject_forgotten/1"
"""The event that says which keys were destroyed; it has their ids in `key_ids`."""


def keys_file(path: Path) -> Path:
    """Where the keys of the log at `path` are."""
    return path.with_name(f"{path.name}-keys")


def vault_for(datastore: LogDatastore, path: Path, master: MasterKey | None) -> Vault | None:
    """The vault of a log that is about to be written; None where encryption is off.

    Keys that the log says are destroyed are destroyed again: they may have come back with a copy of their file. Raises
    StoreUnavailable when the log has sealed text and there is no key to read that, its keys are not there, or it was
    sealed with others.
    """
    with datastore.transaction(commit=True) as cursor:
        cursor.execute(f"SELECT value FROM {IDENTITY} WHERE name = 'keys'")
        row = cursor.fetchone()
        known = None if row is None else row[0]
        if master is None:
            if known is not None:
                raise StoreUnavailable(_complaint(path))
            return None
        _refuse_missing(path, known)
        ring = KeyRing(keys_file(path), master)
        try:
            _refuse_other(ring, known)
            cursor.execute(f"INSERT OR IGNORE INTO {IDENTITY} VALUES ('keys', ?)", (ring.id,))
            cursor.execute(f"SELECT state FROM {TABLE} WHERE topic = ?", (FORGOTTEN,))
            ids = {id for (state,) in cursor.fetchall() for id in json.decode(state).get("key_ids", ())}
            _destroy_again(ring, ids)
        except BaseException:
            ring.close()
            raise
    return Vault(ring)


def opener_of(path: Path, master: MasterKey | None) -> Opener | None:
    """What opens the sealed text of a log that is only read; None where it has none. Raises StoreUnavailable."""
    try:
        with closing(sqlite3.connect(reading_uri(path), uri=True)) as connection:
            row = connection.execute(f"SELECT value FROM {IDENTITY} WHERE name = 'keys'").fetchone()
    except sqlite3.Error as fault:
        raise StoreUnavailable(f"the log {path} cannot be read: {fault}") from fault
    if row is None:
        return None
    if master is None:
        return Locked()
    _refuse_missing(path, row[0])
    ring = KeyRing(keys_file(path), master, read_only=True)
    try:
        _refuse_other(ring, row[0])
    except StoreUnavailable:
        ring.close()
        raise
    return Vault(ring)


def _destroy_again(ring: KeyRing, ids: Iterable[str]) -> None:
    """Only if need be: with them goes what is derived, and then all of the log is folded again."""
    if (left := [id for id in ids if ring.find(id) is not None]) or ring.unfinished():
        ring.destroy(left)
        ring.finish()


def _refuse_missing(path: Path, known: str | None) -> None:
    """None are made in their place: restoring a backup would take those for the newer ones."""
    if known is not None and not keys_file(path).exists():
        raise StoreUnavailable(f"the keys of this log are missing: {keys_file(path)}; put back the file that was there")


def _refuse_other(ring: KeyRing, known: str | None) -> None:
    if known is not None and ring.id != known:
        raise StoreUnavailable(f"the keys in {ring.path} are not those of this log; put back the file that was there")


def _complaint(path: Path) -> str:
    return f"the log {path} has sealed text; set CALLBOARD_ENCRYPTION_KEY to the file of the key that opens it"
