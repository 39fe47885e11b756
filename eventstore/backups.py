"""What a backup is: a folder that has a log with all that belongs to it, and says what is in it.

    log.db                    the log, a plain SQLite file: every command that reads a log reads it
    log.db-blobs/             the bytes that events name by their digests
    log.db-checkpoints.jsonl  the checkpoints, if there are any
    log.db-archive-….jsonl.gz  the texts of ended streams that have left the log
    log.db-keys               the keys of sealed text, if they were asked for
    manifest.json             a Manifest

It gets its name when all of it is there, checked and synced; a folder of that name is a whole backup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from msgspec import DecodeError, Struct, json

from core.ports import StoreUnavailable
from eventstore.durable import Kept

LOG = "log.db"
MANIFEST = "manifest.json"
CHECKPOINTS, KEYS, BLOBS = "-checkpoints.jsonl", "-keys", "-blobs"
"""Behind the log's name: what belongs to it."""
FORMAT = 1
"""Of what is here. A backup of a later one is refused."""

Tell = Callable[[str, int, int], None]
"""Hears what is being done, how far it has come, and out of how much."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class NotKept(StoreUnavailable):
    """It was not backed up, or cannot be restored. The message says why, and what to do."""


class Blobs(Struct, frozen=True):
    """The blobs of a backup together: `sha256` is that of their digests, sorted, a line each."""

    count: int = 0
    bytes: int = 0
    sha256: str = sha256(b"").hexdigest()


class Manifest(Struct, frozen=True):
    """What is in a backup. `made_at` and `last_event_at` are µs UTC, `head` is the last event's hash in hex.

    `log` is the name of the file that was backed up; `files` has what is in the folder but the blobs. `lost_blobs` are
    named by events, but were not there when the backup was made: somebody has forgotten or lost them.
    """

    format: int
    version: str
    made_at: int
    log: str
    epoch: str
    events: int
    head: str
    last_event_at: int
    files: dict[str, Kept]
    blobs: Blobs
    lost_blobs: tuple[str, ...] = ()

    @property
    def has_keys(self) -> bool:
        return f"{LOG}{KEYS}" in self.files


def beside(log: Path, suffix: str) -> Path:
    """What belongs to the log, by its suffix."""
    return log.with_name(f"{log.name}{suffix}")


def silent(what: str, done: int, total: int) -> None:
    """A Tell for those who need not hear it."""


def read_manifest(folder: Path) -> Manifest:
    """Raises NotKept when there is none that can be read."""
    path = folder / MANIFEST
    try:
        manifest = json.decode(path.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise NotKept(
            f"{folder} is no backup: it has no {MANIFEST}; name a folder that `callboard backup` made"
        ) from None
    except OSError as fault:
        raise NotKept(f"the backup {folder} cannot be read: {fault.strerror}") from None
    except DecodeError as fault:
        raise NotKept(f"the backup {folder} is damaged: {MANIFEST}: {fault}; take another one") from None
    if manifest.format != FORMAT:
        raise NotKept(f"the backup {folder} is of format {manifest.format}; a newer Callboard can restore it")
    return manifest


def blobs_in(folder: Path) -> Iterator[Path]:
    """The files of a log's blob folder, `<first two digits>/<digest>` each, in order; none where there is no folder."""
    for path in sorted(folder.glob("??/*")):
        if _DIGEST.fullmatch(path.name) and path.parent.name == path.name[:2]:
            yield path


def together(blobs: dict[str, int]) -> Blobs:
    """Of digests and sizes."""
    listed = "".join(f"{digest}\n" for digest in sorted(blobs))
    return Blobs(len(blobs), sum(blobs.values()), sha256(listed.encode()).hexdigest())
