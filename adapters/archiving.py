"""Texts of ended streams go to archives beside the log: which do, on record, and without being in anybody's way.

In this order: the file, durable and read back; the record, with its digest; the log's knowing the archive; and only
then do the texts leave the log, some at a time. A server that ends in between has lost nothing (eventstore/archiving.py
says what of it stays).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import assert_never

import structlog
import trio
from msgspec import msgpack

from adapters.apart import Apart, Lost
from adapters.archive_worker import Failed, Message, Question, Told
from adapters.deeds import Record
from core.audit import RecordArchive
from core.decider import AnyDecider
from core.identifiers import Category, StreamName
from eventstore.archiving import Archived, NotArchived, Stub, known, let_go
from eventstore.resting import at_rest
from eventstore.sqlite import SQLiteStore

ARCHIVED = (Category.CONVERSATION, Category.SESSION, Category.CALL)
"""Whose streams come to an end."""
MOST_WAITING = 20_000
"""Ended streams that are gathered before an archive is made."""
DAY = 86_400_000_000
"""In µs."""

WORKER = "adapters.archive_worker"

Deciders = Mapping[Category, AnyDecider]

log = structlog.get_logger("callboard.retention")


async def ended(
    store: SQLiteStore, path: Path, deciders: Deciders, before: int, only: Sequence[Category] = ARCHIVED
) -> AsyncIterator[list[StreamName]]:
    """The streams that have ended and whose last event is older than `before` (µs UTC), some at a time."""
    for category in only:
        after: str | None = ""
        while after is not None:
            names, after = await trio.to_thread.run_sync(partial(at_rest, path, category.value, before, after))
            streams = map(StreamName, names)
            yield [stream for stream in streams if await _has_ended(store, stream, deciders[category])]


async def _has_ended(store: SQLiteStore, stream: StreamName, decider: AnyDecider) -> bool:
    """Not a stream that cannot be read, of which nobody knows."""
    try:
        recorded = await store.read_events(stream)
        return decider.is_terminal(await trio.to_thread.run_sync(decider.fold, decider.initial, recorded))
    except Exception as fault:  # noqa: BLE001  # whatever is the matter with one stream, the others are archived
        log.warning("a stream is not archived", stream=str(stream), reason=str(fault))
        return False


class Archiver:
    """Over a log that is open for writing, at `path`."""

    def __init__(self, store: SQLiteStore, path: Path, deciders: Deciders, record: Record) -> None:
        self._store, self._path, self._deciders, self._record = store, path, deciders, record

    async def archive(self, before: int, only: Sequence[Category] = ARCHIVED) -> AsyncIterator[Archived]:
        """Archive the streams that `ended` gives; gives each archive when all that is in it has left the log. Raises
        NotArchived, StoreUnavailable."""
        left = await _apart(Question(str(self._path), []))  # of the last time, if it was cut short
        await self._let_go(left.stubs)
        waiting = list[StreamName]()
        async for some in ended(self._store, self._path, self._deciders, before, only):
            waiting += some
            while len(waiting) >= MOST_WAITING:
                waiting, archived = await self._archive(waiting)
                if archived is not None:
                    yield archived
        while waiting:
            waiting, archived = await self._archive(waiting)
            if archived is not None:
                yield archived

    async def _archive(self, streams: list[StreamName]) -> tuple[list[StreamName], Archived | None]:
        """An archive of as many as fit, and the streams that remain; none where nothing could be archived."""
        told = await _apart(Question(str(self._path), [str(stream) for stream in streams]))
        for reason in told.skipped:
            log.warning("a stream is not archived", reason=reason)
        if (archived := told.archived) is not None:
            await self._record(
                RecordArchive(archived.name, archived.sha256, archived.bytes, archived.events, archived.streams)
            )
            await self._store.write(known(archived))
            await self._let_go(told.stubs)
        return streams[told.taken :], archived

    async def _let_go(self, stubs: Sequence[Stub]) -> None:
        for stub in stubs:
            began = trio.current_time()
            await self._store.write(let_go(stub))
            await trio.sleep(trio.current_time() - began)  # as long again for the others


async def _apart(question: Question) -> Told:
    """By a process of its own. Raises NotArchived."""
    try:
        async with Apart(WORKER, msgpack.encode(question)) as process:
            message: Message = msgpack.decode(await process.message(), type=Message)
    except Lost as fault:
        raise NotArchived(f"the process that archives {fault}") from fault
    match message:
        case Told():
            return message
        case Failed(reason):
            raise NotArchived(reason)
        case _:
            assert_never(message)
