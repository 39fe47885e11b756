"""What waits for the writer: appends and jobs, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from core.identifiers import StreamName
from core.messages import Decision, Recorded
from eventstore.chain import Row
from eventstore.recorder import SQLiteCursor


class Append:
    """Decisions to be written together, as rows, and what became of them: their records once durable, or the error."""

    __slots__ = (
        "command_ids", "decisions", "error", "expected_version", "last", "records", "rows", "stream", "task",
    )  # fmt: skip

    def __init__(
        self, stream: StreamName, expected_version: int, decisions: Sequence[Decision], rows: Sequence[Row],
        command_ids: Sequence[str],
    ) -> None:  # fmt: skip
        self.stream, self.expected_version, self.decisions = stream, expected_version, decisions
        self.rows, self.command_ids = rows, command_ids
        self.records: tuple[Recorded, ...] = ()
        self.task: trio.lowlevel.Task | None = None
        self.error: Exception | None = None
        self.last = 0


class Job:
    """Other work for the one connection that writes; it is committed together with the appends around it."""

    __slots__ = ("error", "task", "work")

    def __init__(self, work: Callable[[SQLiteCursor], object]) -> None:
        self.work = work
        self.task: trio.lowlevel.Task | None = None
        self.error: Exception | None = None


class WriterStatistics:
    """Batches and rows committed, the largest batch, batches that had to be written again, and batches that failed."""

    def __init__(self) -> None:
        self.batches = self.rows = self.largest = self.rewritten = self.failed = 0
