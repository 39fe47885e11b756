"""The composition root of whoever has to do with a log and runs no server: what opens it, and what its streams mean.

The server's is adapters/bootstrap.py; to import that takes longer than most of what the command line does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import trio

from adapters.encryption import key_file_named, master_key
from adapters.gateways.blobs import FileBlobs, MemoryBlobs, blobs_beside
from adapters.setting_values import StoreAddress
from core.audit import audit
from core.call import call
from core.channel import channel
from core.conversation import conversation
from core.decider import AnyDecider
from core.delivery import delivery
from core.identifiers import Category
from core.ports import EventStore, StoreUnavailable
from core.session import session
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite, open_sqlite_read_only
from eventstore.sqlite import SQLiteStore

DECIDERS: Mapping[Category, AnyDecider] = {
    Category.CONVERSATION: conversation,
    Category.SESSION: session,
    Category.CALL: call,
    Category.CHANNEL: channel,
    Category.AUDIT: audit,
    Category.DELIVERY: delivery,
}


@asynccontextmanager
async def open_store(
    address: StoreAddress, key_file: Path | None = None, *, apart: bool = True
) -> AsyncIterator[EventStore]:
    """The log at `address`, this process being its writer; `apart`: another commits for it, as servers want it. Raises
    StoreUnavailable, BadSetting."""
    if address.path is None:
        yield MemoryStore(epoch=uuid4().hex[:16])
        return
    async with open_sqlite(address.path, apart=apart, master=master_key(key_file)) as store:
        await trio.to_thread.run_sync(blobs_beside(address.path).sweep)
        yield store


@asynccontextmanager
async def open_history(address: StoreAddress) -> AsyncIterator[SQLiteStore]:
    """The log at `address` for reading, also while a server writes to it. What is sealed in it is opened with the key
    that the environment names. Raises StoreUnavailable, BadSetting."""
    if address.path is None:
        raise StoreUnavailable("a log in memory cannot be read from outside; give --store sqlite:///PATH")
    async with open_sqlite_read_only(address.path, master_key(key_file_named())) as store:
        yield store


def blob_store(log: StoreAddress) -> FileBlobs | MemoryBlobs:
    """A folder beside the log; in memory where the log is."""
    return MemoryBlobs() if log.path is None else blobs_beside(log.path)
