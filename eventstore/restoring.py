"""Putting a backup in the place of a log that is gone: checked, in one piece, and with an epoch of its own.

The epoch must be another one: positions and versions behind the backup's end will be given out again, for other events.
Who comes back with a place of the old epoch is told everything afresh. All of it blocks; no event loop may wait for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from eventstore import durable
from eventstore.archives import ARCHIVE, archives_beside
from eventstore.backups import (
    BLOBS,
    CHECKPOINTS,
    KEYS,
    LOG,
    Manifest,
    NotKept,
    Tell,
    beside,
    blobs_in,
    read_manifest,
    silent,
)
from eventstore.inspection import inspect
from eventstore.keeping import expect, expect_blobs, expect_log
from eventstore.locking import take_lock
from eventstore.recorder import IDENTITY
from eventstore.renewal import renew
from eventstore.uris import uri


class Restored(Struct, frozen=True):
    """What was restored. `keys` says where the keys of sealed text are from: "backup", "place" (they were there and
    stay), "missing" (the log has sealed text, and they are not there), or "" (it has none)."""

    manifest: Manifest
    epoch: str
    keys: str


def restore(folder: Path, path: Path, tell: Tell = silent) -> Restored:
    """Make the backup in `folder` the log in `path`, where none may be. Raises NotKept, StoreUnavailable, OSError.

    The log gets its name last, when all that belongs to it is there, checked and synced: whoever kills this leaves no
    log there, and may begin again.
    """
    manifest, path = read_manifest(folder), path.resolve()
    lock = take_lock(path)
    try:
        _refuse_to_overwrite(folder, path)
        place = durable.partial(path)
        try:
            return Restored(manifest, *_restored(folder, manifest, place, path, tell))
        finally:
            _remove(place)
    finally:
        lock.release()


def _restored(folder: Path, manifest: Manifest, place: Path, path: Path, tell: Tell) -> tuple[str, str]:
    """Epoch, and where the keys are from."""
    source = folder / LOG
    _remove(place)
    tell("copying", 0, 1)
    expect(folder, LOG, _copied(source, place), manifest.files[LOG])
    _restore_archives(folder, manifest, path, tell)
    expect_log(folder, inspect(place, tell, path), manifest)
    _restore_blobs(folder, manifest, beside(path, BLOBS), tell)
    epoch = _renewed(place, manifest)
    keys = _restore_keys(folder, manifest, beside(path, KEYS)) or ("missing" if _is_sealed(place) else "")
    if beside(source, CHECKPOINTS).exists():
        _put(folder, manifest, CHECKPOINTS, beside(path, CHECKPOINTS))
    durable.sync(place)
    durable.put(place, path)
    return epoch, keys


def _refuse_to_overwrite(folder: Path, path: Path) -> None:
    """What SQLite left of another log would be taken for this one's, and its checkpoints say how far it had come."""
    leftovers = (beside(path, suffix) for suffix in ("-wal", "-journal"))
    found = [path] if path.exists() else [each for each in leftovers if each.exists() and each.stat().st_size]
    found += (*_other_archives(folder, path), *_other_keys(folder, path))
    checkpoints, ours = beside(path, CHECKPOINTS), beside(folder / LOG, CHECKPOINTS)
    if checkpoints.exists() and not (ours.exists() and ours.read_bytes() == checkpoints.read_bytes()):
        found.append(checkpoints)
    if found:
        names = ", ".join(each.name for each in found)
        raise NotKept(f"there is already {names} in {path.parent}; move it away, or name another --store")


def _other_archives(folder: Path, path: Path) -> list[Path]:
    """Of another log: what is in them is to be found nowhere else."""
    ours = {beside(path, each.name.removeprefix(LOG)): each for each in archives_beside(folder / LOG)}
    others = (each for each in archives_beside(path) if each not in ours)
    differing = (each for each in ours if each.exists() and durable.measure(each) != durable.measure(ours[each]))
    return [*others, *differing]


