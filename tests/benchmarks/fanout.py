"""Fan-out: frames received by all sockets a second, ours beside the rivals', in one run.

All speak one protocol: a client publishes, the server sends it to every socket, the publisher's too. It has WINDOW
frames under way, counted by its own echoes. Ours is on a SQLite log, and nothing is sent before it is durable there.
What becomes durable together leaves together, so a window lets us join frames where the rivals write each by itself.
How much of the difference that is shows a second line, with one frame under way at a time; it has no target.

Servers stay up with all their sockets while the others are measured, and take turns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

from tests.benchmarks import servers
from tests.benchmarks.crowd import Crowd, Tongue, calibrate, connect, number_of
from tests.benchmarks.remote import RemoteCrowd, RemoteFault, running_crowd
from tests.benchmarks.report import Bench
from tests.benchmarks.servers import NotRunning, ServerProcess
from tests.benchmarks.tally import Tally
from tests.benchmarks.wire import Lost, client_frame

SIZE = 300
WINDOW = 64
SECONDS = 1.5
"""How long a round is to take; the one of single frames half as long."""
BUSY = 0.85
"""The share of its core that a server with enough to do uses, when the machine is quiet."""
GIVEN_UP_AFTER = 60.0
OURS = "Callboard"


class Round(NamedTuple):
    """Deliveries a second, and the shares of their cores that server and load used."""

    rate: float
    server: float
    load: float

    @property
    def rate_of_a_core(self) -> float:
        """Deliveries in a second of the server's processor time: what it could do without neighbours or waiting."""
        return self.rate / max(self.server, 0.01)


# --- in the load's process ---


def fan_out(crowd: Crowd, tongue: Tongue, count: int, window: int = WINDOW) -> tuple[float, float]:
    """Publish `count` frames and wait until every socket has them all: seconds, and our own processor time.

    The frames of the publisher are looked at, those of the others only counted, which keeps the receiving side faster
    than any server.
    """
    crowd.settle(0.1)
    publisher, frames = crowd.publisher, [client_frame(tongue.frame(n, crowd.pad)) for n in range(count)]
    tallies = {descriptor: Tally(wire) for descriptor, wire in crowd.wires.items() if wire is not publisher}
    reads = {descriptor: tally.read for descriptor, tally in tallies.items()}
    poll, first, due = crowd.epoll.poll, publisher.socket.fileno(), count * len(tallies)
    received = echoes = sent = 0
    used, began = time.process_time(), time.perf_counter()
    while echoes < count or received < due:
        if sent < min(count, echoes + window):
            publisher.socket.sendall(b"".join(frames[sent : echoes + window]))
            sent = min(count, echoes + window)
        for descriptor, _ in poll(GIVEN_UP_AFTER) or _gave_up():
            if descriptor == first:
                echoes += sum(map(_is_echo, publisher.read()))
            else:
                received += reads[descriptor]()
    took = time.perf_counter() - began, time.process_time() - used
    for tally in tallies.values():
        tally.give_back()
    return took


def _is_echo(text: bytes) -> bool:
    if number_of(text) is None:
        raise Lost(f"not what was published: {text[:200]!r}")
    return True


def _gave_up() -> list[tuple[int, int]]:
    raise TimeoutError(f"no frame came for {GIVEN_UP_AFTER:.0f} s")


# --- in the bench ---


class Contender:
    """One server with its crowd of `sockets` clients."""

    def __init__(self, server: ServerProcess, crowd: RemoteCrowd, tongue: Tongue, sockets: int) -> None:
        self._server, self._crowd, self._tongue, self._sockets = server, crowd, tongue, sockets
        crowd.call(connect, server.port, tongue, sockets)
        crowd.call(calibrate, tongue, SIZE)
        self._counts = {
            window: self._count(window, seconds) for window, seconds in ((WINDOW, SECONDS), (1, SECONDS / 2))
        }

    def _count(self, window: int, seconds: float) -> int:
        """Frames that take so long, by a short try of it."""
        least = 2 * max(window, 8)
        return max(least, int(self._run(window, least).rate * seconds / self._sockets))

    def measure(self) -> dict[int, Round]:
        """One round, with each window."""
        return {window: self._run(window, count) for window, count in self._counts.items()}

    def _run(self, window: int, count: int) -> Round:
        used = self._server.cpu
        took, load = self._crowd.call(fan_out, self._tongue, count, window)
        return Round(count * self._sockets / took, (self._server.cpu - used) / took, load / took)


@contextmanager
def _contending(
    running: AbstractContextManager[ServerProcess], tongue: Tongue | None, sockets: int
) -> Iterator[Contender]:
    with running as server, running_crowd() as crowd:
        yield Contender(server, crowd, tongue or servers.conversation(server), sockets)


def measure(bench: Bench) -> None:
    for sockets in (20, 50) if bench.quick else (100, 500, 2000):
        with ExitStack() as stack:
            contenders = dict(_all_contenders(bench, stack, sockets))
            rounds = bench.in_turns({name: contender.measure for name, contender in contenders.items()})
        for window in (WINDOW, 1):
            _report(bench, sockets, window, {name: max(one[window] for one in took) for name, took in rounds.items()})


def _all_contenders(bench: Bench, stack: ExitStack, sockets: int) -> Iterator[tuple[str, Contender]]:
    ours = servers.callboard(bench.folder, SILENCE_LIMIT="600")
    yield OURS, stack.enter_context(_contending(ours, None, sockets))
    for name, (start, tongue) in servers.RIVALS.items():
        try:
            yield name, stack.enter_context(_contending(start(bench.folder), tongue, sockets))
        except (NotRunning, RemoteFault) as reason:
            bench.remark(f"left out: {name}, {sockets} sockets: {str(reason).strip().splitlines()[-1]}")


def _report(bench: Bench, sockets: int, window: int, best: dict[str, Round]) -> None:
    ours = best.pop(OURS)
    line = partial(_line, bench, f"fan-out to {sockets}" + (", frame by frame" if window == 1 else ""))
    uvicorn = [took for name, took in best.items() if name.startswith("FastAPI")]
    ratio = ours.rate / max(uvicorn).rate if uvicorn else None
    if window == 1 or ratio is None:
        line("Callboard beside uvicorn's best", ours, ratio, "", None)
    else:
        # A neighbour that took uvicorn's core must not make us look good: it is also granted the whole of it.
        at_least = min(ratio, *(ours.rate / took.rate_of_a_core for took in uvicorn))
        line("Callboard beside uvicorn's best", ours, ratio, "≥ 2×", at_least >= 2)
        if max(uvicorn).server < BUSY:
            share = f"{max(uvicorn).server:.0%}"
            bench.remark(f"uvicorn had {share} of its core; granted all of it, the ratio is {at_least:.2f}×")
    for name, took in best.items():
        line(name, took, ours.rate / took.rate, "", None)


def _line(
    bench: Bench, what: str, name: str, took: Round, ratio: float | None, target: str, holds: bool | None
) -> None:
    figure = f"{took.rate:,.0f}/s (cores: server {took.server:.0%}, load {took.load:.0%})"
    more = {**took._asdict(), "rate_of_a_core": took.rate_of_a_core}
    bench.report(f"{what}, {name}", figure, ratio, target, holds, **more)
