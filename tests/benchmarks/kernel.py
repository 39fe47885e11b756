"""What the kernel holds between a server and its clients, as /proc/net shows it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

ESTABLISHED = "01"


@dataclass
class Stall:
    """One client that never reads: since when nothing more fits between it and the server, and when it was closed."""

    port: int
    queued: int = 0
    full_since: float = 0.0
    closed_at: float | None = None

    @property
    def seconds(self) -> float | None:
        """From the stall to the close, None while it is open."""
        return None if self.closed_at is None else self.closed_at - self.full_since

    def look(self, now: float, queued: int | None) -> None:
        """`queued` bytes are in the kernel now; None when the server's socket is no longer established."""
        if self.closed_at is not None:
            return
        if queued is None:
            self.closed_at = now
        elif queued > self.queued:
            self.queued, self.full_since = queued, now


class Stalls:
    """Clients that never read, watched from outside: a close that no reader can see is seen by the kernel's tables."""

    def __init__(self, server: int, ports: list[int]) -> None:
        self._server = server
        now = time.monotonic()
        self.stalls = [Stall(port, full_since=now) for port in ports]

    def look(self) -> None:
        now, queues = time.monotonic(), self._queues()
        for stall in self.stalls:
            stall.look(now, queues.get(stall.port))

    def _queues(self) -> dict[int, int]:
        """Bytes on the way to each client whose connection stands on the server's side, by the client's port."""
        queued: dict[int, int] = {}
        standing: set[int] = set()
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, state, queues, *_ = line.split()
            ours, theirs = (int(end.rpartition(":")[2], 16) for end in (local, remote))
            out, into = (int(part, 16) for part in queues.split(":"))
            if ours == self._server and state == ESTABLISHED:
                standing.add(theirs)
                queued[theirs] = queued.get(theirs, 0) + out
            elif theirs == self._server:
                queued[ours] = queued.get(ours, 0) + into
        return {port: size for port, size in queued.items() if port in standing}


def kernel_memory() -> int:
    """Bytes the kernel itself uses on this machine: what waits in sockets, and the structures of sockets and files.

    Both ends of a loopback connection are in it, and whatever else the machine does meanwhile.
    """
    (tcp,) = (line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    (slab,) = (line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("SUnreclaim:"))
    return int(tcp.rpartition(" mem ")[2]) * os.sysconf("SC_PAGE_SIZE") + int(slab.split()[1]) * 1024
