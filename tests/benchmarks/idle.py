"""Idle sockets: what each costs the server, and that all of them are still there after a while.

The kernel's own memory is shown beside it: it is none of the server's, and both ends of each connection are in it.
"""

from __future__ import annotations

import time

from tests.benchmarks import servers
from tests.benchmarks.cores import descriptor_limit
from tests.benchmarks.crowd import Crowd, Tongue, connect
from tests.benchmarks.kernel import kernel_memory
from tests.benchmarks.remote import running_crowd
from tests.benchmarks.report import Bench

MOST_KIB = 45.0
SPARE_DESCRIPTORS = 200
HELD = 30.0
"""Seconds, more than it takes until every socket was pinged once."""


def hold(crowd: Crowd, seconds: float) -> int:
    """Answer pings, and nothing else, for so long: how many are still open. Raises Lost when one is closed."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        crowd.attend(left)
    return len(crowd.wires)


def reach(crowd: Crowd, tongue: Tongue, count: int) -> None:
    """Publish once in the first conversation, and wait for `count` frames. Raises TimeoutError."""
    before = sum(wire.frames for wire in crowd.wires.values())
    crowd.publisher.send(tongue.frame(0, 0))

    def all_heard() -> bool:
        return sum(wire.frames for wire in crowd.wires.values()) - before >= count

    crowd.until(all_heard, within=30)  # there is never quiet for long: somebody is pinged at every beat


def measure(bench: Bench) -> None:
    wanted, conversations = (200, 10) if bench.quick else (10_000, 100)
    sockets = min(wanted, descriptor_limit() - SPARE_DESCRIPTORS)
    if sockets < wanted:
        bench.remark(f"idle: {sockets} sockets, as no more than {descriptor_limit()} files may be open (ulimit -n)")
    each = sockets // conversations
    with servers.callboard(bench.folder) as server, running_crowd() as crowd:
        tongues = [servers.conversation(server) for _ in range(conversations)]
        before, kernel_before = server.resident, kernel_memory()
        began = time.monotonic()
        for tongue in tongues:
            crowd.call(connect, server.port, tongue, each, quiet=0.02)
        joined = time.monotonic() - began
        held = crowd.call(hold, 2.0 if bench.quick else HELD)
        after, kernel = server.resident, kernel_memory() - kernel_before
        crowd.call(reach, tongues[0], each)
    kib = (after - before) / held / 1024
    figure = f"{kib:.1f} KiB each of {held} (kernel {kernel / held / 1024:.1f}, both ends; opened in {joined:.0f} s)"
    holds = kib <= MOST_KIB and held == each * conversations
    bench.report(
        "an idle WebSocket", figure, None, f"≤ {MOST_KIB:.0f} KiB", holds, kib=kib, sockets=held, kernel=kernel
    )
