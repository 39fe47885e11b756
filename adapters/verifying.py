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

from adapters.opening import open_history
from adapters.proof_verifier import public_key, said_time
from adapters.setting_values import StoreAddress, Unusable
from adapters.verification.findings import (
    ALTERED_CHECKPOINTS,
    Findings,
    Trouble,
    copied,
    distinct,
    events_told,
    trouble_of_archives,
)  # fmt: skip
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


async def verify(address: StoreAddress, out: Console, noted: Noted = NOTHING) -> bool:
    """Check the log; say what holds, or what is the first thing that does not.

    A chain cannot know that events were cut off at its end, nor that all of it was made anew from some event on. The
    checkpoints in the log know, and those that are `noted`: the log must have come through them.
    """
    async with open_history(address) as store:
        try:
            known = distinct([*await store.look(checkpoints), *_copied(address, store.epoch), *noted.checkpoints])
        except MalformedCheckpoint as fault:
            return _tell(out, Trouble(ALTERED_CHECKPOINTS, f": {fault}."))
        findings = Findings(known, noted.head)
        await _read(store, findings, out)
        trouble = findings.trouble() or await trouble_of_archives(store, address.path or Path())
    chain, held = findings.chain, findings.attestation.held
    if (trouble := trouble or _false_signature(known, noted.keys)) is not None:
        return _tell(out, trouble)
    if held:
        what = "1 checkpoint holds" if len(held) == 1 else f"{len(held):,} checkpoints hold"
        out.print(f"[bold green]{what}[/], the newest of {events_told(held[-1].size)}{_signers(held, noted.keys)}")
    out.print(f"[bold green]The chain holds[/]: {chain.position:,} events; head {chain.head.hex()[:16]}…")
    return True


async def _read(store: SQLiteStore, findings: Findings, out: Console) -> None:
    columns = TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    bar = Progress(*columns, console=out, transient=True)
    with bar if out.is_terminal else nullcontext():
        task, after = bar.add_task("", total=store.head), BEFORE_ALL
        while (rows := await store.read_rows(after=after, limit=PAGE)) and findings.take(rows):
            after = findings.chain.position
            bar.update(task, completed=after)


def _copied(address: StoreAddress, epoch: str) -> list[Checkpoint]:
    """Those in the file beside the log."""
    path = address.path or Path()  # a log in memory was refused
    try:
        return copied(path, epoch)
    except MalformedCheckpoint as fault:
        file = copies_file(path)
        raise Unusable(f"{file}: {fault}; keep it elsewhere: a server makes it anew from the log") from None


# --- what is told -----------------------------------------------------------------------------------------------


def _tell(out: Console, trouble: Trouble) -> bool:
    out.print(Text(trouble.what, "bold red").append(trouble.told, "default"))
    return False


def _signed(checkpoint: Checkpoint, keys: Sequence[bytes]) -> list[bool]:
    """Whether the signatures by these keys are true, each that it has."""
    return [truth for key in keys if (truth := is_signed_by(checkpoint, key)) is not None]


def _false_signature(known: Sequence[Checkpoint], keys: Sequence[bytes]) -> Trouble | None:
    for checkpoint in known:
        if not all(_signed(checkpoint, keys)):
            told = f": it is under the checkpoint of {events_told(checkpoint.size)} of {said_time(checkpoint.time)}."
            return Trouble("A signature is false", told)
    if keys and not any(_signed(checkpoint, keys) for checkpoint in known):
        told = f" by the key{'s' * (len(keys) > 1)} given; {len(known):,} are there."
        return Trouble("No checkpoint is signed", told)
    return None


def _signers(held: Sequence[Checkpoint], keys: Sequence[bytes]) -> str:
    """How far the signatures reach: what comes behind the last of them nobody has signed."""
    if keys:
        reach = max(checkpoint.size for checkpoint in held if _signed(checkpoint, keys))
        return f"; signed by the key given up to position {reach:,}."
    if any(checkpoint.is_signed for checkpoint in held):
        return "; their signatures are checked with --public-key."
    return "; unsigned."
