"""Proofs of a log, as the command line and HTTP give them out (eventstore.proofs says what they are)."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec import DecodeError, Struct
from msgspec.json import decode

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


class _Written(Struct):
    name: str
    format: str
    compressed: bool


class _Manifest(Struct):
    """What a proof needs of an export's manifest."""

    file: _Written


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
        proof = proofs.event_proof(select, tree, checkpoint, position)
        _assure(proof, f"the first {tree.size:,} events are not those of the checkpoint")
        return proof

    def consistency(self, select: Select, old: Checkpoint) -> dict[str, Any]:
        """That the log only grew since the older checkpoint."""
        checkpoint, tree = self._tree(select, old.size)
        proof = proofs.consistency_proof(tree, old, checkpoint)
        _assure(proof, f"the first {old.size:,} events are not those of the older checkpoint")
        return proof

    def export(self, select: Select, named: Path) -> dict[str, Any]:
        """Of the events in an export, which its manifest names, or its file."""
        file, format, compressed = _export(named)
        try:
            positions = [row["position"] for row in proof_verifier.rows_of(file, format, compressed)]
        except proof_verifier.NotProved as fault:
            raise Unprovable(f"{file}: {fault}; name an export as it was written") from None
        if positions != sorted(set(positions)):
            raise Unprovable(f"the events in {file} are not in the order of their positions; export them so")
        checkpoint, tree = self._tree(select, positions[-1] if positions else 1)
        with file.open("rb") as content:
            digest = file_digest(content, "sha256").hexdigest()
        said = {"name": file.name, "sha256": digest, "format": format, "compressed": compressed}
        proof = proofs.export_proof(select, tree, checkpoint, positions, said)
        if stored := dict(_sealed(select, proof_verifier.rows_of(file, format, compressed))):
            proof["stored"] = stored
        _assure(proof, f"the events in {file} are not as they were recorded", file)
        return proof

    def checkpoint(self, select: Select) -> Checkpoint:
        """The one that is wanted."""
        if isinstance(self._wanted, Fresh):
            return self._fresh(select, self._wanted, 1)[0]
        return self._made(select, 1)

    def _tree(self, select: Select, position: int) -> tuple[Checkpoint, LoggedTree]:
        """The checkpoint that is wanted, which must have the event at `position`, and the log's tree as it has it."""
        if isinstance(self._wanted, Fresh):
            return self._fresh(select, self._wanted, position)
        checkpoint, tiles = self._made(select, position), tree_file(self._path)
        return checkpoint, proofs.tree_at(select, checkpoint, tiles.read_bytes() if tiles.is_file() else b"")

    def _made(self, select: Select, position: int) -> Checkpoint:
        made = [each for each in proofs.checkpoints(select) if self._wanted in (None, each.size)]
        if not made:
            what = "no checkpoint" if self._wanted is None else f"no checkpoint of {self._wanted:,} events"
            raise Unprovable(f"the log has {what}; servers make them as it grows, --fresh makes one now")
        if made[-1].size < position:
            told = f"position {position:,} is in no checkpoint yet, the last has {made[-1].size:,} events"
            raise Unprovable(f"{told}; the server's next will have it, --fresh makes one now")
        return made[-1]

    def _fresh(self, select: Select, wanted: Fresh, position: int) -> tuple[Checkpoint, LoggedTree]:
        size = proofs.last_position(select)
        if size < position:
            raise Unprovable(f"the log has {size:,} events, so there is no position {position:,}")
        tree, head = self._believed(select, size), proofs.hashes(select, size - 1, size)[0]
        return Checkpoint.of(self._epoch, size, tree.root, head, wanted.now, wanted.signer), tree

    def _believed(self, select: Select, size: int) -> LoggedTree:
        """The tree as it is now, from its leaves; it goes on from the newest checkpoint, if there is one."""
        tree = LoggedTree(select, size)
        made = [each for each in proofs.checkpoints(select) if each.size <= size]
        if made and LoggedTree(select, made[-1].size, b"".join(tree.tiles)).root != made[-1].root:
            raise Unprovable(f"the first {made[-1].size:,} events are not those of the checkpoint; {proofs.ASK}")
        return tree


def _assure(proof: dict[str, Any], otherwise: str, file: Path | None = None) -> None:
    """Nothing is given out that its reader would refuse."""
    try:
        proof_verifier.check(proof, file=file)
    except proof_verifier.NotProved as fault:
        raise Unprovable(f"{otherwise} ({fault}); {proofs.ASK}") from None


def _export(named: Path) -> tuple[Path, str, bool]:
    """The file of an export, its format, and whether it is compressed."""
    if named.suffix == ".json":
        try:
            written = decode(named.read_bytes(), type=_Manifest).file
        except DecodeError as fault:
            raise Unprovable(f"{named} is no manifest of an export: {fault}") from None
        return named.with_name(written.name), written.format, written.compressed
    ending = Path(named.name.removesuffix(".gz")).suffix.removeprefix(".")
    if ending not in proof_verifier.FORMATS:
        raise Unprovable(f"{named} is no export; name its manifest, or the file with its ending")
    return named, ending, named.suffix == ".gz"


def _sealed(select: Select, rows: Iterator[dict[str, Any]]) -> Iterator[tuple[str, dict[str, str]]]:
    """The texts that the log has sealed and the export shows, by position."""
    while batch := list(islice(rows, ROWS)):
        stored = proofs.stored_texts(select, [row["position"] for row in batch])
        for row in batch:
            texts = zip(proof_verifier.BINARY, stored.get(row["position"], ()), strict=False)
            differing = {
                name: text for name, text in texts if text is not None and SEALED in text and text != row[name]
            }
            if differing:
                yield str(row["position"]), differing
