"""Proofs of a log, as the command line and HTTP give them out (eventstore.proofs says what they are)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any

from msgspec import Struct

from adapters import proof_verifier
from eventstore import proofs
from eventstore.checkpoints import Checkpoint, Signer
from eventstore.proofs import LoggedTree, Select, Unprovable, tree_file
from eventstore.sqlite import SQLiteStore

ROWS = 1000
"""Rows compared at one time."""
SEALED = '{"sealed":"'
"""What sealed texts begin with (eventstore.sealing)."""


class Fresh(Struct, frozen=True):
    """A checkpoint is to be made for the proof, of the log as it is `now` (µs UTC)."""

    now: int
    signer: Signer | None


class Prover:
    """Makes proofs of the log in `path`. Blocks; for `SQLiteStore.look`. All of it raises Unprovable.

    `wanted` says for which checkpoint: the one of so many events, a fresh one, or (None) the newest there is.
    """

    def __init__(self, store: SQLiteStore, path: Path, wanted: int | Fresh | None = None) -> None:
        self._epoch, self._path, self._wanted = store.epoch, path, wanted

    def event(self, select: Select, name: str) -> dict[str, Any]:
        """Of one event, by its position or as STREAM@VERSION."""
        position = proofs.position_of(select, name)
        checkpoint, tree = self._tree(select, position)
        return proofs.event_proof(select, tree, checkpoint, position)

    def consistency(self, select: Select, old: Checkpoint) -> dict[str, Any]:
        """That the log only grew since the older checkpoint."""
        checkpoint, tree = self._tree(select, old.size)
        proof = proofs.consistency_proof(tree, old, checkpoint)
        _assure(proof, f"the first {old.size:,} events are not those of the older checkpoint")
        return proof

    def export(self, select: Select, file: Path, format: str) -> dict[str, Any]:
        """Of the events in a file, in the order of their positions."""
        positions = [row["position"] for row in proof_verifier.rows_of(file, format)]
        if positions != sorted(set(positions)):
            raise Unprovable(f"the events in {file} are not in the order of their positions; export them so")
        checkpoint, tree = self._tree(select, positions[-1] if positions else 1)
        with file.open("rb") as content:
            said = {"name": file.name, "sha256": file_digest(content, "sha256").hexdigest(), "format": format}
        proof = proofs.export_proof(select, tree, checkpoint, positions, said)
        if stored := dict(_sealed(select, file, format)):
            proof["stored"] = stored
        _assure(proof, f"the events in {file} are not as they were recorded", file)
        return proof

    def checkpoint(self, select: Select, position: int = 1) -> Checkpoint:
        """The one that is wanted, which must have the event at `position`."""
        if isinstance(self._wanted, Fresh):
            return self._fresh(select, self._wanted, position)
        made = [each for each in proofs.checkpoints(select) if self._wanted in (None, each.size)]
        if not made:
            what = "no checkpoint" if self._wanted is None else f"no checkpoint of {self._wanted:,} events"
            raise Unprovable(f"the log has {what}; servers make them as it grows, --fresh makes one now")
        if made[-1].size < position:
            told = f"position {position:,} is in no checkpoint yet, the last has {made[-1].size:,} events"
            raise Unprovable(f"{told}; the server's next will have it, --fresh makes one now")
        return made[-1]

    def _fresh(self, select: Select, wanted: Fresh, position: int) -> Checkpoint:
        size = proofs.last_position(select)
        if size < position:
            raise Unprovable(f"the log has {size:,} events, so there is no position {position:,}")
        tree, head = self._believed(select, size), proofs.hashes(select, size - 1, size)[0]
        return Checkpoint.of(self._epoch, size, tree.root, head, wanted.now, wanted.signer)

    def _believed(self, select: Select, size: int) -> LoggedTree:
        """The tree as it is now; it goes on from the newest checkpoint, if there is one."""
        made = [each for each in proofs.checkpoints(select) if each.size <= size]
        tiles = proofs.tree_at(select, made[-1], self._tiles()).tiles if made else []
        return LoggedTree(select, size, b"".join(tiles))

    def _tree(self, select: Select, position: int) -> tuple[Checkpoint, LoggedTree]:
        checkpoint = self.checkpoint(select, position)
        return checkpoint, proofs.tree_at(select, checkpoint, self._tiles())

    def _tiles(self) -> bytes:
        file = tree_file(self._path)
        return file.read_bytes() if file.is_file() else b""


def _assure(proof: dict[str, Any], otherwise: str, file: Path | None = None) -> None:
    """Nothing is given out that its reader would refuse."""
    try:
        proof_verifier.check(proof, file=file)
    except proof_verifier.NotProved as fault:
        raise Unprovable(f"{otherwise}: {fault}") from None


def _sealed(select: Select, file: Path, format: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    """The texts in the log that cannot be had from the file, by position."""
    batch: list[dict[str, Any]] = []
    for row in proof_verifier.rows_of(file, format):
        batch.append(row)
        if len(batch) == ROWS:
            yield from _compared(select, batch)
            batch.clear()
    yield from _compared(select, batch)


def _compared(select: Select, batch: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, str | None]]]:
    stored = proofs.stored_texts(select, [row["position"] for row in batch])
    for row in batch:
        texts = zip(proof_verifier.BINARY, stored.get(row["position"], ()), strict=False)
        differing = {name: text for name, text in texts if text != row[name] and _means(text, row[name])}
        if differing:
            yield str(row["position"]), differing


def _means(stored: str | None, shown: str | None) -> bool:
    """Whether it is the same JSON in other words, or sealed."""
    if stored is None or shown is None:
        return False
    return SEALED in stored or bool(json.loads(stored) == json.loads(shown))
