"""What the log and its actors cost: durable commands, recovery, growth, start-up, memory (issue 2)."""

from __future__ import annotations

import gc
import sqlite3
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio
import trio.testing

from adapters.demo.server import Server
from core.conversation import conversation
from core.identifiers import StreamName
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.benchmarks import load
from tests.benchmarks.report import Bench


def durable_commands(bench: Bench) -> None:
    """decide → group commit → ack, beside `Application.save` and beside raw sqlite3 in transactions of equal size."""
    sizes = {1: (4000, 20_000), 10: (10_000, 40_000), 100: (40_000, 60_000), 1000: (60_000, 80_000)}
    for actors, clients, most in [(n, c, sizes[n][c > 1]) for n in sizes for c in (1, 8)]:
        count, batch = bench.commands(most), [actors * clients]

        def ours(actors: int = actors, clients: int = clients, count: int = count, batch: list[int] = batch) -> Any:
            *figures, batch[0] = trio.run(load.through_actors, bench.folder, actors, clients, count)
            return figures

        def raw_rate(actors: int = actors, count: int = count, batch: list[int] = batch) -> float:
            return load.through_raw_sqlite(bench.folder, actors, batch[0], count)

        contenders: dict[str, Callable[[], Any]] = {
            "ours": ours,
            "save": partial(load.through_save, bench.folder, actors, bench.commands(3000)),
            "raw": raw_rate,
        }
        took = bench.in_turns(contenders)
        rate, p50, p99 = max(took["ours"])
        save, raw = max(took["save"]), max(took["raw"])
        what = f"{actors} actors, {clients} client{'s' * (clients > 1)} each"
        figure = f"{rate:,.0f}/s, p50 {p50:.2f} ms, p99 {p99:.2f} ms"
        aim = 8.0 if actors == 100 else None
        bench.report(
            f"commands, {what}, beside save()", figure, rate / save, "≥ 8×" if aim else "",
            rate / save >= aim if aim else None, ours=rate, baseline=save, p50_ms=p50, p99_ms=p99,
        )  # fmt: skip
        bench.report(
            f"commands, {what}, beside raw sqlite3", f"{raw:,.0f} rows/s raw, {batch[0]} a transaction", rate / raw,
            "≥ 0.6×", rate / raw >= 0.6, ours=rate, baseline=raw,
        )  # fmt: skip


def recovery(bench: Bench) -> None:
    """The fold of one long stream from the log, beside eventsourcing's `repository.get` of the same."""
    count = bench.commands(50_000)
    path = bench.folder / "recovery.db"
    (name,) = load.filled(path, count, 1)
    app = load.application(bench.folder)
    aggregate = load.Heard()
    for _ in range(count):
        aggregate.hear(load.TEXT)
    app.save(aggregate)

    async def fold() -> float:
        async with open_sqlite(path) as store:
            began = time.perf_counter()
            state = conversation.fold(conversation.initial, await store.read_events(StreamName(name)))
            assert state.interim == load.TEXT
            return count / (time.perf_counter() - began)

    def get() -> float:
        began = time.perf_counter()
        app.repository.get(aggregate.id)
        return count / (time.perf_counter() - began)

    took = bench.in_turns({"ours": lambda: trio.run(fold), "get": get})
    ours, theirs = max(took["ours"]), max(took["get"])
    figure = f"{ours:,.0f} events/s"
    bench.report("recovery by fold, beside repository.get", figure, ours / theirs, "≥ 8×", ours / theirs >= 8)
    app.close()


def growth(bench: Bench) -> tuple[Path, int]:
    """The cost of a command when the log is small and when it is large."""
    large = max(20_000, int(1_000_000 * bench.scale))
    paths = {"small": bench.folder / "small.db", "large": bench.folder / "large.db"}
    load.filled(paths["small"], 10_000, 500)
    load.filled(paths["large"], large, 5000)

    async def cost(path: Path) -> float:
        async with open_sqlite(path, apart=True) as store, load.running(store) as system:
            await system.board_current()
            streams = await load.opened(system, 100)
            await load.ClosedLoop(system, streams, 1, 2000).run()
            rate = await load.ClosedLoop(system, streams, 1, bench.commands(20_000)).run()
            return 1e6 / rate

    small_log, large_log = partial(trio.run, cost, paths["small"]), partial(trio.run, cost, paths["large"])
    took = bench.in_turns({"small": small_log, "large": large_log}, times=3)
    small, big = min(took["small"]), min(took["large"])
    figure = f"{small:.1f} µs → {big:.1f} µs"
    bench.report(f"command cost, log of 10⁴ → {large:,} events", figure, big / small, "≤ 1.2×", big / small <= 1.2)
    return paths["large"], large


def start_up(bench: Bench, path: Path, events: int) -> None:
    """`callboard serve` on the large log, from its start as a process to its first answer; and to its first list."""

    async def first_answers() -> tuple[float, float]:
        server = Server(path)
        began = time.perf_counter()
        await server.start()
        await server.call("POST", "/api/v2/conversations", {})
        answered = time.perf_counter() - began
        await server.call("GET", "/api/v2/conversations")
        listed = time.perf_counter() - began
        await server.stop()
        return answered, listed

    for what, prepare in (("no checkpoint", _forget_checkpoints), ("with checkpoint", lambda _: None)):
        prepare(path)
        answered, listed = trio.run(first_answers)
        name = f"start-up to first answer, {events:,} events, {what}"
        bench.report(name, f"{answered:.2f} s (list: {listed:.2f} s)", None, "≤ 2 s", answered <= 2)


def _forget_checkpoints(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM checkpoints")
    connection.commit()
    connection.close()


def memory(bench: Bench) -> None:
    """What an idle actor holds, and what a passivated one does."""
    count = 1000

    async def measure() -> tuple[float, float]:
        async with load.running(MemoryStore()) as system:
            streams = await load.opened(system, count)
            for _ in range(2):  # tables that have once grown stay so, Trio's too, and are no actor's
                system.directory.passivate(idle_since=trio.current_time())
                await trio.testing.wait_all_tasks_blocked()
                for stream in streams:
                    await system.look(stream)
                await trio.testing.wait_all_tasks_blocked()
            system.directory.passivate(idle_since=trio.current_time())
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for stream in streams:
                await system.look(stream)
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            awake = tracemalloc.get_traced_memory()[0]
            system.directory.passivate(idle_since=trio.current_time())
            await trio.testing.wait_all_tasks_blocked()
            gc.collect()
            passivated = tracemalloc.get_traced_memory()[0]
            return (awake - before) / count, (passivated - before) / count

    tracemalloc.start()
    idle, passivated = trio.run(measure)
    tracemalloc.stop()
    bench.report("memory of an idle actor", f"{idle / 1024:.2f} KiB", None, "≤ 10 KB", idle <= 10_000, bytes=idle)
    bench.report(
        "memory of a passivated actor", f"{max(passivated, 0):.0f} bytes", None, "0", passivated < 64, bytes=passivated
    )


def growth_and_start_up(bench: Bench) -> None:
    """Both need the large log."""
    start_up(bench, *growth(bench))
