"""Many clients of one server in one process: an epoll loop that reads all there is and answers pings.

The first client of a crowd is its publisher: it hears its own frames come back, and so knows how many are under way.
"""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.wire import Lost, Wire

MARK = b"bench-"
"""What every published text begins with, followed by its number."""
DIGITS = 7

Hear = Callable[[Wire, bytes], None]


@dataclass(frozen=True, slots=True)
class Tongue:
    """How to talk to one server: `@` in `template` is what is published, `hello` is said once the socket is open.

    A client is in when it has got so many `greetings`.
    """

    path: str
    template: str
    hello: str = ""
    greetings: int = 0

    def frame(self, number: int, pad: int) -> bytes:
        return self.template.replace("@", f"{MARK.decode()}{number:0{DIGITS}}-{'x' * pad}").encode()


def number_of(text: bytes) -> int | None:
    """The number a published frame was given, None for a frame that was not published by us."""
    at = text.find(MARK)
    return None if at < 0 else int(text[at + len(MARK) : at + len(MARK) + DIGITS])


class Crowd:
    """The clients of one server. Whatever is not read by a measurement is read and dropped by `attend`."""

    def __init__(self) -> None:
        gc.disable()  # nothing here is cyclic, and a collection would look like the server's delay
        self.epoll = select.epoll()
        self.wires: dict[int, Wire] = {}
        self.stalled: list[Wire] = []
        self.pad = 0

    @property
    def publisher(self) -> Wire:
        return next(iter(self.wires.values()))

    def add(self, wire: Wire) -> None:
        self.wires[wire.socket.fileno()] = wire
        self.epoll.register(wire.socket.fileno(), select.EPOLLIN)

    def attend(self, timeout: float, hear: Hear | None = None) -> int:
        """Read what comes within `timeout` seconds; the number of sockets that had something. Raises Lost."""
        ready = self.epoll.poll(timeout)
        for descriptor, _ in ready:
            wire = self.wires[descriptor]
            texts = wire.read()
            if wire.lost:
                self.forget(wire)
                raise Lost(wire.lost)
            if hear is not None:
                for text in texts:
                    hear(wire, text)
        return len(ready)

    def forget(self, wire: Wire) -> None:
        del self.wires[wire.socket.fileno()]
        self.epoll.unregister(wire.socket.fileno())
        wire.close()

    def until(self, reached: Callable[[], bool], within: float, hear: Hear | None = None) -> None:
        """Attend until `reached`. Raises TimeoutError."""
        end = time.monotonic() + within
        while not reached():
            if time.monotonic() > end:
                raise TimeoutError(f"{reached.__name__} was not reached within {within:.0f} s")
            self.attend(0.05, hear)

    def settle(self, quiet: float, within: float = 300.0) -> None:
        """Attend until nothing has come for `quiet` seconds. Raises TimeoutError."""
        end = time.monotonic() + within
        while self.attend(quiet):
            if time.monotonic() > end:
                raise TimeoutError(f"the server was not quiet within {within:.0f} s")


# --- what a crowd is told to do, as functions that can be called in its process ---


def connect(crowd: Crowd, port: int, tongue: Tongue, count: int, batch: int = 50, quiet: float = 0.3) -> None:
    """Open `count` more sockets, some at a time: each join is shown to all who are there, n² frames in all."""
    for start in range(0, count, batch):
        made = [Wire(port, tongue.path) for _ in range(min(batch, count - start))]
        for wire in made:
            crowd.add(wire)
        _let_in(crowd, made, tongue)
    crowd.settle(quiet)


def _let_in(crowd: Crowd, made: list[Wire], tongue: Tongue) -> None:
    def all_open() -> bool:
        return all(wire.is_open for wire in made)

    def all_greeted() -> bool:
        return all(wire.frames >= tongue.greetings for wire in made)

    crowd.until(all_open, within=60)
    if tongue.hello:
        for wire in made:
            wire.send(tongue.hello.encode())
    crowd.until(all_greeted, within=60)


def calibrate(crowd: Crowd, tongue: Tongue, size: int) -> None:
    """Pad what is published so that the server's frames have `size` bytes; and see that one of them reaches all."""
    crowd.pad = 0
    crowd.pad = max(0, size - len(_published_once(crowd, tongue)))
    _published_once(crowd, tongue)


def _published_once(crowd: Crowd, tongue: Tongue) -> bytes:
    """The frame as the publisher hears it, once all have. Raises TimeoutError, which says who heard what."""
    heard: dict[Wire, bytes] = {}
    others: list[bytes] = []

    def hear(wire: Wire, text: bytes) -> None:
        if number_of(text) is None:
            others.append(text)
        else:
            assert wire not in heard, "a frame came twice"
            heard[wire] = text

    def heard_by_all() -> bool:
        return len(heard) == len(crowd.wires)

    crowd.publisher.send(tongue.frame(0, crowd.pad))
    try:
        crowd.until(heard_by_all, within=120, hear=hear)
    except TimeoutError:
        last = others[-1][:300] if others else b""
        raise TimeoutError(f"{len(heard)} of {len(crowd.wires)} heard; {len(others)} other frames, {last!r}") from None
    return heard[crowd.publisher]


def close(crowd: Crowd) -> None:
    """Leave, all at once."""
    for wire in [*crowd.wires.values(), *crowd.stalled]:
        wire.close()
    crowd.wires.clear()
    crowd.stalled.clear()
