"""What the tests of the event store have in common: streams, decisions, and ways to look at a log."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import trio

from core.conversation import MessageSaid, Role, Say
from core.identifiers import Category, StreamName
from core.messages import Decision, Recorded, Stamp
from core.ports import EventStore
from eventstore.chain import Verification
from eventstore.sqlite import SQLiteStore

PATIENCE = 20.0
"""Seconds after which a test that still waits has failed."""


def stream(name: object) -> StreamName:
    return StreamName.of(Category.CONVERSATION, str(name))


def stamp(command_id: str | None = None, time: int = 1_700_000_000_000_000) -> Stamp:
    return Stamp(f"correlation of {command_id}", time, command_id)


def said(*texts: str, command_id: str | None = None) -> Decision:
    """One command that led to an event per text."""
    events = tuple(MessageSaid(f"m-{text[:20]}", Role.USER, text) for text in texts)
    return Decision(stamp(command_id), Say("m", "r", texts[0]), events)


async def say(store: EventStore, to: StreamName, *texts: str, command_id: str | None = None) -> tuple[Recorded, ...]:
    """Append one decision at the end of the stream."""
    version = len(await store.read_stream(to))
    return await store.append(to, [said(*texts, command_id=command_id)], expected_version=version)


def texts(records: Sequence[Recorded]) -> list[str]:
    return [record.event.content for record in records]


async def heard(store: EventStore, count: int, *, after: int = 0) -> list[Recorded]:
    """The next `count` records a new subscriber gets; more than that must not come with them."""
    records, batches = list[Recorded](), aiter(store.subscribe(after=after))
    with trio.fail_after(PATIENCE):
        while len(records) < count:
            batch = await anext(batches)
            assert batch, "a batch is never empty"
            records += batch
    assert len(records) == count
    return records


class Follower:
    """Takes what a subscription gives, and can be waited for; a slow one takes its time after every batch."""

    def __init__(self, store: EventStore, after: int = 0, pause: Callable[[], float] = lambda: 0) -> None:
        self.records: list[Recorded] = []
        self.batches: list[int] = []
        self._subscription, self._pause = store.subscribe(after=after), pause
        self._grown = trio.Event()

    async def run(self) -> None:
        async for batch in self._subscription:
            assert self._subscription.position == batch[-1].position
            self.records += batch
            self.batches.append(len(batch))
            self._grown.set()
            self._grown = trio.Event()
            await self.pause()

    async def pause(self) -> None:
        """After every batch."""
        await trio.sleep(self._pause())

    async def has(self, count: int) -> list[Recorded]:
        """Its records, once they are so many."""
        with trio.fail_after(PATIENCE):
            while len(self.records) < count:
                await self._grown.wait()
        return self.records


async def whole(store: EventStore) -> list[Recorded]:
    """The log, page by page."""
    records: list[Recorded] = []
    while page := await store.read_all(after=len(records)):
        records += page
    return records


def assert_sound(log: Sequence[Recorded]) -> None:
    """Positions count from 1 through the log, versions from 1 through each stream."""
    assert [record.position for record in log] == list(range(1, len(log) + 1))
    for name in {record.stream for record in log}:
        versions = [record.version for record in log if record.stream == name]
        assert versions == list(range(1, len(versions) + 1))


async def assert_chained(store: SQLiteStore) -> None:
    """The hash chain holds from the first row to the head."""
    verification = Verification()
    while rows := await store.read_rows(after=verification.position):
        assert verification.check(rows) is None
    assert verification.position == store.head


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as any SQLite tool sees it; every statement takes effect at once."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        yield connection


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else holds the lock that writers need."""
    with raw(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
