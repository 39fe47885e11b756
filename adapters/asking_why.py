"""Looks up what `causes` makes a story of: the event's correlation, and those its causes are of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from adapters.auditing import audit_log
from adapters.causes import Story, story_of
from adapters.setting_values import StoreAddress
from core.identifiers import StreamName
from core.messages import Recorded
from core.ports import EventStore, StoreUnavailable
from eventstore.audit import AuditLog, Entry, Filters

MOST = 100_000
"""Events of one correlation that are looked at."""


class NoSuchEvent(LookupError):
    """The log has no event of this id."""


class TooMuchToTell(LookupError):
    """An event's correlation has more than MOST events."""


@asynccontextmanager
async def opened_audit_log(address: StoreAddress, store: EventStore) -> AsyncIterator[AuditLog]:
    """The log of a store that is open, for questions. Raises StoreUnavailable where it is in no file."""
    log = audit_log(address.path, store)
    if log is None:
        raise StoreUnavailable("a log in memory cannot be asked")
    try:
        yield log
    finally:
        log.close()


async def story(store: EventStore, log: AuditLog, stream: StreamName, version: int) -> Story:
    """Of the event `<stream>@<version>`. Raises NoSuchEvent, TooMuchToTell, StoreUnavailable."""
    record: Recorded | None = await _event(store, stream, version)
    if record is None:
        raise NoSuchEvent(f"the log has no event {stream}@{version}")
    entries, seen = list[Entry](), set[str]()
    while record is not None and record.stamp.correlation_id not in seen:
        seen.add(record.stamp.correlation_id)
        own = await _correlated(log, record.stamp.correlation_id)
        entries += own
        record = await _cause_elsewhere(store, own)
    return await trio.to_thread.run_sync(story_of, f"{stream}@{version}", entries)  # of many that takes a second


async def _correlated(log: AuditLog, correlation: str) -> list[Entry]:
    """Raises TooMuchToTell."""
    entries: list[Entry] = []
    async for batch in log.walk(Filters(correlation=correlation)):
        entries += batch
        if len(entries) > MOST:
            raise TooMuchToTell(f"more than {MOST:,} events are of the correlation {correlation}: too many to tell")
    return entries


async def _cause_elsewhere(store: EventStore, entries: list[Entry]) -> Recorded | None:
    """The first cause of another correlation, which no command that Callboard tells itself has."""
    cause = await trio.to_thread.run_sync(_unknown_cause, entries)
    if cause is None:
        return None
    stream, _, version = cause.rpartition("@")
    return await _event(store, StreamName(stream), int(version) if version.isdigit() else 0)


def _unknown_cause(entries: list[Entry]) -> str | None:
    known = {f"{entry.stream}@{entry.version}" for entry in entries}
    return next(
        (entry.causation for entry in entries if entry.causation is not None and entry.causation not in known), None
    )


async def _event(store: EventStore, stream: StreamName, version: int) -> Recorded | None:
    records = await store.read_stream(stream, after=version - 1, limit=1)
    return records[0] if records and records[0].version == version else None
