"""Backing a log up while a server writes to it, and checking backups. All of it blocks, so no event loop may do it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import json

from eventstore import durable
from eventstore.archives import archives_beside
from eventstore.backups import (
    BLOBS,
    CHECKPOINTS,
    FORMAT,
    KEYS,
    LOG,
    MANIFEST,
    Manifest,
    NotKept,
    Tell,
    beside,
    blobs_in,
    read_manifest,
    silent,
    together,
)
from eventstore.copying import copy_database
from eventstore.durable import Kept
from eventstore.inspection import Inspected, inspect


def back_up(log: Path, folder: Path, *, version: str, with_keys: bool = False, tell: Tell = silent) -> Manifest:
    """Make `folder` a backup of the log as it is now; `version` is the program's. Raises NotKept, OSError.

    It is called done when the copy's chain was followed to its end, every blob was read and every file synced; until
    then there is no `folder`.
    """
    if folder.exists() or folder.is_symlink():
        raise NotKept(f"{folder} is there already, and is left as it is; name a folder that is not")
    with _workplace(folder) as place:
        copy = place / LOG
        _copy_checkpoints(beside(log, CHECKPOINTS), beside(copy, CHECKPOINTS))  # before the log: none is ahead of it
        copy_database(log, copy, tell)
        _copy_archives(log, copy, tell)  # behind the log: what it names is there, and stays
        if with_keys and beside(log, KEYS).exists():
            copy_database(beside(log, KEYS), beside(copy, KEYS))
            beside(copy, KEYS).chmod(0o600)
        blobs = _copy_blobs(beside(log, BLOBS), beside(copy, BLOBS), tell)
        manifest = _manifest(log, place, inspect(copy, tell), blobs, version)
        durable.write(place / MANIFEST, json.format(json.encode(manifest), indent=2) + b"\n")
        durable.put(place, folder)
    return manifest


def check_backup(folder: Path, tell: Tell = silent) -> Manifest:
    """See that all of a backup is there and as it was. Raises NotKept, OSError."""
    manifest = read_manifest(folder)
    for name, kept in manifest.files.items():
        expect(folder, name, durable.measure(folder / name) if (folder / name).is_file() else None, kept)
    blobs = dict[str, int]()
    listed = list(blobs_in(beside(folder / LOG, BLOBS)))
    for number, path in enumerate(listed, start=1):
        tell("checking blobs", number, len(listed))
        kept = durable.measure(path)
        if kept.sha256 == path.name:
            blobs[path.name] = kept.bytes
    expect_blobs(folder, blobs, manifest)
    expect_log(folder, inspect(folder / LOG, tell), manifest)
    return manifest


def expect(folder: Path, name: str, found: Kept | None, kept: Kept) -> None:
    """Raises NotKept where a file of the backup is not what its manifest says."""
    if found != kept:
        what = "is missing" if found is None else "is not what was written"
        raise NotKept(f"the backup {folder} is damaged: {name} {what}; take another one")


def expect_blobs(folder: Path, blobs: dict[str, int], manifest: Manifest) -> None:
    """Raises NotKept where blobs are missing, damaged, or more than there were."""
    if together(blobs) != manifest.blobs:
        told = f"{len(blobs):,} of its blobs are whole, and {manifest.blobs.count:,} were written"
        raise NotKept(f"the backup {folder} is damaged: {told}; take another one")


def expect_log(folder: Path, found: Inspected, manifest: Manifest) -> None:
    """Raises NotKept where the log is whole, but another one than was written."""
    if (found.epoch, found.events, found.head) != (manifest.epoch, manifest.events, manifest.head):
        raise NotKept(f"the backup {folder} is damaged: its log is another one; take another backup")


# --- the parts ------------------------------------------------------------------------------------------------------


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to make it in. Of a backup that was killed nothing is left by the next one, whatever the
    name of either."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = durable.partial(folder.with_name("backup"))
    lock = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise NotKept(f"another backup is being made in {folder.parent}; wait until it is done") from None
    try:
        durable.remove(place)
        place.mkdir()
        yield place
    finally:
        with suppress(OSError):  # what went wrong before is the news
            durable.remove(place)
        os.close(lock)


def _copy_checkpoints(source: Path, target: Path) -> None:
    """The lines that are whole: somebody may be writing the next."""
    if source.exists():
        whole = source.read_bytes().rpartition(b"\n")
        durable.write(target, b"".join(whole[:2]))


def _copy_archives(log: Path, copy: Path, tell: Tell) -> None:
    found, log = archives_beside(log), log.resolve()
    for number, path in enumerate(found, start=1):
        tell("copying archives", number, len(found))
        durable.copy(path, beside(copy, path.name.removeprefix(log.name)))


def _copy_blobs(source: Path, target: Path, tell: Tell) -> dict[str, int]:
    """All that are what their names say, with their sizes."""
    copied, folders, found = dict[str, int](), {target, target.parent}, list(blobs_in(source))
    for number, path in enumerate(found, start=1):
        tell("copying blobs", number, len(found))
        again = target / path.parent.name / path.name
        again.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # forgotten meanwhile
            kept = durable.copy(path, again)
            if kept.sha256 == path.name:
                copied[path.name] = kept.bytes
                folders.add(again.parent)
            else:
                again.unlink()
    for folder in filter(Path.exists, folders):
        durable.sync(folder)
    return copied


def _manifest(log: Path, place: Path, inspected: Inspected, blobs: dict[str, int], version: str) -> Manifest:
    files = {path.name: durable.measure(path) for path in sorted(place.iterdir()) if path.is_file()}
    return Manifest(
        FORMAT, version, time.time_ns() // 1000, log.name, inspected.epoch, inspected.events, inspected.head,
        inspected.last_event_at, files, together(blobs), tuple(sorted(inspected.blobs - blobs.keys())),
    )  # fmt: skip
