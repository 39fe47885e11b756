"""What the measurements share: a system over a log, commands in closed loops, and the baselines beside them."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import trio
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from actors.backoff import Backoff
from actors.system import System, SystemSettings, open_system
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.opening import DECIDERS
from core.conversation import InterimHeard, OpenConversation, UpdateTranscript, conversation
from core.identifiers import Category, StreamName
from core.messages import Accepted, Outcome
from core.ports import EventStore
from eventstore.chain import GENESIS, Row, link
from eventstore.codec import commands, events
from eventstore.opening import open_sqlite
from eventstore.recorder import CACHE_KIB, SCHEMA, TABLE, WAL_PAGES

TEXT = "hello there, how are you doing on this fine day"


@asynccontextmanager
async def running(store: EventStore, passivate_after: float = 300.0) -> AsyncIterator[System]:
    settings = SystemSettings(mailbox=1024, passivate_after=passivate_after, backoff=Backoff(random.random))
    async with open_system(
        store,
        deciders=DECIDERS,
        performers={},
        clock=SystemClock(),
        identifiers=TimeOrderedIdentifiers(),
        settings=settings,
    ) as system:
        yield system


async def opened(system: System, count: int) -> list[StreamName]:
    """This many conversations, opened and awake."""
    streams = [StreamName.of(Category.CONVERSATION, str(uuid4())) for _ in range(count)]
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(system.ask, stream, OpenConversation(), system.stamp())
    return streams


class ClosedLoop:
    """Clients that each have one command under way: decide, group commit, acknowledgement, next."""

    def __init__(self, system: System, streams: list[StreamName], clients: int, commands: int) -> None:
        self._system, self._streams, self._clients = system, streams, clients
        self._left = self._commands = commands
        self._done = trio.Event()
        self.latencies: list[float] = []

    async def run(self) -> float:
        """Commands acknowledged a second."""
        began = time.perf_counter()
        for stream in self._streams:
            for _ in range(self._clients):
                self._next(stream)
        await self._done.wait()
        return self._commands / (time.perf_counter() - began)

    def _next(self, stream: StreamName) -> None:
        stamp = self._system.stamp(command_id=self._system.identifiers.new(), origin="bench.1")
        settled = partial(self._settled, stream, time.perf_counter())
        self._system.post(stream, UpdateTranscript(interim=TEXT), stamp, settled)

    def _settled(self, stream: StreamName, began: float, outcome: Outcome) -> None:
        assert isinstance(outcome, Accepted), outcome
        self.latencies.append(time.perf_counter() - began)
        self._left -= 1
        if self._left == 0:
            self._done.set()
        elif self._left >= len(self._streams) * self._clients:
            self._next(stream)

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        return sorted(self.latencies)[int(len(self.latencies) * share)] * 1e3


async def through_actors(folder: Path, actors: int, clients: int, commands: int) -> tuple[float, float, float, int]:
    """Commands a second, p50 and p99 in ms, and rows in a transaction on average, on a fresh log."""
    async with open_sqlite(folder / f"{uuid4().hex}.db", apart=True) as store, running(store) as system:
        streams = await opened(system, actors)
        loop = ClosedLoop(system, streams, clients, commands)
        rate = await loop.run()
        written = store.statistics
        return rate, loop.quantile(0.5), loop.quantile(0.99), max(1, round(written.rows / written.batches))


# --- baselines --------------------------------------------------------------------------------------------------


class Heard(Aggregate):
    """The same little state on eventsourcing's own aggregate."""

    @event("Opened")
    def __init__(self) -> None:
        self.interim = ""

    @event("InterimHeard")
    def hear(self, text: str) -> None:
        self.interim = text


def application(folder: Path) -> Application:  # type: ignore[type-arg]  # the ids' type is of no interest here
    path = str(folder / f"{uuid4().hex}.db")
    return Application(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": path})


def through_save(folder: Path, aggregates: int, commands: int) -> float:
    """eventsourcing's `Application.save`, one at a time: commands a second."""
    app = application(folder)
    heard = [Heard() for _ in range(aggregates)]
    for aggregate in heard:
        app.save(aggregate)
    began = time.perf_counter()
    for n in range(commands):
        aggregate = heard[n % aggregates]
        aggregate.hear(TEXT)
        app.save(aggregate)
    rate = commands / (time.perf_counter() - began)
    app.close()
    return rate


def rows(streams: int, count: int) -> list[Row]:
    """Rows as the store writes them, for `count` commands dealt round to the streams; hashes included."""
    clock, ids = SystemClock(), TimeOrderedIdentifiers()
    names = [f"conversation-{uuid4()}" for _ in range(streams)]
    name, body = events.encode(InterimHeard(TEXT))
    command = _said(UpdateTranscript(interim=TEXT))
    made, head = [], GENESIS
    for n in range(count):
        stamp = (clock.now(), ids.new(), None, ids.new(), "anonymous", "bench.1")
        columns = (n + 1, names[n % streams], n // streams + 1, name, body, *stamp, command)
        head = link(head, columns)
        made.append((*columns, head))
    return made


def _said(command: Any) -> bytes:
    name, body = commands.encode(command)
    return b'{"name":"%s","body":%s}' % (name.encode(), body)


def raw_connection(path: Path) -> sqlite3.Connection:
    """sqlite3 with the schema, indexes, triggers and durability of the store."""
    connection = sqlite3.connect(path, isolation_level=None)
    as_ours = (
        "journal_mode = WAL",
        "synchronous = FULL",
        f"cache_size = -{CACHE_KIB}",
        f"wal_autocheckpoint = {WAL_PAGES}",
    )
    for pragma in as_ours:
        connection.execute(f"PRAGMA {pragma}")
    for statement in SCHEMA:
        connection.execute(statement)
    return connection


INSERT = f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?)"  # noqa: S608  # our own table


def insert_raw(connection: sqlite3.Connection, made: list[Row], batch: int) -> None:
    for start in range(0, len(made), batch):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, made[start : start + batch])
        connection.execute("COMMIT")


def through_raw_sqlite(folder: Path, streams: int, batch: int, commands: int) -> float:
    """The same rows written by sqlite3 alone, in transactions of `batch`: rows a second."""
    made = rows(streams, commands)
    connection = raw_connection(folder / f"{uuid4().hex}.db")
    began = time.perf_counter()
    insert_raw(connection, made, batch)
    rate = commands / (time.perf_counter() - began)
    connection.close()
    return rate


def filled(path: Path, count: int, streams: int) -> list[str]:
    """A log of `count` events in `streams` conversations, each opened properly, written in large transactions."""
    connection = raw_connection(path)
    made = _history(count, streams)
    insert_raw(connection, made, 20_000)
    connection.close()
    return sorted({row[1] for row in made})


def _history(count: int, streams: int) -> list[Row]:
    opening = OpenConversation(user_id="ada")
    (opened,) = conversation.decide(conversation.initial, opening)  # type: ignore[misc]  # nothing speaks against it
    opened_name, opened_body = events.encode(opened)
    made, head = [], GENESIS
    for row in rows(streams, count):
        position, stream, version, name, body, *rest, command, _ = row
        if version == 1:
            name, body, command = opened_name, opened_body, _said(opening)
        columns = (position, stream, version, name, body, *rest, command)
        head = link(head, columns)
        made.append((*columns, head))
    return made
