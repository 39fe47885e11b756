"""Readers that never read: what they do to the latency of 200 others, and how soon the server is rid of them.

The stalled ones have a small window, as on a thin line, so that little fits into the kernel between them and the
server. A stall begins when the kernel takes no more bytes for the client: from there the write deadline runs.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from tests.benchmarks import servers
from tests.benchmarks.crowd import Crowd, Tongue, calibrate, connect
from tests.benchmarks.kernel import Stall, Stalls
from tests.benchmarks.pace import Paced, paced, quantile
from tests.benchmarks.remote import RemoteCrowd, running_crowd
from tests.benchmarks.report import Bench
from tests.benchmarks.servers import ServerProcess
from tests.benchmarks.wire import Wire

DEADLINE = 2
SECONDS = 6
LOOK_EVERY = 0.05
SEGMENT, RECEIVE_BUFFER = 536, 2048


class Traffic(NamedTuple):
    name: str
    size: int
    rate: int


TRAFFICS = Traffic("300 B × 200/s", 300, 200), Traffic("16 KiB × 20/s", 16 * 1024, 20)


class Window(NamedTuple):
    """One window of traffic: what the others met, and what became of the stalled."""

    others: Paced
    stalls: list[Stall]


# --- in the load's process ---


def stall(crowd: Crowd, port: int, tongue: Tongue, count: int) -> list[int]:
    """Open `count` sockets that are let in and then never read again; their ports."""
    made = [Wire(port, tongue.path, segment=SEGMENT, receive_buffer=RECEIVE_BUFFER) for _ in range(count)]
    crowd.stalled += made
    crowd.settle(0.5)
    return [wire.port for wire in made]


# --- in the bench ---


def measure(bench: Bench) -> None:
    watchers = 20 if bench.quick else 200
    for traffic in TRAFFICS:
        with servers.callboard(bench.folder, WRITE_DEADLINE=str(DEADLINE)) as server, running_crowd() as crowd:
            tongue = servers.conversation(server)
            crowd.call(connect, server.port, tongue, watchers + 1)
            crowd.call(calibrate, tongue, traffic.size)
            one_window = partial(_window, server, crowd, tongue, traffic)
            one_window(0)
            contenders = {str(count): partial(one_window, count) for count in (0, 1, 10)}
            windows: dict[str, list[Window]] = bench.in_turns(contenders)
        _report(bench, f"{watchers} others, {traffic.name}", windows)


def _window(server: ServerProcess, crowd: RemoteCrowd, tongue: Tongue, traffic: Traffic, stalled: int) -> Window:
    stalls = Stalls(server.port, crowd.call(stall, server.port, tongue, stalled))
    crowd.begin(paced, tongue, traffic.rate * SECONDS, traffic.rate)
    while not crowd.is_done(LOOK_EVERY):
        stalls.look()
    return Window(crowd.result(), stalls.stalls)


def _p99(window: Window) -> float:
    return quantile(window.others.each, 0.99)


def _report(bench: Bench, what: str, windows: dict[str, list[Window]]) -> None:
    alone = min(map(_p99, windows.pop("0")))
    for count, took in windows.items():
        p99 = min(map(_p99, took))
        name = f"p99 beside {count} stalled, {what}"
        missing = sum(window.others.missing for window in took)
        holds = p99 <= alone * 1.5 and not missing
        figure = f"{alone:.2f} → {p99:.2f} ms" + (f", {missing} frames never came" if missing else "")
        bench.report(name, figure, p99 / alone, "≤ 1.5×", holds, alone_ms=alone, p99_ms=p99, missing=missing)
        _report_evictions(bench, f"{count} stalled closed, {what}", [stall for one in took for stall in one.stalls])


def _report_evictions(bench: Bench, name: str, stalls: list[Stall]) -> None:
    took = [stall.seconds for stall in stalls if stall.seconds is not None]
    figure = f"{len(took)} of {len(stalls)}" + (f", the last after {max(took):.2f} s" if took else "")
    queued = max(stall.queued for stall in stalls)
    holds = len(took) == len(stalls) and max(took) <= DEADLINE + 1
    bench.report(name, figure, None, f"all ≤ {DEADLINE} + 1 s", holds, seconds=took, queued_bytes=queued)
