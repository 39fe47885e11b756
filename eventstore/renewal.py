"""When the epoch of a log changes: the log was put back to an earlier time, by `callboard restore` or by hand.

Positions and versions behind that time are given out again, for other events; so who knows a place of the old epoch
must not go on from there. A copy that was put back by hand is noticed when the log does not come through the last
checkpoint beside it, `<log>-checkpoints.jsonl`, which is never ahead of what is durable.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from uuid import uuid4

import structlog
from msgspec import Struct, json

from eventstore.backups import CHECKPOINTS, beside
from eventstore.checkpoints import Checkpoint, MalformedCheckpoint, parse_file
from eventstore.recorder import IDENTITY, TABLE

TAIL = 64 * 1024
"""Bytes at the end of the checkpoints' file that the last line is looked for in."""

Executes = sqlite3.Connection | sqlite3.Cursor

log = structlog.get_logger("callboard.log")


class Renewal(Struct, frozen=True):
    """Why an epoch ended: when (µs UTC), which one it was, how many events are left of it, and what was done."""

    at: int
    epoch: str
    events: int
    by: str


def renew(log: Executes, by: str) -> str:
    """Give the log another epoch, and note why, both in one statement; the epoch."""
    renewals = (*renewals_of(log), Renewal(time.time_ns() // 1000, epoch_of(log), _head(log), by))
    epoch = uuid4().hex[:16]
    rows = ("epoch", epoch, "renewals", json.encode(renewals).decode())
    log.execute(f"INSERT OR REPLACE INTO {IDENTITY} VALUES (?, ?), (?, ?)", rows)
    return epoch


def renewals_of(log: Executes) -> tuple[Renewal, ...]:
    """Each time the log was put back, the first one first."""
    row = log.execute(f"SELECT value FROM {IDENTITY} WHERE name = 'renewals'").fetchone()
    return json.decode(row[0], type=tuple[Renewal, ...]) if row else ()


def epoch_of(log: Executes) -> str:
    """The epoch the log is in."""
    return str(log.execute(f"SELECT value FROM {IDENTITY} WHERE name = 'epoch'").fetchone()[0])


def renew_if_put_back(path: Path, opened: Executes) -> None:
    """Whoever is about to write to the log in `path` asks this first: does it come through its last checkpoint?"""
    last = _last_checkpoint(beside(path, CHECKPOINTS))
    if last is None or last.epoch != epoch_of(opened) or _comes_through(opened, last):
        return
    epoch = renew(opened, f"put back by hand, from position {last.size}")
    told = "the log was put back by hand to an earlier time, and has another epoch now: clients begin afresh"
    log.warning(told, epoch=epoch, position=_head(opened), checkpoint=last.size)


def _comes_through(opened: Executes, last: Checkpoint) -> bool:
    row = opened.execute(f"SELECT hash FROM {TABLE} WHERE rowid = ?", (last.size,)).fetchone()
    return row is not None and row[0] == last.head


def _head(opened: Executes) -> int:
    return opened.execute(f"SELECT MAX(rowid) FROM {TABLE}").fetchone()[0] or 0


def _last_checkpoint(path: Path) -> Checkpoint | None:
    """The one in the last line that is whole."""
    try:
        with path.open("rb") as file:
            file.seek(-min(TAIL, file.seek(0, os.SEEK_END)), os.SEEK_END)
            lines = file.read().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        return parse_file(whole[-1].decode())[-1] if whole else None
    except (OSError, MalformedCheckpoint, UnicodeDecodeError):
        return None
