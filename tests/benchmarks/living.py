"""What those who look back cost the living: commands while all of the log is exported and checked; and how fast
exporting and checking are, in how much memory.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio
from msgspec import json

from actors.system import System
from adapters import checking
from core.conversation import UpdateTranscript
from core.identifiers import StreamName
from core.messages import Accepted, Outcome
from eventstore.opening import open_sqlite
from tests.benchmarks import load
from tests.benchmarks.pace import quantile
from tests.benchmarks.report import Bench

EVENTS, STREAMS = 1_000_000, 5000
ACTORS, RATE = 20, 500
"""Who lives, and how many commands a second they are sent together."""
SECONDS = 15.0
"""Alone, before and after."""
LONGEST = 240.0
"""Seconds in which the export and the check must be through."""

Under = Callable[[], Awaitable[None]]


def large_log(bench: Bench) -> Path:
    """A log of a million events that a server could have written."""
    path = bench.folder / "history.db"
    if not path.exists():
        load.filled(path, bench.commands(EVENTS), max(1, int(STREAMS * bench.scale)))
        trio.run(_prepared, path)
    return path


async def _prepared(path: Path) -> None:
    async with open_sqlite(path):
        """It has an epoch now."""


class Living:
    """Commands at a steady pace. `latencies` are milliseconds from when each was due to its acknowledgement."""

    def __init__(self, system: System, streams: list[StreamName]) -> None:
        self._system, self._streams = system, streams
        self.latencies: list[float] = []

    async def during(self, work: Under) -> float:
        """p99 in milliseconds, while `work` is done."""
        self.latencies = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._live)
            await work()
            nursery.cancel_scope.cancel()
        return quantile(self.latencies, 0.99)

    async def _live(self) -> None:
        began, number = time.perf_counter(), 0
        while True:
            due = began + number / RATE
            await trio.sleep(max(0.0, due - time.perf_counter()))
            stamp = self._system.stamp(command_id=self._system.identifiers.new(), origin="bench.1")
            command = UpdateTranscript(interim=load.TEXT)
            self._system.post(self._streams[number % ACTORS], command, stamp, partial(self._settled, due))
            number += 1

    def _settled(self, due: float, outcome: Outcome) -> None:
        assert isinstance(outcome, Accepted), outcome
        self.latencies.append((time.perf_counter() - due) * 1e3)


def measure_living(bench: Bench) -> None:
    """p99 of commands alone, and under a full export and a check by other processes."""
    path, file = large_log(bench), bench.folder / "living.jsonl"
    alone, under, took = trio.run(_living, path, file, SECONDS * min(1.0, bench.scale * 10))
    ratio = under / alone
    figure = f"{alone:.2f} ms → {under:.2f} ms, for {took:.0f} s"
    name = "p99 of commands, alone and under an export and a check"
    bench.report(name, figure, ratio, "≤ 2×", ratio <= 2, alone=alone, under=under, seconds=took)


async def _living(path: Path, file: Path, seconds: float) -> tuple[float, float, float]:
    async with open_sqlite(path, apart=True) as store, load.running(store) as system:
        living = Living(system, await load.opened(system, ACTORS))
        await living.during(partial(trio.sleep, 1.0))
        before = await living.during(partial(trio.sleep, seconds))
        began = time.perf_counter()
        under = await living.during(partial(_looked_back, path, file))
        took = time.perf_counter() - began
        after = await living.during(partial(trio.sleep, seconds))
        return min(before, after), under, took  # the disk may still be busy with what was made before us


async def _looked_back(path: Path, file: Path) -> None:
    """All of the log is exported, and checked, by the command line."""
    store = ("--store", f"sqlite:///{path}")
    with trio.fail_after(LONGEST):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_callboard, "audit", "export", str(file), *store)
            nursery.start_soon(_callboard, "check", *store)


async def _callboard(*words: str) -> None:
    command = [sys.executable, "-m", "adapters.command", *words]
    await trio.run_process(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure_gate(bench: Bench) -> None:
    """Every recorded command decided again, by all cores."""
    path = large_log(bench)

    def rate() -> float:
        began = time.perf_counter()
        checked = checking.check(path, lambda share: None)
        assert not checked.findings
        return checked.events / (time.perf_counter() - began)

    best = max(bench.in_turns({"check": rate})["check"])
    bench.report("the gate: events decided again", f"{best:,.0f} a second", best / 100_000, "≥ 100,000/s", best >= 1e5)


EXPORTING = """
import sys, trio
from msgspec import json
from adapters.exports.formats import Format
from adapters.exports.writing import Export, Question
from eventstore.audit import AuditLog, Filters
from pathlib import Path

async def export(path, head, format):
    export = Export(AuditLog(Path(path)), Question(path, "", int(head), Filters(), Format(format), "", 0))
    async for _ in export.pieces():
        pass
    return export.manifest.entries.sha256

digest = trio.run(export, *sys.argv[1:])
# Not ru_maxrss: that of a new process begins with what its parent had.
most = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.encode([most, digest]).decode())
"""
"""An export to nowhere, in a process whose memory is nobody else's."""


def measure_exports(bench: Bench) -> None:
    """How fast, and how much memory for all of the log beside a tenth of it."""
    path, count = large_log(bench), bench.commands(EVENTS)
    digests = set()
    for format in ("jsonl", "csv", "parquet"):
        tenth, _, _ = _exported(path, count // 10, format)
        whole, digest, seconds = _exported(path, count, format)
        digests.add(digest)
        figure = f"{count / seconds:,.0f}/s, {tenth / 1024:.0f} → {whole / 1024:.0f} MiB"
        bench.report(
            f"export as {format}, {count // 10:,} → {count:,} events",
            figure,
            whole / tenth,
            "≤ 1.2×",
            whole <= 1.2 * tenth,
        )
    assert len(digests) == 1, "the formats say different things"


def _exported(path: Path, head: int, format: str) -> tuple[int, str, float]:
    """KiB of memory at most, the digest of the entries, and seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-c", EXPORTING, str(path), str(head), format]
    most, digest = json.decode(subprocess.run(command, check=True, capture_output=True).stdout, type=tuple[int, str])
    return most, digest, time.perf_counter() - began
