"""What waits for the writer: appends and jobs, and what became of them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import trio
from msgspec import Struct

from core.identifiers import StreamName
from core.messages import Decision, Recorded
from eventstore.batches import Statement, Work


class _Waiting:
    """A task that waits for an outcome."""

    __slots__ = ("error", "task")

    def __init__(self) -> None:
        self.task: trio.lowlevel.Task | None = None
        self.error: Exception | None = None

    def give_up_waiting(self, _: object) -> trio.lowlevel.Abort:
        """The task is cancelled: what it wanted is written whole or not at all, and nobody is told."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Append(_Waiting):
    """Decisions to be written together, as rows, and what became of them: their records once durable, or the error.

    `work` is what its scribe gets; `size` is how many rows that is.
    """

    __slots__ = ("decisions", "expected_version", "records", "size", "stream", "work")

    def __init__(self, stream: StreamName, expected_version: int, decisions: Sequence[Decision], work: Work) -> None:
        super().__init__()
        self.stream, self.expected_version, self.decisions = stream, expected_version, decisions
        self.work: Any = work
        self.size = len(work.rows)
        self.records: tuple[Recorded, ...] = ()


class Job(_Waiting):
    """Another statement for the one connection that writes; it is committed together with the appends around it."""

    __slots__ = ("size", "work")

    def __init__(self, work: Statement) -> None:
        super().__init__()
        self.work: Any = work
        self.size = 1


Waiting = Append | Job

LATENCY_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds. Upper bounds, inclusive, of the buckets commits are counted in; what took longer is in one more bucket."""


class WriterStatistics(Struct, frozen=True):
    """What the writer has done since it was opened, and whether it can write now.

    `batches`: transactions committed; `rows`: rows in them; `largest`: most rows of one. `rewritten`: batches that hit
    a conflict and were written again append by append; `failed`: batches that came to nothing through a fault.
    `in_doubt`: the last commit failed and nobody has seen the log work since. `latency`: committed batches by the
    time they took, a count for each of LATENCY_BOUNDS and one for what is beyond; `seconds` is their sum. That time is
    from the writer's having the batch until it is durable, what was written twice included.
    """

    batches: int = 0
    rows: int = 0
    largest: int = 0
    rewritten: int = 0
    failed: int = 0
    in_doubt: bool = False
    latency: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)
    seconds: float = 0.0


class WriterTally:
    """Counts for WriterStatistics."""

    __slots__ = ("batches", "failed", "in_doubt", "largest", "latency", "rewritten", "rows", "seconds")

    def __init__(self) -> None:
        self.batches = self.rows = self.largest = self.rewritten = self.failed = 0
        self.in_doubt, self.seconds = False, 0.0
        self.latency = [0] * (len(LATENCY_BOUNDS) + 1)

    def committed(self, rows: int, seconds: float) -> None:
        """A batch of so many rows is durable, so many seconds after it was taken in hand."""
        self.batches += 1
        self.rows += rows
        self.largest = max(self.largest, rows)
        self.latency[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self.seconds += seconds

    def statistics(self) -> WriterStatistics:
        counts = self.batches, self.rows, self.largest, self.rewritten, self.failed
        return WriterStatistics(*counts, self.in_doubt, tuple(self.latency), self.seconds)
