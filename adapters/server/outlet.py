"""The one way out of a WebSocket: bounded in bytes, written to without waiting, and flushed together with all others.

What one tick of the event loop writes to a socket leaves in one send. One task flushes all sockets that were written
to; only a socket whose kernel buffer is full, or that is under TLS, gets a task of its own until it has caught up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
import trio

from adapters.server.statistics import Tally
from adapters.server.wire import MOST_JOINED, Bytes, Wire

FLUSHES_PER_TURN = 128
"""Sockets flushed before other tasks get their turn."""

log = structlog.get_logger("callboard.outlet")

StartSoon = Callable[[Callable[[], Awaitable[None]]], None]


class Flusher:
    """Flushes every outlet that was written to, once a tick. `run` is its task; `start_soon` runs the stragglers'."""

    def __init__(self, start_soon: StartSoon, write_deadline: float, tally: Tally | None = None) -> None:
        self.start_soon, self.write_deadline, self.tally = start_soon, write_deadline, tally or Tally()
        self._due: list[Outlet] = []
        self._task: trio.lowlevel.Task | None = None
        self._frames: list[bytes] = []
        self._joined = b""

    def add(self, outlet: Outlet) -> None:
        self._due.append(outlet)
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)

    async def run(self) -> None:
        while True:
            if not self._due:
                await self._park()
            due, self._due = self._due, []
            for n, outlet in enumerate(due, start=1):
                outlet.flush_contained()
                if n % FLUSHES_PER_TURN == 0:
                    await trio.lowlevel.cancel_shielded_checkpoint()
            del due, outlet  # or those of the last tick would stay until somebody writes again
            await trio.lowlevel.checkpoint()

    async def _park(self) -> None:
        self._task = trio.lowlevel.current_task()

        def forget(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(forget)

    def joined(self, frames: list[bytes]) -> bytes:
        """The frames as one text of bytes; those of an audience wait in many outlets, and are joined for the first."""
        if len(frames) == 1:
            return frames[0]
        if frames != self._frames:
            self._frames, self._joined = frames.copy(), b"".join(frames)
        return self._joined


class Outlet:
    """Whole frames on their way to one client, in order.

    At most `limit` bytes may wait behind the first frame. The first one is not counted, so that a single large frame
    can always leave. Beyond that the client is too slow: what waits is dropped, and `overflowed` called. `broken` is
    called when the peer is gone, or took nothing for the flusher's write deadline; then `stalled` is true.

    `dropped`: something that was taken never left. `watched` is a frame of which somebody wants to know where it is;
    `lost` is that frame, if it was among what was dropped.
    """

    __slots__ = (
        "_broken", "_drains", "_due", "_eased", "_flusher", "_flying", "_frames", "_gone", "_limit", "_overflowed",
        "_pending", "_sent", "_wire", "dropped", "lost", "stalled", "watched",
    )  # fmt: skip

    def __init__(
        self, wire: Wire, flusher: Flusher, limit: int, *, overflowed: Callable[[], None], broken: Callable[[], None]
    ) -> None:
        self._wire, self._flusher, self._limit = wire, flusher, limit
        self._overflowed, self._broken = overflowed, broken
        self._frames: list[bytes] = []
        self._pending = self._sent = self._flying = 0
        self._due = self._drains = self._gone = self.stalled = self.dropped = False
        self._eased: trio.Event | None = None
        self.watched: bytes | None = None
        self.lost: bytes | None = None

    @property
    def pending(self) -> int:
        """Bytes that wait, the first frame among them."""
        return self._pending

    @property
    def waiting(self) -> int:
        """Bytes behind the first frame."""
        return self._pending - (len(self._frames[0]) - self._sent) if self._frames else 0

    @property
    def watched_waits(self) -> bool:
        """Whether the watched frame, or a part of it, still waits."""
        return any(each is self.watched for each in self._frames)

    def write(self, frame: bytes) -> None:
        """Take one whole frame; never waits and never raises."""
        if self._gone:
            return
        if self._frames and self.waiting + len(frame) > self._limit and self._squeezed(len(frame)):
            return
        self.put(frame)

    def put(self, frame: bytes) -> None:
        """Take one whole frame whatever waits: a close frame, which comes once."""
        if self._gone:
            return
        self._frames.append(frame)
        self._pending += len(frame)
        self._flusher.tally.frames_out += 1
        if not self._due and not self._drains:
            self._due = True
            self._flusher.add(self)

    def _squeezed(self, size: int) -> bool:
        """Whether there is really no room for `size` bytes: the kernel may take what has only waited for its tick."""
        if not self._drains:
            self.flush()
        if self._gone:
            return True
        if self._frames and self.waiting + size > self._limit:
            self._forget_the_rest()
            self._overflowed()
            return True
        return False

    def stop(self) -> None:
        """Drop what waits and take nothing more."""
        self._gone = True
        self._dropping(self._frames)
        self._frames, self._pending, self._sent = [], 0, 0
        self._ease()

    async def room(self, size: int) -> bool:
        """Wait until `size` bytes fit with half of the limit to spare, or nothing waits; False when all is over."""
        await trio.lowlevel.checkpoint()
        while not self._gone and self._frames and self.waiting + size > self._limit // 2:
            self._eased = self._eased or trio.Event()
            await self._eased.wait()
        return not self._gone

    async def emptied(self) -> None:
        """Flush, and wait until nothing waits, or all is over."""
        self.flush()
        while self._frames:
            self._eased = self._eased or trio.Event()
            await self._eased.wait()

    def flush(self) -> None:
        """Hand what waits to the kernel; what it does not take now is for a task of its own."""
        self._due = False
        if self._drains:
            return
        try:
            while self._frames:
                body = self._next()
                sent = self._wire.send_now(body)
                self._took(sent)
                if sent < len(body):
                    break
        except BlockingIOError:
            pass
        except OSError:
            self._break()
        if self._frames and not self._gone:
            self._drains = True
            self._flusher.start_soon(self._drain)

    def flush_contained(self) -> None:
        """Flush; a fault of ours ends this connection, and not the flusher of all."""
        try:
            self.flush()
        except Exception:
            log.exception("an outlet failed")
            self._break()

    async def _drain(self) -> None:
        try:
            while self._frames and not self._gone:
                with trio.move_on_after(self._flusher.write_deadline) as patience:
                    await self._push()
                if patience.cancelled_caught:
                    self.stalled = True
                    self._break()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._break()
        except Exception:
            log.exception("an outlet failed")
            self._break()
        finally:
            self._drains = False

    async def _push(self) -> None:
        await self._wire.ready()
        if self._frames:
            body = self._next()[: self._wire.most]
            self._flying = len(body)
            try:
                self._took(await self._wire.push(body))
            finally:
                self._flying = 0

    def _next(self) -> Bytes:
        """The bytes to send next: what is left of the first frame, or as many frames as go into one send."""
        if self._sent:
            return memoryview(self._frames[0])[self._sent :]
        if self._pending <= MOST_JOINED:
            return self._flusher.joined(self._frames)
        size = many = 0
        for frame in self._frames:
            size += len(frame)
            if many and size > MOST_JOINED:
                break
            many += 1
        return b"".join(self._frames[:many])

    def _took(self, sent: int) -> None:
        """The kernel has `sent` bytes more."""
        if self._gone:
            return
        self._pending -= sent
        self._flusher.tally.bytes_out += sent
        if not self._pending:
            self._frames, self._sent = [], 0
        else:
            sent += self._sent
            whole = 0
            while sent >= len(self._frames[whole]):
                sent -= len(self._frames[whole])
                whole += 1
            del self._frames[:whole]
            self._sent = sent
        self._ease()

    def _forget_the_rest(self) -> None:
        """Drop all but the frames that are under way: the first may be half sent, or some be pushed just now."""
        under_way = self._sent + max(self._flying, 1)
        kept = whole = 0
        while whole < under_way and kept < len(self._frames):
            whole += len(self._frames[kept])
            kept += 1
        self._dropping(self._frames[kept:])
        del self._frames[kept:]
        self._pending = whole - self._sent

    def _dropping(self, frames: list[bytes]) -> None:
        """These will never leave."""
        self.dropped = self.dropped or bool(frames)
        if any(each is self.watched for each in frames):
            self.lost = self.watched

    def _break(self) -> None:
        if not self._gone:
            self.stop()
            self._broken()

    def _ease(self) -> None:
        if self._eased is not None:
            eased, self._eased = self._eased, None
            eased.set()
