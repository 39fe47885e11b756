"""Proofs about a log that need neither the log nor us: that an event is in it, that what was exported is, and that it
only ever grew.

Each is a plain value to be written as JSON, in the format that `adapters/proof_verifier.py` documents and checks.
They are made from a checkpoint and the chain hashes in the log, and never given out before they were held against
that checkpoint.

The tree above the hashes is not stored but for its tiles, the subtrees over 1,024 events: their hashes are one
after the other in the file `<log>-tree`. It may be deleted at any time, and is believed only where it leads to the
checkpoint's root.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from eventstore import merkle
from eventstore.archives import COMMAND, STATE, columns_of
from eventstore.chain import COLUMNS, GENESIS, Row
from eventstore.checkpoints import Checkpoint
from eventstore.merkle import TILE
from eventstore.recorder import TABLE

HASH_BYTES = 32
NAMES = (
    "position", "stream", "version", "event", "payload", "time", "correlation", "causation", "command_id", "principal",
    "origin", "command",
)  # fmt: skip
"""What chain.COLUMNS are called outside, in their order."""

Select = Callable[[str, tuple[Any, ...]], list[Any]]
"""Asks the log's database; it blocks."""

_HASHES = f"SELECT hash FROM {TABLE} WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
_EVENT = re.compile(r"(?P<stream>.+)@(?P<version>[0-9]{1,18})|(?P<position>[0-9]{1,18})")
_COLUMNS = columns_of(COLUMNS, "BLOB")


ASK = "`callboard verify` tells what was changed"


class Unprovable(Exception):
    """The log does not allow the proof. The message says why, and what to do."""


def tree_file(log: Path) -> Path:
    """Where the tiles of a log are."""
    return log.with_name(f"{log.name}-tree")


def hashes(select: Select, after: int, until: int) -> list[bytes]:
    """The chain hashes of the events behind `after` up to `until`. Raises Unprovable when one is missing."""
    rows = select(_HASHES, (after, until))
    if len(rows) != until - after or not all(type(row[0]) is bytes for row in rows):
        raise Unprovable(f"events are missing from position {after + 1} to {until}; `callboard verify` tells which")
    return [row[0] for row in rows]


def checkpoints(select: Select) -> list[Checkpoint]:
    """Those in the log, the oldest first. Raises MalformedCheckpoint."""
    if not select("SELECT 1 FROM sqlite_master WHERE name = 'chain_checkpoints'", ()):
        return []  # a log that no server of this version has written to
    return [Checkpoint.parse(note) for (note,) in select("SELECT note FROM chain_checkpoints ORDER BY size", ())]


def last_position(select: Select) -> int:
    """How many events there are."""
    return int(select(f"SELECT MAX(rowid) FROM {TABLE}", ())[0][0] or 0)


def position_of(select: Select, event: str) -> int:
    """The position of an event, which is named by it or as STREAM@VERSION. Raises Unprovable."""
    match = _EVENT.fullmatch(event)
    if match is None:
        raise Unprovable(f"{event[:80]!r} is no event; write STREAM@VERSION, or a position")
    if match["position"]:
        rows = select(f"SELECT rowid FROM {TABLE} WHERE rowid = ?", (int(match["position"]),))
    else:
        query = f"SELECT rowid FROM {TABLE} WHERE originator_id = ? AND originator_version = ?"
        rows = select(query, (match["stream"], int(match["version"])))
    if not rows:
        raise Unprovable(f"the log has no event {event[:80]}")
    return int(rows[0][0])


def stored_texts(select: Select, positions: Sequence[int]) -> dict[int, tuple[str, str | None]]:
    """The payload and the command of each of these events, as they are in the log."""
    query = f"SELECT rowid, {STATE}, {COMMAND} FROM {TABLE} WHERE rowid BETWEEN ? AND ?"
    return {row[0]: row[1:] for first, last in runs(positions) for row in select(query, (first, last))}


