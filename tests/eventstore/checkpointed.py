"""Logs of which checkpoints are made, as a server does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from core import ports
from eventstore.checkpointing import Interval, keeping_checkpoints
from eventstore.checkpoints import Signer
from eventstore.opening import open_sqlite
from eventstore.sqlite import SQLiteStore

NEVER = Interval(1_000_000, 1e9)
"""But when the log is closed."""
NOW = 1_700_000_000_000_000


class Clock:
    """It stands still."""

    def now(self) -> int:
        return NOW


class TriosClock:
    """The one of the scheduler, which tests move."""

    def now(self) -> int:
        return int(trio.current_time() * 1e6)


@asynccontextmanager
async def kept(
    path: Path, interval: Interval = NEVER, signer: Signer | None = None, clock: ports.Clock | None = None
) -> AsyncIterator[SQLiteStore]:
    """The log, open, with checkpoints made of it."""
    async with open_sqlite(path) as store, keeping_checkpoints(store, path, clock or Clock(), interval, signer):
        yield store
