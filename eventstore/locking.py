"""The lock that makes a log one process's to write: `<log>-lock`."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from msgspec import Struct

from core.ports import StoreUnavailable

LAST_BATCH = 5.0
"""Seconds in which the process that commits for a server that was killed must have written the last batch."""
_FLOCK = struct.Struct("hhqqi")
"""The system's struct flock: type, whence, start, length, process."""
_WHOLE_FILE = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class ServedElsewhere(StoreUnavailable):
    """Another process has the lock."""


class Lock(Struct, frozen=True):
    """Two locks on one file, each a descriptor. `inherited` is for the process that commits: its lock ends with the
    last who has it, so a server that was killed is outlived by the batch in hand, and that is waited for."""

    ours: int
    inherited: int

    def release(self) -> None:
        """Let another one have it."""
        os.close(self.ours)
        os.close(self.inherited)


@asynccontextmanager
async def sole_writer(path: Path) -> AsyncIterator[int]:
    """Hold the lock of the log in `path`; gives the descriptor to inherit. Raises StoreUnavailable: another has it."""
    lock = await trio.to_thread.run_sync(take_lock, path)
    try:
        yield lock.inherited
    finally:
        lock.release()


def take_lock(path: Path) -> Lock:
    """The lock of the log in `path`. Blocks while a last batch is written. Raises StoreUnavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(*(os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT, 0o644) for _ in range(2)))
    except OSError as fault:
        raise StoreUnavailable(f"the log {path} cannot be opened: {fault}") from fault
    if not _locked(lock.ours) or not _committing_alone(lock.inherited):
        lock.release()
        remedy = "stop it, or give this one another --store"
        raise ServedElsewhere(f"another process is serving {path}; {remedy}")
    return lock


def is_served(path: Path) -> bool:
    """Whether some process has the log in `path` open for writing. It is not kept from anything by the question."""
    try:
        with Path(f"{path.resolve()}-lock").open("rb") as lock:  # there is one, whatever the log is called
            held = fcntl.fcntl(lock, fcntl.F_OFD_GETLK, _WHOLE_FILE)
    except OSError:
        return False
    return bool(_FLOCK.unpack(held)[0] != fcntl.F_UNLCK)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _committing_alone(lock: int) -> bool:
    """Take the lock on the file's bytes, which whoever inherits the descriptor shares; wait for a last batch."""
    until = time.monotonic() + LAST_BATCH
    while True:
        try:
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, _WHOLE_FILE)
        except OSError:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        else:
            return True
