"""`callboard verify`: is the log what was recorded, by its chain, by its checkpoints and by what others noted of it?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from adapters import timeline
from adapters.bootstrap import open_history
from adapters.proof_verifier import public_key, said_time
from adapters.setting_values import StoreAddress, Unusable
from eventstore.attestation import Attestation, Contradiction
from eventstore.chain import Row, Verification
from eventstore.checkpointing import copies_file
from eventstore.checkpoints import Checkpoint, MalformedCheckpoint, parse_file
from eventstore.proofs import checkpoints
from eventstore.signing import is_signed_by
from eventstore.sqlite import BEFORE_ALL, SQLiteStore

PAGE = 2000
"""Events read at a time."""
FEWEST_DIGITS = 12
"""Of a head that is noted: with fewer, another log may have come through it by chance."""
_HEAD = re.compile(rf"[0-9a-f]{{{FEWEST_DIGITS},64}}")


class Noted(Struct, frozen=True):
    """What is known of the log from elsewhere: a head or its first digits, checkpoints, and the keys that sign them."""

    head: str = ""
    checkpoints: tuple[Checkpoint, ...] = ()
    keys: tuple[bytes, ...] = ()


NOTHING = Noted()


def noted_head(text: str) -> str:
    """A head that somebody noted, or its first digits, as `verify` compares it. Raises Unusable."""
    noted = text.strip().rstrip("….").lower()
    if not _HEAD.fullmatch(noted):
        wanted = f"write {FEWEST_DIGITS} hex digits or more of a head that `callboard verify` printed"
        raise Unusable(f"--head: {text[:80]!r} is no head; {wanted}")
    return noted


def noted_checkpoints(file: Path) -> list[Checkpoint]:
    """Those in a file: a checkpoint as it is written, or one in each line of JSON. Raises Unusable, OSError."""
    try:
        return parse_file(file.read_text())
    except (MalformedCheckpoint, UnicodeDecodeError) as fault:
        raise Unusable(f"{file}: {fault}; write a checkpoint, or a copy of `<log>-checkpoints.jsonl`") from None


def key_of(text: str) -> bytes:
    """A public key, by its digits or its file. Raises Unusable, OSError."""
    try:
        return public_key(text)
    except ValueError as fault:
        raise Unusable(f"--public-key: {fault}; `callboard proof key show` prints it") from None


class _Findings:
    """What was found out of a log that is read from its first event on."""

    def __init__(self, noted: Noted, known: Sequence[Checkpoint]) -> None:
        self.chain, self.attestation = Verification(), Attestation(known)
        self._head, self._is_seen = noted.head, not noted.head

    def take(self, rows: Sequence[Row]) -> bool:
        """The next rows. Whether there is any use in more."""
        before = self.chain.position
        broken = self.chain.check(rows)
        hashes = [row[-1] for row in rows[: self.chain.position - before]]
        self._is_seen = self._is_seen or any(hash_.hex().startswith(self._head) for hash_ in hashes)
        return self.attestation.check(hashes) is None and broken is None

    def trouble(self) -> Text | None:
        """What is the matter, if anything is; of the chain and the checkpoints what is nearer to where it begins."""
        at = self.chain.broken
        if at is None:
            self.attestation.end(self.chain.position)
        contradiction = self.attestation.contradiction
        if contradiction is not None and (at is None or contradiction.last < at.position):
            return _contradicted(contradiction, self.chain.position)
        if at is not None:
            told = f" at position {at.position:,} ({timeline.shorten(at.event)}): {at.reason}."
            return _trouble("The chain is broken", told)
        if not self._is_seen:
            told = ": its end was cut off, or it is another log."
            return _trouble("The chain does not come through the head noted", told)
        return None


async def verify(address: StoreAddress, out: Console, noted: Noted = NOTHING) -> bool:
    """Check the log; say what holds, or what is the first thing that does not.

    A chain cannot know that events were cut off at its end, nor that all of it was made anew from some event on. The
    checkpoints in the log know, and those that are `noted`: the log must have come through them.
    """
    async with open_history(address) as store:
        try:
            made = [*await store.look(checkpoints), *_copied(address, store.epoch), *noted.checkpoints]
            known = list({checkpoint.note: checkpoint for checkpoint in made}.values())
        except MalformedCheckpoint as fault:
            return _tell(out, _trouble("The log's checkpoints were altered", f": {fault}."))
        findings = _Findings(noted, known)
        await _read(store, findings, out)
    chain, held = findings.chain, findings.attestation.held
    if (trouble := findings.trouble() or _false_signature(known, noted.keys)) is not None:
        return _tell(out, trouble)
    if held:
        what = "1 checkpoint holds" if len(held) == 1 else f"{len(held):,} checkpoints hold"
        out.print(f"[bold green]{what}[/], the newest of {_events(held[-1].size)}{_signers(held, noted.keys)}")
    out.print(f"[bold green]The chain holds[/]: {chain.position:,} events; head {chain.head.hex()[:16]}…")
    return True


async def _read(store: SQLiteStore, findings: _Findings, out: Console) -> None:
    columns = TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=out, transient=True)
    with bar if out.is_terminal else nullcontext():
        task, after = bar.add_task("", total=store.head), BEFORE_ALL
        while (rows := await store.read_rows(after=after, limit=PAGE)) and findings.take(rows):
            after = findings.chain.position
            bar.update(task, completed=after)


def _copied(address: StoreAddress, epoch: str) -> list[Checkpoint]:
    """Those in the file beside the log. Of another epoch are those of a log that this one was restored in place of."""
    file = address.path and copies_file(address.path)
    if not file or not file.exists():
        return []
    whole, _, _ = file.read_text(errors="replace").rpartition("\n")  # a line that is being written is left aside
    try:
        return [copy for copy in (parse_file(whole) if whole else ()) if copy.epoch == epoch]
    except MalformedCheckpoint as fault:
        raise Unusable(f"{file}: {fault}; keep it elsewhere: a server makes it anew from the log") from None


# --- what is told -----------------------------------------------------------------------------------------------


def _trouble(what: str, told: str) -> Text:
    return Text(what, "bold red").append(told, "default")


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count:,} events"


def _tell(out: Console, trouble: Text) -> bool:
    out.print(trouble)
    return False


def _contradicted(found: Contradiction, position: int) -> Text:
    made = f"the checkpoint of {_events(found.checkpoint.size)} of {said_time(found.checkpoint.time)}"
    if found.is_cut_off:
        missing = _events(found.last - found.first + 1)
        told = f" behind position {position:,}: {made} has {missing} more."
        return _trouble("The log was cut off", told)
    where = f"position {found.first:,}" if found.first == found.last else f"positions {found.first:,} to {found.last:,}"
    told = f" at {where}: the chain was made anew there, and does not come through {made}."
    return _trouble("Events were replaced", told)


def _signed(checkpoint: Checkpoint, keys: Sequence[bytes]) -> list[bool]:
    """Whether the signatures by these keys are true, each that it has."""
    return [truth for key in keys if (truth := is_signed_by(checkpoint, key)) is not None]


def _false_signature(known: Sequence[Checkpoint], keys: Sequence[bytes]) -> Text | None:
    for checkpoint in known:
        if not all(_signed(checkpoint, keys)):
            told = f": it is under the checkpoint of {_events(checkpoint.size)} of {said_time(checkpoint.time)}."
            return _trouble("A signature is false", told)
    if keys and not any(_signed(checkpoint, keys) for checkpoint in known):
        told = f" by the key{'s' * (len(keys) > 1)} given; {len(known):,} are there."
        return _trouble("No checkpoint is signed", told)
    return None


def _signers(held: Sequence[Checkpoint], keys: Sequence[bytes]) -> str:
    """How far the signatures reach: what comes behind the last of them nobody has signed."""
    if keys:
        reach = max(checkpoint.size for checkpoint in held if _signed(checkpoint, keys))
        return f"; signed by the key given up to position {reach:,}."
    if any(checkpoint.is_signed for checkpoint in held):
        return "; their signatures are checked with --public-key."
    return "; unsigned."