class LoggedTree:
    """The tree over the first `size` events of a log, whose tiles may be known already."""

    def __init__(self, select: Select, size: int, tiles: bytes = b"") -> None:
        self.size = size
        self._select = select
        self._tiles = [tiles[at : at + HASH_BYTES] for at in range(0, len(tiles), HASH_BYTES)][: size // TILE]
        self._read: tuple[int, list[bytes]] = (-1, [])

    @property
    def tiles(self) -> list[bytes]:
        """The hashes of all whole tiles."""
        for number in range(len(self._tiles), self.size // TILE):
            self._tiles.append(merkle.folded(self._leaves(number)))
        return self._tiles

    @property
    def root(self) -> bytes:
        return self.subtree(0, self.size)

    def subtree(self, start: int, end: int) -> bytes:
        """As merkle.Subtree."""
        first, last = divmod(start, TILE)
        if last or end - start < TILE:
            return merkle.folded(self._leaves(first)[last : last + end - start])
        whole = self.tiles[first : end // TILE]
        return merkle.folded([*whole, self.subtree(end - end % TILE, end)] if end % TILE else whole)

    def _leaves(self, tile: int) -> list[bytes]:
        """The leaves' hashes in one tile; those of the tile asked for last are kept."""
        if self._read[0] != tile:
            contents = hashes(self._select, tile * TILE, min(self.size, (tile + 1) * TILE))
            self._read = tile, merkle.leaves(contents)
        return self._read[1]


def tree_at(select: Select, checkpoint: Checkpoint, tiles: bytes) -> LoggedTree:
    """The log's tree as the checkpoint has it; the tiles are left aside where they are wrong. Raises Unprovable."""
    for known in (tiles, b""):
        tree = LoggedTree(select, checkpoint.size, known)
        if tree.root == checkpoint.root:
            return tree
    raise Unprovable(f"the first {checkpoint.size:,} events are not those of the checkpoint; {ASK}")


# --- the proofs -------------------------------------------------------------------------------------------------


def event_proof(select: Select, tree: LoggedTree, checkpoint: Checkpoint, position: int) -> dict[str, Any]:
    """That the event at `position` is in the log, with all that is recorded of it."""
    columns = _columns(select, position)
    return {
        "proof": "callboard.event/1",
        "checkpoint": checkpoint.note,
        "event": dict(zip(NAMES, map(_text, columns), strict=True)),
        "previous": _before(select, position).hex(),
        "path": [hash_.hex() for hash_ in merkle.inclusion(position - 1, tree.size, tree.subtree)],
    }


def consistency_proof(tree: LoggedTree, old: Checkpoint, checkpoint: Checkpoint) -> dict[str, Any]:
    """That the log of the newer checkpoint begins with that of the older."""
    path = merkle.consistency(old.size, tree.size, tree.subtree)
    return {
        "proof": "callboard.consistency/1",
        "old": old.note,
        "checkpoint": checkpoint.note,
        "path": [hash_.hex() for hash_ in path],
    }


def export_proof(
    select: Select, tree: LoggedTree, checkpoint: Checkpoint, positions: Sequence[int], file: dict[str, Any]
) -> dict[str, Any]:
    """That the events at these positions, which ascend, are in the log. `file` says where they are written."""
    nodes = merkle.surroundings([position - 1 for position in positions], tree.size, tree.subtree)
    return {
        "proof": "callboard.export/1",
        "checkpoint": checkpoint.note,
        "file": file,
        "runs": [[first, last, _before(select, first).hex()] for first, last in runs(positions)],
        "nodes": [hash_.hex() for hash_ in nodes],
    }


def runs(positions: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each sequence of neighbours."""
    ordered = list(positions)
    ends = [0, *(at for at, (one, two) in enumerate(pairwise(ordered), start=1) if two != one + 1), len(ordered)]
    return ((ordered[start], ordered[end - 1]) for start, end in pairwise(ends) if start < end)


def _columns(select: Select, position: int) -> Row:
    rows = select(f"SELECT {_COLUMNS} FROM {TABLE} WHERE rowid = ?", (position,))
    if not rows:
        raise Unprovable(f"there is no event at position {position:,}")
    return tuple(rows[0])


def _before(select: Select, position: int) -> bytes:
    """The hash the event at `position` is linked to."""
    return GENESIS if position == 1 else hashes(select, position - 2, position - 1)[0]


def _text(value: Any) -> Any:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else value
