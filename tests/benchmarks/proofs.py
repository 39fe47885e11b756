"""What checkpoints and proofs cost on a log of a million events."""

from __future__ import annotations

import time
from pathlib import Path

import trio
import trio.lowlevel

from adapters.clock import SystemClock
from adapters.proving import Fresh, Prover
from eventstore.checkpointing import Interval, keeping_checkpoints
from eventstore.opening import open_sqlite
from eventstore.sqlite import SQLiteStore
from tests.benchmarks.load import filled
from tests.benchmarks.report import Bench

EVENTS = 1_000_000
STREAMS = 10_000
MOST = 2.0
"""Seconds for a proof."""


def measure_proofs(bench: Bench) -> None:
    """A proof of one event where nothing but the log is there, and where a server has kept the tree."""
    path, count = bench.folder / "proofs.db", bench.commands(EVENTS)
    filled(path, count, max(1, count * STREAMS // EVENTS))
    trio.run(_measured, bench, path, count)


async def _measured(bench: Bench, path: Path, count: int) -> None:
    async with open_sqlite(path) as store:
        bare = await _seconds(store, Prover(store, path, Fresh(SystemClock().now(), None)), count // 2)
        async with keeping_checkpoints(store, path, SystemClock(), Interval(), None):
            await trio.lowlevel.checkpoint()
        kept = await _seconds(store, Prover(store, path), count // 2)
    bench.report(
        "proof of one event, from the log alone", f"{bare:.2f} s", None, f"≤ {MOST:.0f} s",
        None if bench.quick else bare <= MOST,
    )  # fmt: skip
    bench.report("proof of one event, with the tree beside the log", f"{kept * 1000:.1f} ms", None, "", None)


async def _seconds(store: SQLiteStore, prover: Prover, position: int) -> float:
    began = time.perf_counter()
    await store.look(lambda select: prover.event(select, str(position)))
    return time.perf_counter() - began
