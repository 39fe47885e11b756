"""The SQLite store does what the store in memory does, whatever is asked of them, also after it was opened again."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from core.identifiers import StreamName
from core.messages import Decision, Recorded
from core.ports import DuplicateCommand, EventStore, WrongExpectedVersion
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.eventstore.logs import assert_chained, heard, said, stream, whole

STREAMS = [stream(name) for name in "ab"]
COMMANDS = ["c-1", "c-2", "c-3"]


@dataclass(frozen=True)
class Attempt:
    """An append. `off` is how far its expected version is from the true one."""

    to: StreamName
    decisions: tuple[Decision, ...]
    off: int


@dataclass(frozen=True)
class Checkpoint:
    name: str
    position: int
    view: bytes


decisions = st.builds(
    lambda count, known: said(*(f"text {n}" for n in range(count)), command_id=known),
    st.integers(1, 3),
    st.none() | st.sampled_from(COMMANDS),
)
attempts = st.builds(
    Attempt,
    st.sampled_from(STREAMS),
    st.lists(decisions, max_size=3).map(tuple),
    st.sampled_from([0, 0, 0, 0, -2, -1, 1, 5]),
)
checkpoints = st.builds(Checkpoint, st.sampled_from(["x", "y"]), st.integers(0, 2**62), st.binary(max_size=20))
histories = st.lists(st.lists(attempts | checkpoints, max_size=12), min_size=1, max_size=3)

Told = Sequence[Recorded] | tuple[type[Exception], str]


async def do(store: EventStore, step: Attempt | Checkpoint) -> Told:
    """What the store answers: the records, or the refusal with all it says."""
    match step:
        case Checkpoint(name, position, view):
            await store.save_checkpoint(name, position, view)
            return ()
        case Attempt(to, decisions, off):
            version = len(await store.read_events(to)) + off
            try:
                return await store.append(to, decisions, expected_version=version)
            except (WrongExpectedVersion, DuplicateCommand) as refusal:
                return type(refusal), str(refusal)


async def assert_same(one: EventStore, other: EventStore) -> None:
    assert one.head == other.head
    log = await whole(one)
    assert log == await whole(other)
    for after in range(len(log) + 2):
        assert await one.read_all(after=after, limit=2) == await other.read_all(after=after, limit=2)
    for name in (*STREAMS, stream("unborn")):
        for after in range(4):
            for limit in (None, 2):
                records = await other.read_stream(name, after=after, limit=limit)
                assert await one.read_stream(name, after=after, limit=limit) == records
            assert await one.read_events(name, after=after) == await other.read_events(name, after=after)
        for command_id in COMMANDS:
            assert await one.read_outcome(name, command_id) == await other.read_outcome(name, command_id)
    for view in ("x", "y"):
        assert await one.load_checkpoint(view) == await other.load_checkpoint(view)
    for after in {0, len(log) // 2, len(log)}:
        assert await heard(one, len(log) - after, after=after) == await heard(other, len(log) - after, after=after)


@asynccontextmanager
async def folder() -> AsyncIterator[Path]:
    """A new one for every history: a fixture would be one for all of them."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(histories)
@settings(max_examples=60)
async def test_sqlite_and_memory_cannot_be_told_apart(history: list[list[Attempt | Checkpoint]]) -> None:
    model = MemoryStore()
    async with folder() as place:
        for opening in history:
            async with open_sqlite(place / "log.db") as store:
                for step in opening:
                    assert await do(store, step) == await do(model, step)
                await assert_same(store, model)
                await assert_chained(store)
