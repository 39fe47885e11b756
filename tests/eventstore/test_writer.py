"""What the writer puts into a batch, with a scribe that commits when the test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import trio
import trio.testing

from eventstore.batches import Report, Statement, Work
from eventstore.subscription import Tail
from eventstore.waiting import Append
from eventstore.writer import MOST_ROWS, Take, Writer
from tests.eventstore.logs import said, stream


class SlowScribe:
    """Keeps its batches until told how long they took."""

    def __init__(self) -> None:
        self.sizes = list[int]()
        self._position = 0
        self._under_way: Sequence[Work] = ()
        self._take: Take | None = None
        self._closed = trio.Event()

    def prepared(self, piece: Work | Statement) -> Any:
        return piece

    def commit(self, pieces: Sequence[Any]) -> None:
        assert not self._under_way, "one batch at a time"
        self.sizes.append(len(pieces))
        self._under_way = pieces

    async def run(self, take: Take) -> None:
        self._take = take
        await self._closed.wait()

    def close(self) -> None:
        self._closed.set()

    def report(self, seconds: float) -> None:
        """The batch under way is durable, after so many seconds."""
        assert self._take is not None
        works, self._under_way = self._under_way, ()
        verdicts = list[int]()
        for work in works:
            self._position += len(work.rows)
            verdicts.append(self._position)
        self._take(Report(tuple(verdicts), len(works), seconds))


@pytest.fixture
async def scribe() -> SlowScribe:
    return SlowScribe()


@pytest.fixture
async def writer(scribe: SlowScribe, nursery: trio.Nursery) -> AsyncIterator[Writer]:
    writer = Writer(scribe, Tail(0))
    nursery.start_soon(writer.run)
    await trio.testing.wait_all_tasks_blocked()
    yield writer
    nursery.cancel_scope.cancel()


async def append(writer: Writer, nursery: trio.Nursery, count: int) -> None:
    """So many appends, each to a stream of its own, that wait from now on."""
    for n in range(count):
        decision = said(f"{n}")
        row = (f"conversation-{n}", 1, "name", b"{}", 1, "c", None, None, "p", "", b"{}")
        item = Append(stream(n), 0, [decision], Work(str(stream(n)), 0, [row], []))
        nursery.start_soon(writer.write, item)
    await trio.testing.wait_all_tasks_blocked()


async def test_what_is_appended_while_a_batch_is_under_way_makes_up_the_next(
    writer: Writer, scribe: SlowScribe, nursery: trio.Nursery
) -> None:
    await append(writer, nursery, 21)
    assert scribe.sizes == [1]
    scribe.report(seconds=0.005)
    assert scribe.sizes == [1, 20]


async def test_where_commits_are_quick_a_part_is_committed_while_the_loop_decides_another(
    writer: Writer, scribe: SlowScribe, nursery: trio.Nursery
) -> None:
    """Else all of a hundred would wait for one commit, and then the disk for all of them."""
    await append(writer, nursery, 101)
    scribe.report(seconds=0.0002)
    assert scribe.sizes == [1, 67]
    scribe.report(seconds=0.0009)
    assert scribe.sizes == [1, 67, 22]


async def test_where_commits_are_slow_all_that_waits_shares_one(
    writer: Writer, scribe: SlowScribe, nursery: trio.Nursery
) -> None:
    await append(writer, nursery, 101)
    scribe.report(seconds=0.02)
    assert scribe.sizes == [1, 100]


async def test_a_batch_has_its_limit_and_nothing_is_left_behind(
    writer: Writer, scribe: SlowScribe, nursery: trio.Nursery
) -> None:
    await append(writer, nursery, 2 * MOST_ROWS + 10)
    for _ in range(12):
        if sum(scribe.sizes) < 2 * MOST_ROWS + 10:
            scribe.report(seconds=0.02)
    assert max(scribe.sizes) == MOST_ROWS
    assert sum(scribe.sizes) == 2 * MOST_ROWS + 10


async def test_an_append_of_nothing_is_answered_too(writer: Writer, scribe: SlowScribe, nursery: trio.Nursery) -> None:
    with trio.fail_after(1):
        async with trio.open_nursery() as appenders:
            for _ in range(2):
                appenders.start_soon(writer.write, Append(stream("a"), 0, [], Work("conversation-a", 0, [], [])))
            await trio.testing.wait_all_tasks_blocked()
            scribe.report(seconds=0.0002)
            scribe.report(seconds=0.0002)
    assert scribe.sizes == [1, 1]


async def test_closing_writes_what_waits_first(writer: Writer, scribe: SlowScribe, nursery: trio.Nursery) -> None:
    await append(writer, nursery, 5)
    writer.close()
    scribe.report(seconds=0.02)
    scribe.report(seconds=0.02)
    await trio.testing.wait_all_tasks_blocked()
    assert scribe.sizes == [1, 4]
    assert writer.statistics.rows == 5
