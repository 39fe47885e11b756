"""What the writer counts: batches, rows, faults, and how long commits take."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.ports import StoreUnavailable, WrongExpectedVersion
from eventstore.opening import open_sqlite
from eventstore.sqlite import SQLiteStore
from eventstore.waiting import LATENCY_BOUNDS, WriterStatistics, WriterTally
from tests.eventstore.logs import locked, said, say, stream


def test_a_commit_is_counted_where_its_time_belongs_bounds_included() -> None:
    tally = WriterTally()
    for seconds in (0.0, LATENCY_BOUNDS[0], LATENCY_BOUNDS[0] * 1.01, LATENCY_BOUNDS[-1], 60.0):
        tally.committed(2, seconds)
    counts = tally.statistics().latency
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (2, 1, 1, 1)
    assert sum(counts) == tally.statistics().batches == 5
    assert tally.statistics().seconds > 65


async def test_every_commit_is_counted_with_its_rows_and_its_time(durable: SQLiteStore) -> None:
    before = durable.statistics
    await say(durable, stream("a"), "one")
    await say(durable, stream("a"), "two", "three", "four")
    after = durable.statistics
    assert before == WriterStatistics()
    assert (after.batches, after.rows, after.largest) == (2, 4, 3)
    assert (after.failed, after.rewritten, after.in_doubt) == (0, 0, False)
    assert sum(after.latency) == 2
    assert 0 < after.seconds < 60


async def test_a_conflict_is_no_failure(durable: SQLiteStore) -> None:
    await say(durable, stream("a"), "one")
    with pytest.raises(WrongExpectedVersion):
        await durable.append(stream("a"), [said("two")], expected_version=0)
    assert (durable.statistics.rows, durable.statistics.failed) == (1, 0)


async def test_a_log_that_cannot_be_written_is_in_doubt_until_it_can_be(path: Path) -> None:
    async with open_sqlite(path, lock_timeout=1) as store:
        with locked(path):
            with pytest.raises(StoreUnavailable):
                await say(store, stream("a"), "lost")
            assert (store.statistics.failed, store.statistics.in_doubt) == (1, True)
        await say(store, stream("a"), "written")
        assert (store.statistics.in_doubt, store.statistics.rows) == (False, 1)
