"""One WebSocket after its handshake: frames in by wsproto, frames out by the outlet, and the two closes.

From the handshake on no code of the web framework or of Hypercorn runs for a connection. One task reads; all else is
plain calls, so that what is said to a talker, and by it, happens in one order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
import trio
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from adapters.server.messages import Pieces, TooLarge, text_frame
from adapters.server.outlet import Flusher, Outlet
from adapters.server.wire import Wire

GOING_AWAY, TOO_LARGE, CRASHED, TOO_SLOW, TOO_SILENT = 1001, 1009, 1011, 4008, 4009
NO_CODE, VANISHED = 1005, 1006
"""What RFC 6455 (7.1.5) calls a close without a code, and an end without a close."""
EVENTS_PER_TURN = 32
"""Messages of one client that are taken before other tasks get their turn."""
LINGER = 2.0
"""Seconds for a client to answer our close, in which it is still read: unread bytes would destroy the close frame."""

log = structlog.get_logger("callboard.link")


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Sizes in bytes, times in seconds. A message of a client and what waits for it are bounded, and so is silence.

    A ping is sent every `ping_interval`; who says nothing, not even a pong, for `silence_limit` is dropped.
    """

    max_frame_bytes: int = 16 * 2**20
    outlet_bytes: int = 2**20
    write_deadline: float = 10.0
    silence_limit: float = 90.0
    ping_interval: float = 20.0


class Talker(Protocol):
    """Who talks over a link. Both are plain functions."""

    def received(self, message: str | bytes) -> None:
        """One whole message came."""

    def left(self) -> None:
        """Nothing more comes and nothing more can be said. Called once, at the first of all possible ends."""


