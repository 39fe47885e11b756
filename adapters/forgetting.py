"""To forget a data subject: everywhere at once, on record, and so that doing it again finishes what a crash cut short.

First goes what is only found with the keys (bytes beside the log), then it is put on record, then the keys are
destroyed: from that moment the log does not say it any more. What others had made of it, memory and the index, goes
last; a server that ends before has lost the one, and forgetting again sees to the other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import trio
from msgspec import Struct

from actors.system import System
from adapters.deeds import Record
from core.audit import RecordForgetting
from core.identifiers import StreamName
from core.ports import StoreUnavailable
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
    events that were recorded before the log was sealed; their text stays. `elsewhere`: events in which a person says
    something in streams of others; their text stays until those are forgotten.
    """

    subject: str
    keys: int
    streams: int
    blobs: int
    in_clear: int
    elsewhere: int


StartOver = Callable[[Collection[StreamName]], Awaitable[None]]


Forget = Callable[[Sequence[str], Record], Awaitable[list[Forgotten]]]
"""Forgets those somebody means, and says of each what was done; memory is seen to."""


@dataclass(slots=True)
class _Doing:
    """How far it has come with one subject."""

    found: Remains
    keys: int
    blobs: int

    def told(self) -> Forgotten:
        found = self.found
        return Forgotten(found.subject, self.keys, len(found.streams), self.blobs, found.in_clear, found.elsewhere)


def _streams(done: Iterable[_Doing]) -> set[StreamName]:
    return {stream for each in done for stream in each.found.streams}


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
        return (await self.forget_all([named], record, start_over))[0]

    async def forget_all(self, named: Sequence[str], record: Record, start_over: StartOver) -> list[Forgotten]:
        """The same for several; what is looked at as a whole, memory and the index, is seen to once."""
        store, path = self._store, self._path
        if not isinstance(store, SQLiteStore) or not isinstance(store.opener, Vault) or path is None:
            raise NotSealed(NOT_SEALED)
        async with self._turn:
            done = list[_Doing]()
            try:
                for each in named:
                    found = await _looked_for(path, store.opener, subject_named(each))
                    with trio.CancelScope(shield=True):  # whoever hangs up does not cut it in half
                        blobs = await self._destroyed(store.opener, found, record)
                        done.append(_Doing(found, len(found.key_ids), blobs))
            finally:
                with trio.CancelScope(shield=bool(done)):  # as above; no step takes long
                    await self._forget_the_rest(store, store.opener, path, done, record, start_over)
        return [each.told() for each in done]

    async def _forget_the_rest(
        self,
        store: SQLiteStore,
        vault: Vault,
        path: Path,
        done: Sequence[_Doing],
        record: Record,
        start_over: StartOver,
    ) -> None:
        """What was made of it: memory, what was forked meanwhile, what is derived, the index."""
        if not done:
            return
        await start_over(_streams(done))
        await store.settle_readers()
        for each in done:
            await self._look_again(path, vault, each, record)
        await start_over(_streams(done))
        await vault.destroy(())  # what was derived meanwhile may yet tell of it
        await trio.to_thread.run_sync(vault.ring.finish)
        if index_path(path).exists():
            await Index(path, vault).forget()

    async def _look_again(self, path: Path, vault: Vault, doing: _Doing, record: Record) -> None:
        """Also what was forked meanwhile."""
        before, doing.found = doing.found, await _looked_for(path, vault, doing.found.subject)
        if doing.found.subject.startswith(STREAM) and len(doing.found.streams) > len(before.streams):
            doing.keys += len(doing.found.key_ids)
            doing.blobs += await self._destroyed(vault, doing.found, record)

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


def in_memory(system: System, *shown: Callable[[Collection[StreamName]], None]) -> StartOver:
    """What a server has made of streams in memory: its actors, and what was kept of what it has `shown`."""

    async def start_over(streams: Collection[StreamName]) -> None:
        for forget in shown:
            forget(streams)
        await system.start_over(streams)

    return start_over


async def nothing_in_memory(streams: Collection[StreamName]) -> None:
    """Where nobody is awake, nobody starts over."""
