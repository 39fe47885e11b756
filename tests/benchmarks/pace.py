"""Publishing at a steady pace, and when what was published came to each of the others. Runs in the load's process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.benchmarks.crowd import Crowd, Tongue, number_of
from tests.benchmarks.wire import Wire

LATE = 10.0
"""Seconds after the last publish in which everything has to have come."""


@dataclass
class Paced:
    """Milliseconds from each publish, to each delivery and to the last of them. `missing` deliveries never came."""

    each: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    missing: int = 0


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)] if values else float("inf")


def paced(crowd: Crowd, tongue: Tongue, count: int, rate: float) -> Paced:
    """Publish `count` frames, `rate` a second; the publisher's own echoes are not counted.

    Sending and receiving are in one process, so that one clock serves both. A frame's time runs from before it is
    written into the publisher's socket: its way to the server and the append to the log are in it.
    """
    crowd.settle(0.1)
    watchers = len(crowd.wires) - 1
    sent, last, outcome = [0.0] * count, [0.0] * count, Paced()

    def hear(wire: Wire, text: bytes) -> None:
        number = number_of(text)
        if number is not None and wire is not crowd.publisher:
            now = time.perf_counter()
            outcome.each.append((now - sent[number]) * 1e3)
            last[number] = now

    began = time.perf_counter()
    for number in range(count):
        while (ahead := began + number / rate - time.perf_counter()) > 0:
            crowd.attend(ahead, hear)
        sent[number] = time.perf_counter()
        crowd.publisher.send(tongue.frame(number, crowd.pad))
    end = time.perf_counter() + LATE
    while len(outcome.each) < count * watchers and time.perf_counter() < end:
        crowd.attend(0.1, hear)
    outcome.last = [(last[n] - sent[n]) * 1e3 for n in range(count) if last[n]]
    outcome.missing = count * watchers - len(outcome.each)
    return outcome
