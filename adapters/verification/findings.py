"""What is found out of a log that is read from its first event on, and the words for what is the matter with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from adapters.proof_verifier import said_time
from adapters.telling.words import shorten
from adapters.verification.messages import Attested
from eventstore.archived import altered
from eventstore.attestation import Attestation, Contradiction
from eventstore.chain import Break, Row, Verification
from eventstore.checkpointing import copies_file
from eventstore.checkpoints import Checkpoint, parse_file
from eventstore.sqlite import SQLiteStore

ALTERED_CHECKPOINTS = "The log's checkpoints were altered"


class Trouble(Struct, frozen=True):
    """The first thing that is the matter. `what` and `told` are one sentence, the second its details.

    `position` is where it begins, None where that is nowhere in the log; `event` what stands there, where it is known.
    """

    what: str
    told: str
    position: int | None = None
    event: str | None = None


class Findings:
    """Holds a log against its chain, against checkpoints, and against a `head` somebody noted, or its first digits."""

    def __init__(self, known: Iterable[Checkpoint], head: str = "") -> None:
        self.chain, self.attestation = Verification(), Attestation(known)
        self._head, self._is_seen = head, not head

    def take(self, rows: Sequence[Row]) -> bool:
        """The next rows. Whether there is any use in more."""
        before = self.chain.position
        broken = self.chain.check(rows)
        hashes = [row[-1] for row in rows[: self.chain.position - before]]
        self._is_seen = self._is_seen or any(hash_.hex().startswith(self._head) for hash_ in hashes)
        return self.attestation.check(hashes) is None and broken is None

    def trouble(self) -> Trouble | None:
        """What is the matter, if anything is; of the chain and the checkpoints what is nearer to where it begins."""
        at = self.chain.broken
        if at is None:
            self.attestation.end(self.chain.position)
        contradiction = self.attestation.contradiction
        if contradiction is not None and (at is None or contradiction.last < at.position):
            return _contradicted(contradiction, self.chain.position)
        if at is not None:
            return _broken(at)
        if not self._is_seen:
            told = ": its end was cut off, or it is another log."
            return Trouble("The chain does not come through the head noted", told)
        return None

    def attested(self) -> Attested | None:
        """By which checkpoints the log holds; None where there is none."""
        held = self.attestation.held
        signed = [checkpoint for checkpoint in held if checkpoint.is_signed]
        keys = sorted({signature[:4].hex() for checkpoint in signed for signature in checkpoint.signatures})
        if not held:
            return None
        return Attested(len(held), held[-1].size, max((each.size for each in signed), default=0), tuple(keys))


async def trouble_of_archives(store: SQLiteStore, path: Path) -> Trouble | None:
    """Of the files with texts that have left the log at `path`. The chain covers those texts, and the digests on record
    all of the file. Raises StoreUnavailable, OSError."""
    name = await store.look(lambda select: altered(select, path))
    return None if name is None else Trouble("An archive was altered", f": {name} has another digest than on record.")


def distinct(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Each once, however many places it was noted in."""
    return list({checkpoint.note: checkpoint for checkpoint in checkpoints}.values())


def copied(path: Path, epoch: str) -> list[Checkpoint]:
    """Those in the file beside the log at `path`. Of another epoch are those of a log that this one was restored in
    place of. Raises MalformedCheckpoint, OSError."""
    file = copies_file(path)
    if not file.exists():
        return []
    whole, _, _ = file.read_text(errors="replace").rpartition("\n")  # a line that is being written is left aside
    return [copy for copy in (parse_file(whole) if whole else ()) if copy.epoch == epoch]


def events_told(count: int) -> str:
    return "1 event" if count == 1 else f"{count:,} events"


def _broken(at: Break) -> Trouble:
    told = f" at position {at.position:,} ({shorten(at.event)}): {at.reason}."
    return Trouble("The chain is broken", told, at.position, at.event)


def _contradicted(found: Contradiction, position: int) -> Trouble:
    made = f"the checkpoint of {events_told(found.checkpoint.size)} of {said_time(found.checkpoint.time)}"
    if found.is_cut_off:
        missing = events_told(found.last - found.first + 1)
        told = f" behind position {position:,}: {made} has {missing} more."
        return Trouble("The log was cut off", told)
    where = f"position {found.first:,}" if found.first == found.last else f"positions {found.first:,} to {found.last:,}"
    told = f" at {where}: the chain was made anew there, and does not come through {made}."
    return Trouble("Events were replaced", told, found.first)