def _other_keys(folder: Path, path: Path) -> Iterator[Path]:
    """Of another log, as one that began in this one's place makes them: they would open nothing of this one's."""
    ours, keys = folder / LOG, beside(path, KEYS)
    if keys.exists() and (known := _value(ours, IDENTITY, "keys")) is not None and _value(keys, "ring", "id") != known:
        yield keys


def _value(database: Path, table: str, name: str) -> str | None:
    try:
        with closing(sqlite3.connect(f"{uri(database, 'ro')}&immutable=1", uri=True)) as connection:
            row = connection.execute(f"SELECT value FROM {table} WHERE name = ?", (name,)).fetchone()
    except sqlite3.Error as fault:
        raise NotKept(f"{database} cannot be read: {fault}") from fault
    return None if row is None else row[0]


def _copied(source: Path, target: Path, mode: int = 0o644) -> durable.Kept | None:
    return durable.copy(source, target, mode) if source.is_file() else None


def _restore_blobs(folder: Path, manifest: Manifest, target: Path, tell: Tell) -> None:
    """Those that are whole already, from an attempt before or from the log that was there, are left as they are."""
    whole, listed = dict[str, int](), list(blobs_in(beside(folder / LOG, BLOBS)))
    for number, source in enumerate(listed, start=1):
        tell("copying blobs", number, len(listed))
        again = target / source.parent.name / source.name
        kept = durable.measure(again) if again.exists() else None
        if kept is None or kept.sha256 != source.name:
            again.parent.mkdir(parents=True, exist_ok=True)
            kept = durable.copy(source, durable.partial(again))
            if kept.sha256 != source.name:
                durable.remove(durable.partial(again))
                continue
            durable.put(durable.partial(again), again)
        whole[source.name] = kept.bytes
    expect_blobs(folder, whole, manifest)
    if listed:
        durable.sync(target)


def _restore_archives(folder: Path, manifest: Manifest, path: Path, tell: Tell) -> None:
    """As with blobs: those that are whole already are left as they are."""
    found = [name for name in manifest.files if name.startswith(f"{LOG}{ARCHIVE}")]
    for number, name in enumerate(found, start=1):
        tell("copying archives", number, len(found))
        suffix = name.removeprefix(LOG)
        target = beside(path, suffix)
        if not (target.exists() and durable.measure(target) == manifest.files[name]):
            _put(folder, manifest, suffix, target)


def _restore_keys(folder: Path, manifest: Manifest, target: Path) -> str:
    """Keys that are there are newer than the backup's: what was forgotten since must stay so."""
    if target.exists():
        return "place"
    if not manifest.has_keys:
        return ""
    _put(folder, manifest, KEYS, target, 0o600)
    return "backup"


def _is_sealed(place: Path) -> bool:
    return _value(place, IDENTITY, "keys") is not None


def _put(folder: Path, manifest: Manifest, suffix: str, target: Path, mode: int = 0o644) -> None:
    """What belongs to the log, by its suffix."""
    name = f"{LOG}{suffix}"
    part = durable.partial(target)
    try:
        expect(folder, name, _copied(folder / name, part, mode), manifest.files[name])
        durable.put(part, target)
    finally:
        durable.remove(part)


def _renewed(place: Path, manifest: Manifest) -> str:
    """Another epoch."""
    try:
        with closing(sqlite3.connect(place, isolation_level=None)) as log:
            log.execute("PRAGMA synchronous = FULL")
            return renew(log, f"restored from the backup of {_moment(manifest.made_at)}")
    except sqlite3.Error as fault:
        raise NotKept(f"{place} cannot be written: {fault}") from fault


def _moment(time: int) -> str:
    return datetime.fromtimestamp(time // 1_000_000, UTC).isoformat()


def _remove(place: Path) -> None:
    for leftover in (place, *(beside(place, suffix) for suffix in ("-wal", "-shm", "-journal"))):
        durable.remove(leftover)
