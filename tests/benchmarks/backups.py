"""What a backup of a large log takes, and what commands feel of it meanwhile."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import trio

from actors.system import System
from core.conversation import UpdateTranscript
from core.identifiers import StreamName
from core.messages import Accepted, Outcome
from eventstore.opening import open_sqlite
from tests.benchmarks.load import TEXT, filled, opened, running
from tests.benchmarks.report import Bench

EVENTS = 1_000_000
ACTORS = 100
RATE = 500
"""Commands a second."""
SECONDS = 8.0
"""Of the same without a backup."""
MOST_SLOWER = 2.0


class Paced:
    """Commands at a steady rate, whatever becomes of them, and how long each took."""

    def __init__(self, system: System, streams: list[StreamName]) -> None:
        self._system, self._streams = system, streams
        self._latencies: list[float] = []

    async def until(self, is_over: Callable[[], bool]) -> float:
        """The milliseconds that 99 of 100 stayed below."""
        self._latencies, at = [], trio.current_time()
        while not is_over():
            stamp = self._system.stamp(command_id=self._system.identifiers.new(), origin="bench.1")
            settled = partial(self._settled, time.perf_counter())
            self._system.post(random.choice(self._streams), UpdateTranscript(interim=TEXT), stamp, settled)
            at += 1 / RATE
            await trio.sleep_until(at)
        return sorted(self._latencies)[int(len(self._latencies) * 0.99)] * 1e3

    def _settled(self, began: float, outcome: Outcome) -> None:
        assert isinstance(outcome, Accepted), outcome
        self._latencies.append(time.perf_counter() - began)


def measure_backup(bench: Bench) -> None:
    """A `callboard backup` beside a server's load."""
    path = bench.folder / "kept.db"
    filled(path, bench.commands(EVENTS), max(1, bench.commands(EVENTS) // 100))
    trio.run(_measure, bench, path)


async def _measure(bench: Bench, path: Path) -> None:
    alone, meanwhile, took = list[float](), list[float](), list[float]()
    async with open_sqlite(path, apart=True) as store, running(store) as system:
        load = Paced(system, await opened(system, ACTORS))
        for _ in range(bench.rounds):
            over = trio.current_time() + SECONDS
            alone.append(await load.until(lambda over=over: trio.current_time() > over))  # type: ignore[misc]  # bound now
            began = time.perf_counter()
            meanwhile.append(await _while_backing_up(load, path))
            took.append(time.perf_counter() - began)
    events, ratio = bench.commands(EVENTS), median(meanwhile) / median(alone)
    figure = f"{median(meanwhile):.1f} ms beside {median(alone):.1f} alone; {median(took):.0f} s"
    bench.report(f"p99 of commands while {events:,} are backed up", figure, ratio, "below 2", ratio < MOST_SLOWER)


async def _while_backing_up(load: Paced, path: Path) -> float:
    folder, done = path.with_name("backup"), trio.Event()

    async def back_up() -> None:
        command = [sys.executable, "-m", "adapters.command", "backup", str(folder), "--store", f"sqlite:///{path}"]
        await trio.run_process(command, capture_stdout=True)
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(back_up)
        p99 = await load.until(done.is_set)
    await trio.to_thread.run_sync(shutil.rmtree, folder)
    return p99
