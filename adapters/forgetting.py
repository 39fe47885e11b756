"""To forget a data subject: everywhere at once, on record, and so that doing it again finishes what a crash cut short.

First goes what is only found with the keys (bytes beside the log), then it is put on record, then the keys are
destroyed: from that moment the log does not say it any more. What others had made of it, memory and the index, goes
last; a server that ends before has lost the one, and forgetting again sees to the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Protocol

import trio
from msgspec import Struct

from actors.system import System
from adapters.auditing import stream_at
from adapters.web.answers import accepted
from core.audit import RecordForgetting, SubjectForgotten
from core.identifiers import StreamName
from core.messages import Decision, Stamp
from core.ports import EventStore, StoreUnavailable
from eventstore.archives import explained
from eventstore.codec import Undecodable
from eventstore.erasure import Remains, remains
from eventstore.index import Index
from eventstore.index_reading import index_path
from eventstore.sealing import Vault
from eventstore.sqlite import SQLiteStore
from eventstore.subjects import STREAM, subject_named

NOT_SEALED = (
    "this log is not sealed, so there is no key to destroy; with CALLBOARD_ENCRYPTION_KEY set, what is recorded from "
    "then on can be forgotten"
)


class NotSealed(Exception):
    """Nothing can be forgotten where nothing is sealed: what is in clear is in the chain for ever."""


class Removable(Protocol):
    """Bytes beside the log, which can be removed."""

    async def remove(self, digest: str) -> bool:
        """Whether there was something under this digest."""


class Forgotten(Struct, frozen=True):
    """What was done. `keys` that were destroyed: none means that it was done before, or that there never was anything.

    `streams` are the subject's own, forks of a stream that is nobody's among them, `blobs` those removed. `in_clear`:
    events that were recorded before the log was sealed; their text stays.
    """

    subject: str
    keys: int
    streams: int
    blobs: int
    in_clear: int


Record = Callable[[RecordForgetting], Awaitable[None]]
StartOver = Callable[[Collection[StreamName]], Awaitable[None]]


Forget = Callable[[str, Record], Awaitable[Forgotten]]
"""Forgets whom somebody means, and says what was done; memory is seen to."""


class Forgetting:
    """Over a log that is open for writing, at `path`."""

    def __init__(self, store: object, path: Path | None, blobs: Removable) -> None:
        self._store, self._path, self._blobs = store, path, blobs
        self._turn = trio.Lock()

    async def forget(self, named: str, record: Record, start_over: StartOver) -> Forgotten:
        """Forget whom somebody means by `named`. Raises NotSealed, StoreUnavailable.

        `record` puts it into the log; `start_over` lets memory go of what streams said, and is called twice: also once
        nobody is reading any more what was readable before.
        """
        store, path = self._store, self._path
        if not isinstance(store, SQLiteStore) or not isinstance(store.opener, Vault) or path is None:
            raise NotSealed(NOT_SEALED)
        async with self._turn:
            found = await _looked_for(path, store.opener, subject_named(named))
            with trio.CancelScope(shield=True):  # whoever hangs up does not cut it in half; no step takes long
                keys, blobs = len(found.key_ids), await self._destroyed(store.opener, found, record)
                await start_over(found.streams)
                await store.settle_readers()
                before, found = found, await _looked_for(path, store.opener, found.subject)
                if found.subject.startswith(STREAM) and len(found.streams) > len(before.streams):  # forked meanwhile
                    keys, blobs = keys + len(found.key_ids), blobs + await self._destroyed(store.opener, found, record)
                await start_over(found.streams)
                await store.opener.destroy(())  # what was derived meanwhile may yet tell of it
                await trio.to_thread.run_sync(store.opener.ring.finish)
                if index_path(path).exists():
                    await Index(path, store.opener).forget()
        return Forgotten(found.subject, keys, len(found.streams), blobs, found.in_clear)

    async def _destroyed(self, vault: Vault, found: Remains, record: Record) -> int:
        """How many blobs went with the keys."""
        blobs = sum([await self._blobs.remove(digest) for digest in found.blobs])
        if found.key_ids:
            await record(RecordForgetting(found.subject, found.key_ids, len(found.streams), blobs))
        await vault.destroy(found.key_ids)
        return blobs


async def _looked_for(path: Path, vault: Vault, subject: str) -> Remains:
    try:
        return await trio.to_thread.run_sync(remains, path, vault, subject)
    except (sqlite3.Error, Undecodable) as fault:
        raise StoreUnavailable(f"the log cannot be read: {explained(fault)}") from fault


def recorded_by(system: System, stamp: Stamp) -> Record:
    """By the actor of the day, in a server. Raises Problem."""

    async def record(command: RecordForgetting) -> None:
        accepted(await system.ask(stream_at(stamp.time), command, stamp))

    return record


def recorded_in(store: EventStore, stamp: Stamp) -> Record:
    """By nobody but us, where no server runs."""

    async def record(command: RecordForgetting) -> None:
        stream = stream_at(stamp.time)
        recorded = await store.read_events(stream)
        event = SubjectForgotten(command.subject, command.key_ids, command.streams, command.blobs)
        await store.append(stream, [Decision(stamp, command, (event,))], expected_version=len(recorded))

    return record


def in_memory(system: System, *shown: Callable[[Collection[StreamName]], None]) -> StartOver:
    """What a server has made of streams in memory: its actors, and what was kept of what it has `shown`."""

    async def start_over(streams: Collection[StreamName]) -> None:
        for forget in shown:
            forget(streams)
        await system.start_over(streams)

    return start_over


async def nothing_in_memory(streams: Collection[StreamName]) -> None:
    """Where nobody is awake, nobody starts over."""
