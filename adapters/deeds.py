"""To put on record what is done with the log itself, where no server runs; in one adapters/web/accesses.py does."""

from __future__ import annotations

import getpass
import time
import uuid
from collections.abc import Awaitable, Callable

from adapters.auditing import stream_at
from core.audit import Command, audit, decide
from core.messages import Decision, Stamp
from core.ports import EventStore

ORIGIN = "cli"
"""The connection that is recorded with what the command line does."""

Record = Callable[[Command], Awaitable[object]]


def stamp_here() -> Stamp:
    """Somebody at this machine, now."""
    return Stamp(str(uuid.uuid4()), time.time_ns() // 1000, principal=getpass.getuser(), origin=ORIGIN)


async def record_in(store: EventStore, stamp: Stamp, command: Command) -> str:
    """By nobody but us. Returns the event. Raises StoreUnavailable."""
    stream = stream_at(stamp.time)
    recorded = await store.read_events(stream)
    events = decide(audit.fold(audit.initial, recorded), command)
    await store.append(stream, [Decision(stamp, command, events)], expected_version=len(recorded))
    return f"{stream}@{len(recorded) + len(events)}"
