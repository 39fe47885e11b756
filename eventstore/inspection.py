"""A copy of a log looked through from end to end: whether it is whole, where it ends, which blobs it names."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from eventstore.archives import STATE, columns_of, explained, teach
from eventstore.backups import NotKept, Tell
from eventstore.chain import COLUMNS, Verification
from eventstore.recorder import IDENTITY, TABLE
from eventstore.uris import uri

ROWS = 2_000
"""Rows looked at between two tellings how far it is."""

_ROW = columns_of((*COLUMNS, "hash"), "BLOB")
_MEDIA = re.compile(r'"digest":"([0-9a-f]{64})"')
_LABELS = re.compile(r"/(?:labels|qr)/([0-9a-f]{64})\.(?:pdf|png)")
BLOBS_OF = {
    "session.media_received/1": _MEDIA,
    "session.transcription_requested/1": _MEDIA,
    "session.tool_call_succeeded/1": _LABELS,
}
"""Events that name blobs, and where the digests are. Those in a sealed label cannot be seen."""


class Inspected(Struct, frozen=True):
    """A whole log. `head` is the last event's hash in hex, `last_event_at` its time (µs UTC)."""

    epoch: str
    events: int
    head: str
    last_event_at: int
    blobs: frozenset[str]


def inspect(path: Path, tell: Tell, home: Path | None = None) -> Inspected:
    """Look through a log that nobody writes to. Raises NotKept where it is not whole.

    Its archives are beside it, or beside its `home` where it is yet to get that name.
    """
    try:
        with (
            closing(teach(sqlite3.connect(f"{uri(path, 'ro')}&immutable=1", uri=True), home or path)) as log,
            _giving_way(),
        ):
            return _inspected(log, tell)
    except (sqlite3.Error, TypeError, UnicodeDecodeError) as fault:
        raise NotKept(f"the copy of the log is damaged: {explained(fault)}") from fault


@contextmanager
def _giving_way() -> Iterator[None]:
    """This thread runs when nobody else wants to: it may look long, and servers on this machine come first."""
    before = os.sched_getscheduler(0)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        yield
    finally:
        with suppress(PermissionError):  # a system that lets nobody come back
            os.sched_setscheduler(0, before, os.sched_param(0))


def _inspected(log: sqlite3.Connection, tell: Tell) -> Inspected:
    verification = _verified(log, tell)
    if (fault := log.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        raise NotKept(f"the copy of the log is damaged: {fault}")
    (epoch,) = log.execute(f"SELECT value FROM {IDENTITY} WHERE name = 'epoch'").fetchone()
    last = log.execute(f"SELECT recorded_at FROM {TABLE} ORDER BY rowid DESC LIMIT 1").fetchone()
    return Inspected(
        epoch, verification.position, verification.head.hex(), last[0] if last else 0, frozenset(_named_blobs(log))
    )


def _verified(log: sqlite3.Connection, tell: Tell) -> Verification:
    """The chain, from the first row to the last."""
    total = log.execute(f"SELECT MAX(rowid) FROM {TABLE}").fetchone()[0] or 0
    verification, rows = Verification(), log.execute(f"SELECT {_ROW} FROM {TABLE} ORDER BY rowid")
    while some := rows.fetchmany(ROWS):
        if (broken := verification.check(some)) is not None:
            at = f"at position {broken.position} ({broken.event})"
            raise NotKept(f"the chain of the log is broken {at}: {broken.reason}; `callboard verify` tells it of a log")
        tell("checking", verification.position, total)
    return verification


def _named_blobs(log: sqlite3.Connection) -> Iterator[str]:
    for name, pattern in BLOBS_OF.items():
        for (state,) in log.execute(f"SELECT {STATE} FROM {TABLE} WHERE topic = ?", (name,)):
            yield from pattern.findall(state)