class Link:
    """One client's WebSocket. The guard runs it; a talker takes it with `expect` and `begin`.

    `early` is what came together with the handshake; `heard` when the client was last heard of, on Trio's clock;
    `silence_limit` is that of the limits until somebody sets another. While there is a closed `gate` nothing is read.
    `ponged` is what the client's last pong says.
    """

    __slots__ = (
        "_closing", "_connection", "_deaf", "_ends", "_idle_since", "_left", "_limits", "_nursery", "_pieces",
        "_pinged", "_started", "_talker", "_tally", "_wire", "begun", "close_code", "early", "expected", "gate",
        "heard", "outlet", "peer_code", "ponged", "silence_limit",
    )  # fmt: skip

    def __init__(
        self, wire: Wire, limits: LinkLimits, flusher: Flusher, nursery: trio.Nursery, started: Callable[[], None]
    ) -> None:
        self._wire, self._limits, self._nursery, self._started = wire, limits, nursery, started
        self._tally = flusher.tally
        self.outlet = Outlet(wire, flusher, limits.outlet_bytes, overflowed=self._overflowed, broken=self._broken)
        self._talker: Talker | None = None
        self._connection: Connection | None = None
        self.expected = self.begun = self._closing = self._deaf = self._left = False
        self.early = self.ponged = b""
        self.close_code: int | None = None
        self.peer_code: int | None = None
        self.gate: trio.Event | None = None
        self._pieces = Pieces(limits.max_frame_bytes)
        self.heard = self._pinged = trio.current_time()
        self.silence_limit = limits.silence_limit
        self._idle_since: float | None = None
        self._ends: tuple[float, int, str] | None = None

    # --- the handshake ---

    def expect(self) -> None:
        """The handshake is about to be answered: what comes from now on are frames."""
        self.expected, self._connection = True, Connection(ConnectionType.SERVER, trailing_data=self.early)
        self.early = b""

    def begin(self, talker: Talker) -> None:
        """The handshake is answered: the talker hears what comes, and what it says goes out."""
        self._talker, self.begun = talker, True
        self._started()

    def feed(self, data: bytes) -> None:
        """Bytes that came, for `run` to make sense of."""
        if self._connection is not None:
            self._connection.receive_data(data)

    # --- out ---

    @property
    def closing(self) -> bool:
        """Whether a close was sent, or the peer has gone: nothing is taken any more."""
        return self._closing

    def say(self, body: bytes) -> None:
        """Send one text message."""
        self.write(text_frame(body))

    def write(self, frame: bytes) -> None:
        """Send one frame, or several whole ones, as they are."""
        if not self._closing:
            self.outlet.write(frame)

    def say_bytes(self, body: bytes) -> None:
        """Send one binary message."""
        if self._connection is not None:
            self.write(bytes(self._connection.send(BytesMessage(body))))

    def close(self, code: int, reason: str = "") -> None:
        """Send what was written before, then close. The first close counts."""
        if self._closing or self._connection is None:
            return
        self._closing, self.close_code = True, code
        try:
            self.outlet.put(bytes(self._connection.send(CloseConnection(code, reason))))
        except LocalProtocolError:  # the peer closed first
            pass
        self._leave()

    def end_at(self, time: float, code: int, reason: str) -> None:
        """Close then (Trio's clock), about, if it is still open."""
        self._ends = (time, code, reason)

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task of this connection's beside it; an exception closes the connection, and nothing else."""
        try:
            self._nursery.start_soon(self._contained, task)
        except RuntimeError:  # the server has ended already, and all its connections with it
            self.finish()

    async def _contained(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Exception as error:  # noqa: BLE001  # logged there
            self._crash(error)

    # --- in ---

    async def run(self) -> None:
        """Read until the end. Never raises but Cancelled."""
        try:
            await self._take()
            while not self._deaf:
                while self.gate is not None:
                    await self.gate.wait()
                data = await self._wire.receive()
                if not data:
                    break
                self.heard = trio.current_time()
                self.feed(data)
                await self._take()
            else:
                await self._part()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._tally.closed[self.close_code or VANISHED] += 1
            self.finish()

    async def _part(self) -> None:
        """Let our close frame leave. Who broke the protocol is read a while still: unread bytes would destroy it."""
        with trio.move_on_after(LINGER):
            await self.outlet.emptied()
            if self.peer_code is None:
                await self._wire.end()
                while await self._wire.receive():
                    pass

    async def _take(self) -> None:
        """Do what the bytes so far say; others get their turn between two of many events."""
        if self._connection is None:
            return
        try:
            for n, event in enumerate(self._connection.events(), start=1):
                self._do(event, self._connection)
                if self._deaf:
                    return
                if n % EVENTS_PER_TURN == 0:
                    await trio.lowlevel.checkpoint()
        except RemoteProtocolError as error:
            hint = error.event_hint
            code = hint.code if isinstance(hint, CloseConnection) else 1002
            self.close(code, str(error))
            self._deaf = True

    def _do(self, event: Event, connection: Connection) -> None:
        match event:
            case TextMessage() | BytesMessage():
                self._collect(event)
            case Ping() if not self._closing:
                self.outlet.write(bytes(connection.send(event.response())))
            case Pong(payload):
                self.ponged = bytes(payload)
            case CloseConnection():
                self._peer_closed(event)
            case _:
                pass

    def _collect(self, event: TextMessage | BytesMessage) -> None:
        """Tell a message when it is whole."""
        if self._closing:
            return
        try:
            message = self._pieces.add(event)
        except TooLarge:
            self.close(TOO_LARGE, f"a frame has at most {self._limits.max_frame_bytes} bytes")
            self._deaf = True
            return
        if message is not None:
            self._tally.frames_in += 1
            try:
                if self._talker is not None and not self._left:
                    self._talker.received(message)
            except Exception as error:  # noqa: BLE001  # logged there
                self._crash(error)

    def _peer_closed(self, event: CloseConnection) -> None:
        self.peer_code, self._deaf = int(event.code), True
        if not self._closing and self._connection is not None:
            self._closing, self.close_code = True, self.peer_code
            self.outlet.put(bytes(self._connection.send(event.response())))
        self._leave()

    # --- ends ---

    def _overflowed(self) -> None:
        self._tally.evicted += 1
        self.close(TOO_SLOW, "too slow; resume with since")

    def _broken(self) -> None:
        """The peer has gone, or took nothing for the write deadline: our own reading ends with the socket."""
        if self.outlet.stalled and not self._closing:
            self.close_code = TOO_SLOW
            self._tally.evicted += 1
        self.abort()

    def _crash(self, error: Exception) -> None:
        log.error("a connection crashed", exc_info=error)
        self.close(CRASHED, "Server error")

    def _leave(self) -> None:
        if self._left or self._talker is None:
            return
        self._left = True
        try:
            self._talker.left()
        except Exception:
            log.exception("a connection could not leave in good order")

    def finish(self) -> None:
        """Take nothing more and say nothing more: the connection is over."""
        self._closing = True
        self._leave()
        self.outlet.stop()

    def abort(self) -> None:
        """End it at once, without a word."""
        self.finish()
        self._wire.abort()

    def beat(self, now: float) -> None:
        """Called about once a second: ping, and give up on who is silent, or does not answer our close."""
        if self._closing:
            self._wait_for_the_end(now)
        elif now - self.heard > self.silence_limit:
            self._tally.evicted += 1
            self.close(TOO_SILENT, "no sign of life; resume with since")
            self._deaf = True
        elif self._ends is not None and now >= self._ends[0]:
            self.close(*self._ends[1:])
        elif now - max(self._pinged, self.heard) > self._limits.ping_interval and self._connection is not None:
            self._pinged = now
            self.write(bytes(self._connection.send(Ping())))

    def _wait_for_the_end(self, now: float) -> None:
        if self.outlet.pending:
            return
        self._idle_since = self._idle_since or now
        if now - self._idle_since >= LINGER:
            self.abort()
