"""Group commit: what is appended while one batch is written makes up the next one.

The writer lives on the event loop, and has one batch under way at a scribe: a thread (`ThreadScribe`) or a process
of its own (`eventstore.scribe`), where a committer writes it. A batch comes back as one report, and wakes
Trio once. After a fault of the disk nobody is told yes, and all that waited fails with it; then the writer looks now
and then how far the log really is, since a commit may be durable although it failed.
"""

from __future__ import annotations

import math
import queue
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog
import trio

from core.messages import Recorded
from core.ports import StoreUnavailable
from eventstore.batches import Batch, Refusal, Report, Statement, Work, error_of
from eventstore.committer import Committer
from eventstore.rows import to_records
from eventstore.subscription import Tail
from eventstore.waiting import Append, Waiting, WriterStatistics, WriterTally

MOST_ROWS = 192
"""Rows in one transaction, beyond which further appends wait for the next: few enough to fit into one statement."""
MOST_WAITING = 20_000
"""Appends that may wait for the writer; more are told to come back."""
THOUGHT = 20e-6
"""Seconds the event loop has to do for a command, about: while some of them are committed it can do the others'."""
DOUBT_PAUSE = 0.5
"""Seconds between looks at the log after a fault, while nobody appends."""

log = structlog.get_logger("callboard.writer")

Take = Callable[[Report], None]


class Scribe(Protocol):
    """Where batches are committed, one at a time."""

    def prepared(self, piece: Work | Statement) -> Any:
        """The piece as `commit` takes it. Raises UNWRITABLE when it cannot be said at all."""

    def commit(self, pieces: Sequence[Any]) -> None:
        """Have the batch written. What became of it is told later, on the event loop."""

    async def run(self, take: Take) -> None:
        """Until closed; `take` gets the report on each batch."""

    def close(self) -> None:
        """No more batches will come."""


class Writer:
    """The one door to the log. The tail gets every commit, and how far the log is when a fault had left that open."""

    def __init__(self, scribe: Scribe, tail: Tail) -> None:
        self._scribe, self._tail = scribe, tail
        self._tally = WriterTally()
        self._waiting: deque[Waiting] = deque()
        self._rows = 0
        self._batch: list[Waiting] | None = None
        self._closed = False
        self._quickest = math.inf  # seconds of a commit, as of late
        self._finished, self._doubted = trio.Event(), trio.Event()

    @property
    def statistics(self) -> WriterStatistics:
        """As of now."""
        return self._tally.statistics()

    async def write(self, item: Waiting) -> None:
        """Wait until it is durable. Raises what it failed with. Cancelled: it is written whole, or not at all."""
        if self._closed:
            raise StoreUnavailable("the log is closed")
        if len(self._waiting) >= MOST_WAITING:
            raise StoreUnavailable(f"{MOST_WAITING} appends are waiting for the disk already")
        item.work = self._scribe.prepared(item.work)
        item.task = trio.lowlevel.current_task()
        self._waiting.append(item)
        self._rows += item.size
        if self._batch is None:
            self._send()
        await trio.lowlevel.wait_task_rescheduled(item.give_up_waiting)
        if item.error is not None:
            raise item.error

    async def run(self) -> None:
        """Until it is closed and all that waited is written."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._scribe.run, self._take)
            nursery.start_soon(self._look_after_faults)
            await self._finished.wait()
            self._scribe.close()
            self._doubted.set()

    def close(self) -> None:
        """Write what waits, then end."""
        self._closed = True
        if self._batch is None:
            self._finished.set()

    def _send(self) -> None:
        """Give the scribe what waits, up to MOST_ROWS rows; or two thirds of it, where two commits pay."""
        batch, rows = list[Waiting](), 0
        most = min(MOST_ROWS, (2 * self._rows + 2) // 3 if self._rows * THOUGHT > self._quickest else self._rows)
        while self._waiting and (rows < most or not batch):  # an append of nothing has no rows, and an answer too
            item = self._waiting.popleft()
            batch.append(item)
            rows += item.size
        self._rows -= rows
        self._batch = batch
        self._scribe.commit([item.work for item in batch])

    def _take(self, report: Report) -> None:
        """Tell the tail and the tasks, in commit order; the next batch is on its way before."""
        batch, self._batch = self._batch or [], None
        if report.fault is not None:
            self._fail(batch, report.fault)
        elif batch:
            self._quickest = min(report.seconds, self._quickest * 1.05)
        if report.settled is not None:
            self._settle_doubt(report.settled)
        if self._waiting:
            self._send()
        elif self._closed:
            self._finished.set()
        if report.fault is None:
            self._spread(batch, report)
        for item in batch:
            if item.task is not None:
                trio.lowlevel.reschedule(item.task)
                item.task = None

    def _spread(self, batch: list[Waiting], report: Report) -> None:
        committed = list[Recorded]()
        for item, verdict in zip(batch, report.verdicts, strict=True):
            if isinstance(verdict, Refusal):
                item.error = error_of(verdict)
            elif type(item) is Append:
                item.records = to_records(item.stream, item.decisions, item.expected_version, verdict - item.size)
                committed.extend(item.records)
        self._tail.extend(committed)
        if batch:
            self._tally.committed(report.rows, report.seconds)
            self._tally.rewritten += report.rewritten

    # --- faults ---

    def _fail(self, batch: list[Waiting], reason: str) -> None:
        """All that waits behind a fault fails with it, rather than each for as long as a lock is waited for."""
        self._tally.failed += 1
        if not self._tally.in_doubt:
            log.error("the log cannot be written", reason=reason)
        self._tally.in_doubt = True
        batch.extend(self._waiting)
        self._waiting.clear()
        self._rows = 0
        for item in batch:
            item.error = StoreUnavailable(reason)
        self._doubted.set()

    def _settle_doubt(self, position: int) -> None:
        self._tail.skip_to(position)
        if self._tally.in_doubt:
            log.info("the log can be written again", position=position)
        self._tally.in_doubt = False

    async def _look_after_faults(self) -> None:
        """While it is in doubt what became of a batch, ask the log: with the next batch, or with an empty one."""
        while not self._finished.is_set():
            await self._doubted.wait()
            self._doubted = trio.Event()
            while self._is_in_doubt() and not await self._finishes_within(DOUBT_PAUSE):
                if self._is_in_doubt() and self._batch is None and not self._closed:
                    self._send()

    def _is_in_doubt(self) -> bool:
        return self._tally.in_doubt

    async def _finishes_within(self, seconds: float) -> bool:
        with trio.move_on_after(seconds):
            await self._finished.wait()
        return self._finished.is_set()


class ThreadScribe:
    """A thread that commits. It is never abandoned, as its database must not be closed under it."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()

    def prepared(self, piece: Work | Statement) -> Any:
        return piece

    def commit(self, pieces: Sequence[Any]) -> None:
        self._batches.put(list(pieces))

    async def run(self, take: Take) -> None:
        token = trio.lowlevel.current_trio_token()
        await trio.to_thread.run_sync(self._commit_all, take, token, limiter=trio.CapacityLimiter(1))

    def close(self) -> None:
        self._batches.put(None)

    def _commit_all(self, take: Take, token: trio.lowlevel.TrioToken) -> None:
        while (batch := self._batches.get()) is not None:
            token.run_sync_soon(take, self._committer.commit(batch))
        self._committer.close()
