"""The one way out of a socket: bounded in bytes, written to without waiting, emptied by one task."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

TOO_SLOW = 4008
"""The close code of a client that reads more slowly than the server has to tell; it may come back with `since`."""


class Outlet:
    """Frames on their way to one client, in order.

    At most `limit` bytes may wait behind the first frame. The first one is not counted, so that a single large frame
    can always leave. Beyond that the client is too slow: what waits is dropped and the socket closed. After `close`
    nothing is taken any more; `closed` is called once, when it comes to that.
    """

    __slots__ = ("_closed", "_eased", "_frames", "_limit", "_pending", "_wake", "closing")

    def __init__(self, limit: int, closed: Callable[[], None] = lambda: None) -> None:
        self._limit, self._closed = limit, closed
        self._frames: deque[bytes] = deque()
        self._pending = 0
        self._wake, self._eased = trio.Event(), trio.Event()
        self.closing: tuple[int, str] | None = None

    @property
    def waiting(self) -> int:
        """Bytes behind the first frame."""
        return self._pending - len(self._frames[0]) if self._frames else 0

    def write(self, body: bytes) -> None:
        """Take one frame; never waits and never raises."""
        if self.closing is not None:
            return
        if self._frames and self.waiting + len(body) > self._limit:
            self._forget_the_rest()
            self.close(TOO_SLOW, "too slow; resume with since")
            return
        self._frames.append(body)
        self._pending += len(body)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        """Send what was written before, then close. The first close counts."""
        if self.closing is None:
            self.closing = (code, reason)
            self._wake.set()
            self._eased.set()
            self._closed()

    async def room(self, size: int) -> None:
        """Wait until `size` bytes fit with half of the limit to spare, or nothing waits, or the outlet closes."""
        await trio.lowlevel.checkpoint()
        while self.closing is None and self._frames and self.waiting + size > self._limit // 2:
            self._eased = trio.Event()
            await self._eased.wait()

    async def flush(self, send: Callable[[str], Awaitable[None]]) -> tuple[int, str]:
        """Send the frames as they come until the outlet is closed; returns the code and reason to close with."""
        while True:
            while self._frames:
                await send(self._frames[0].decode())
                self._pending -= len(self._frames.popleft())
                self._eased.set()
                # Sending to a peer that has gone returns at once: without this the loop would let nobody else run.
                await trio.lowlevel.checkpoint()
            if self.closing is not None:
                return self.closing
            self._wake = trio.Event()
            await self._wake.wait()

    def _forget_the_rest(self) -> None:
        """Drop all but the first frame, which may be half sent."""
        while len(self._frames) > 1:
            self._pending -= len(self._frames.pop())
