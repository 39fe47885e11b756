"""An export under way: from a walk through the log to the bytes of a file, and to the manifest in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from hashlib import sha256
from typing import Any, Protocol

from msgspec import Struct

from adapters.exports.formats import Format, NotExported, writer_of
from adapters.exports.manifest import KIND, Head, Ledger, Manifest, Written, asked
from eventstore.audit import Entry, Filters
from eventstore.chain import GENESIS


class Question(Struct, frozen=True):
    """What is to be exported: of the log in the file `path` all up to position `head` that meets the filters.

    `name` is what the file will be called, `time` when this was asked (µs UTC), `access` the event that recorded it.
    `key_file` has the master key that opens what the log has sealed.
    """

    path: str
    epoch: str
    head: int
    filters: Filters
    format: Format
    name: str
    time: int
    compress: bool = False
    access: str | None = None
    key_file: str | None = None


class Walked(Protocol):
    """What is needed of an eventstore.audit.AuditLog."""

    def walk(self, filters: Filters, *, after: int = 0, until: int | None = None) -> AsyncIterator[Sequence[Entry]]: ...


class Export:
    """One answer to a question. After all its pieces there is a manifest."""

    def __init__(self, log: Walked, question: Question) -> None:
        self._log, self._question = log, question
        self._writer = writer_of(question.format, compress=question.compress)
        self._ledger, self._digest, self._size = Ledger(), sha256(), 0
        self.position = 0
        self.manifest: Manifest | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes of the file; `position` says how far they reach. Raises NotExported, StoreUnavailable."""
        head = await self._head()
        yield self._counted(self._writer.begin())
        async with aclosing(_generator(self._log.walk(self._question.filters, until=head.position))) as batches:
            async for entries in batches:
                self._ledger.take(entries)
                self.position = entries[-1].position
                yield self._counted(self._writer.write(entries))
        yield self._counted(self._writer.end())
        self.manifest = self._manifest(head)

    async def _head(self) -> Head:
        """The log's end as it was asked about."""
        position = self._question.head
        if position == 0:
            return Head(0, GENESIS.hex())
        async with aclosing(_generator(self._log.walk(Filters(), after=position - 1, until=position))) as batches:
            async for entries in batches:
                return Head(position, entries[0].hash)
        raise NotExported(f"the event at position {position:,} is missing; `callboard verify` tells what was changed")

    def _counted(self, piece: bytes) -> bytes:
        self._digest.update(piece)
        self._size += len(piece)
        return piece

    def _manifest(self, head: Head) -> Manifest:
        it = self._question
        is_gzip = it.compress and it.format is not Format.PARQUET
        file = Written(it.name, it.format, is_gzip, self._size, self._digest.hexdigest())
        contained = self._ledger.contained()
        return Manifest(KIND, it.epoch, head, asked(it.filters), it.time, it.access, file, contained)


def _generator(walk: AsyncIterator[Sequence[Entry]]) -> Any:
    """A walk is an asynchronous generator; its type says only that it can be iterated."""
    return walk
