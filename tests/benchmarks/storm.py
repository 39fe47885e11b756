"""The storm: everybody comes back at once, and each wants to hear what it has missed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from tests.benchmarks import servers
from tests.benchmarks.crowd import DIGITS, MARK, Crowd, Tongue, calibrate, connect
from tests.benchmarks.fanout import SIZE, fan_out
from tests.benchmarks.pace import quantile
from tests.benchmarks.remote import running_crowd
from tests.benchmarks.report import Bench
from tests.benchmarks.wire import Lost, Wire

WITHIN, MOST_SECONDS = 2.0, 10.0
GIVEN_UP_AFTER = 60.0


@dataclass
class Caller:
    """One client that comes back: how many of the missed events it has heard, and when it had them all."""

    began: float
    heard: int = 0
    caught_up: float | None = None


# --- in the load's process ---


def place(crowd: Crowd, port: int, tongue: Tongue) -> tuple[int, str]:
    """Where the stream is now: its version and the log's epoch, as a greeting says them."""
    greetings: list[bytes] = []
    visitor = Wire(port, tongue.path)

    def hear(wire: Wire, text: bytes) -> None:
        if wire is visitor:
            greetings.append(text)

    def greeted() -> bool:
        return bool(greetings)

    crowd.add(visitor)
    crowd.until(greeted, 10, hear)
    crowd.forget(visitor)
    crowd.settle(0.3)
    fields = json.loads(greetings[0])
    return fields["seq"], fields["epoch"]


def storm(crowd: Crowd, port: int, path: str, clients: int, missed: int) -> list[float]:
    """`clients` connect within WITHIN seconds, evenly; seconds from the first connect until each was caught up.

    Each has to hear every missed event once, in order: event n is the n-th it hears. Raises Lost and TimeoutError.
    """
    callers: dict[Wire, Caller] = {}
    began = time.perf_counter()

    def hear(wire: Wire, text: bytes) -> None:
        at, caller = text.find(MARK), callers.get(wire)
        if at < 0 or caller is None:
            return
        number = int(text[at + len(MARK) : at + len(MARK) + DIGITS])
        if number != caller.heard:
            raise Lost(f"event {number} came where {caller.heard} was due")
        caller.heard += 1
        if caller.heard == missed:
            caller.caught_up = time.perf_counter() - began

    def all_caught_up() -> bool:
        return all(caller.caught_up is not None for caller in callers.values())

    for n in range(clients):
        while (ahead := began + n * WITHIN / clients - time.perf_counter()) > 0:
            crowd.attend(ahead, hear)
        wire = Wire(port, path)
        callers[wire] = Caller(time.perf_counter() - began)
        crowd.add(wire)
        crowd.attend(0, hear)
    crowd.until(all_caught_up, GIVEN_UP_AFTER, hear)
    return [caller.caught_up for caller in callers.values() if caller.caught_up is not None]


# --- in the bench ---


def measure(bench: Bench) -> None:
    clients, missed = (50, 50) if bench.quick else (1000, 500)
    took = bench.in_turns({"storm": lambda: _one_storm(bench, clients, missed)})["storm"]
    best = min(took, key=max)
    last, median = max(best), quantile(best, 0.5)
    name = f"{clients} connect in {WITHIN:.0f} s, each resuming {missed} events"
    figure = f"all caught up after {last:.2f} s (half {median:.2f} s)"
    bench.report(
        name, figure, None, f"≤ {MOST_SECONDS:.0f} s", last <= MOST_SECONDS, seconds=last, rounds=list(map(max, took))
    )


def _one_storm(bench: Bench, clients: int, missed: int) -> list[float]:
    with servers.callboard(bench.folder) as server, running_crowd() as crowd:
        tongue = servers.conversation(server)
        crowd.call(connect, server.port, tongue, 1)
        crowd.call(calibrate, tongue, SIZE)
        since, epoch = crowd.call(place, server.port, tongue)
        crowd.call(fan_out, tongue, missed)
        path = f"{tongue.path}?since={since}&epoch={epoch}"
        return crowd.call(storm, server.port, path, clients, missed)
