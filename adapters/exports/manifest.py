"""The manifest of an export: which question was asked of which log, and what came of it.

    {"manifest": "callboard.manifest/1", "epoch": …, "head": {"position": …, "hash": …}, "filters": {…}, "time": …,
     "access": …, "file": {"name", "format", "compressed", "bytes", "sha256"},
     "entries": {"count", "first", "last", "sha256", "runs"}}

`head` is where the log ended at the time, with the chain's hash there. `entries.sha256` does not depend on the format:
it is SHA-256 over the MessagePack arrays of all entries, one behind the other, each of what Entry has, in its order.
`runs` are the first and last positions of entries without a gap; null where there are more than MOST_RUNS, and the file
alone says them. `access` is the event that recorded the access.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from adapters.exports.formats import Format, NotExported
from eventstore.audit import Entry, Filters
from eventstore.turns import give_way

KIND = "callboard.manifest/1"
MOST_RUNS = 10_000


class Head(Struct, frozen=True):
    """Where a log ended: the last position, 0 for none, and the chain's hash there, hexadecimal."""

    position: int
    hash: str


class Written(Struct, frozen=True):
    """The bytes of the file."""

    name: str
    format: Format
    compressed: bool
    bytes: int
    sha256: str


class Contained(Struct, frozen=True):
    """The entries in it. `first` and `last` are positions, None where there are none."""

    count: int
    first: int | None
    last: int | None
    sha256: str
    runs: tuple[tuple[int, int], ...] | None


class Manifest(Struct, frozen=True):
    """`time` is µs UTC."""

    manifest: str
    epoch: str
    head: Head
    filters: dict[str, str | int | bool]
    time: int
    access: str | None
    file: Written
    entries: Contained


class Ledger:
    """Takes entries as they come, and knows what a manifest says of them."""

    def __init__(self) -> None:
        self._digest, self._encode = sha256(), msgspec.msgpack.Encoder().encode
        self._runs: list[tuple[int, int]] = []
        self._first: int | None = None
        self._last: int | None = None
        self._count = self._begun = 0
        self._is_patchwork = False

    def take(self, entries: Sequence[Entry]) -> None:
        """The next ones."""
        self._count += len(entries)
        for entry in entries:
            self._digest.update(self._encode(structs.astuple(entry)))
            give_way()
            if self._last is None or entry.position != self._last + 1:
                self._begin_run(entry.position)
            self._last = entry.position

    def _begin_run(self, position: int) -> None:
        if self._last is None:
            self._first = position
        elif len(self._runs) + 1 < MOST_RUNS:
            self._runs.append((self._begun, self._last))
        else:
            self._runs, self._is_patchwork = [], True
        self._begun = position

    def contained(self) -> Contained:
        """What was taken so far."""
        last = () if self._last is None else ((self._begun, self._last),)
        runs = None if self._is_patchwork else (*self._runs, *last)
        return Contained(self._count, self._first, self._last, self._digest.hexdigest(), runs)


def asked(filters: Filters) -> dict[str, str | int | bool]:
    """What a manifest says of a question: the filters that are given."""
    return {name: value for name, value in structs.asdict(filters).items() if value is not None}


def digests(manifest: Manifest) -> dict[str, str]:
    """What the log records of an export, so that it can be told from any other."""
    return {"entries_sha256": manifest.entries.sha256, "file_sha256": manifest.file.sha256}


def manifest_file(file: Path) -> Path:
    """Where the manifest of an export is."""
    return file.with_name(f"{file.name}.manifest.json")


def as_json(manifest: Manifest) -> bytes:
    """The manifest as it is written."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def read_manifest(path: Path) -> Manifest:
    """Raises NotExported, OSError."""
    return decoded(path.read_bytes(), str(path))


def decoded(content: bytes, name: str) -> Manifest:
    """A manifest from its JSON, which `name` tells of. Raises NotExported."""
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeError) as fault:
        raise NotExported(f"{name} is no manifest: {fault}") from None
    if manifest.manifest != KIND:
        raise NotExported(f"{name} is a manifest of another kind, {manifest.manifest[:40]}; this version knows {KIND}")
    return manifest
