"""The one WebSocket shell: does for every dialect what its connection says, and nothing of its own.

Two tasks to a socket: one reads, always; one sends what is in the outlet. All else is plain synchronous calls: the
connection's outputs are done in their order, and what the audience says goes through the same outlet. Only a resume
reads the log; while it does, later outputs wait in line.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import assert_never

import structlog
import trio
from quart import Websocket, websocket

from actors.audience import Membership
from actors.system import System
from adapters.web.outlet import Outlet
from adapters.web.resume import retell
from adapters.web.settings import WebSettings
from core.decider import AnyDecider
from core.dialect import Close, Connection, Dialect, Handshake, Hear, Listen, Output, Recall, Tell, Write
from core.identifiers import Category, StreamName
from core.messages import Busy, Outcome, Stamp, Unavailable
from core.ports import StoreUnavailable

CRASHED, TOO_LARGE, NO_HISTORY, RESTARTING, TOO_MUCH = 1011, 1009, 1013, 1012, 4008
SORRY, COME_BACK = "internal error", "the server restarts; come back"
LINGER = 2.0
"""Seconds for a client to answer our close, in which it is still read: unread bytes would destroy the close frame."""
FAREWELL = 5.0
"""Seconds in which what a connection has to say at its end is told again, when an actor is busy."""
FRAME_COST = 256
"""Bytes a waiting frame counts at least: what it is kept in."""

log = structlog.get_logger("callboard.socket")


class Sockets:
    """All open sockets of one app."""

    def __init__(self, system: System, deciders: Mapping[Category, AnyDecider], settings: WebSettings) -> None:
        self.system, self.deciders, self.settings = system, deciders, settings
        self._open: set[Socket] = set()
        self.draining = False

    def __len__(self) -> int:
        return len(self._open)

    async def talk(self, dialect: Dialect, path: Mapping[str, str]) -> None:
        """Accept the WebSocket of the current request and serve it to its end."""
        await websocket.accept()
        if self.draining:
            await websocket.close(RESTARTING, COME_BACK)
            return
        handshake = self._handshake(path)
        try:
            connection = dialect.connect(handshake)
        except Exception as error:  # noqa: BLE001  # a dialect's fault must reach neither other clients nor the server
            _log_crash(error, dialect, handshake)
            await websocket.close(CRASHED, SORRY)
            return
        socket = Socket(self, dialect, connection, handshake)
        self._open.add(socket)
        try:
            await socket.run(websocket)
        finally:
            self._open.discard(socket)

    def _handshake(self, path: Mapping[str, str]) -> Handshake:
        query = websocket.args.to_dict()
        return Handshake(self.system.new_connection_id(), dict(path), query, "anonymous", self.system.store.epoch)

    async def drain(self, *, batch: int = 100, pause: float = 0.01) -> None:
        """Tell all clients that the server restarts, some at a time, so that they do not come back all at once."""
        self.draining = True
        for start, socket in enumerate(tuple(self._open), start=1):
            socket.close(RESTARTING, COME_BACK)
            if start % batch == 0:
                await trio.sleep(pause)


class Socket:
    """One client: a dialect's connection and the socket it lives on. It is also the audience's listener."""

    def __init__(self, sockets: Sockets, dialect: Dialect, connection: Connection, handshake: Handshake) -> None:
        self.connection_id = handshake.connection_id
        self._sockets = sockets
        self._system, self._deciders, self._settings = sockets.system, sockets.deciders, sockets.settings
        self._dialect, self._connection, self._handshake = dialect, connection, handshake
        self._outlet = Outlet(sockets.settings.outlet_bytes, self._closing)
        self._memberships: dict[StreamName, Membership] = {}
        self._outputs: deque[Output] = deque()
        self._working = self._recalling = self._left = False
        self._waiting = 0
        self._nursery: trio.Nursery

    # --- the audience's listener ---

    def write(self, body: bytes) -> None:
        self._outlet.write(body)

    def close(self, code: int, reason: str) -> None:
        self._outlet.close(code, reason)

    # --- the life of the socket ---

    async def run(self, wire: Websocket) -> None:
        """Serve the client until either side is done. A crash is this client's alone: it is closed with 1011."""
        try:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._send, wire)
                self._nursery.start_soon(self._contained, partial(self._read, wire))
                self._take(self._connection.opened)
        finally:
            await self._leave()

    async def _read(self, wire: Websocket) -> None:
        while True:
            frame: str | bytes | None = await wire.receive()
            # An empty binary frame comes as None.
            self._receive(b"" if frame is None else frame)

    def _receive(self, frame: str | bytes) -> None:
        if self._outlet.closing is not None:
            return
        size, most = _size(frame, self._settings.max_frame_bytes), self._settings.max_frame_bytes
        if size > most:
            self._outlet.close(TOO_LARGE, f"a frame has at most {most} bytes")
        elif self._recalling and self._is_too_much(size):
            self._outlet.close(TOO_MUCH, "too much at once; resume with since")
        else:
            self._take(partial(self._connection.received, frame))

    def _is_too_much(self, size: int) -> bool:
        """Count a frame that has to wait for a resume. All that wait may be as large as one may be."""
        self._waiting += size + FRAME_COST
        return self._waiting > self._settings.max_frame_bytes + FRAME_COST

    async def _send(self, wire: Websocket) -> None:
        code, reason = await self._flush(wire)
        await wire.close(code, reason)
        with trio.move_on_after(LINGER):
            await trio.sleep_forever()  # the client's own close, or its going, cancels us
        self._nursery.cancel_scope.cancel()

    def _closing(self) -> None:
        """The outlet takes nothing more: leave now, for a slow client may take long to be rid of."""
        for membership in self._memberships.values():
            membership.leave()
        if not self._left and self._nursery.child_tasks:  # without any the nursery is closing, and `run` leaves anyway
            self._nursery.start_soon(self._leave)

    async def _flush(self, wire: Websocket) -> tuple[int, str]:
        try:
            return await self._outlet.flush(wire.send)
        except Exception as error:  # noqa: BLE001  # a frame that cannot be sent ends this socket alone
            self._crash(error)
            return CRASHED, SORRY

    async def _contained(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Exception as error:  # noqa: BLE001  # as above
            self._crash(error)

    def _crash(self, error: Exception) -> None:
        _log_crash(error, self._dialect, self._handshake)
        self._outputs.clear()
        self._outlet.close(CRASHED, SORRY)

    # --- outputs ---

    def _take(self, source: Callable[[int], Sequence[Output]]) -> None:
        """Ask the connection, then do what it says, after what it said before."""
        if self._left:
            return
        try:
            self._outputs.extend(source(self._system.clock.now()))
            self._work()
        except Exception as error:  # noqa: BLE001  # as above; and the caller may be an actor
            self._crash(error)

    def _work(self) -> None:
        """Do the outputs in line, unless they are being done already or a resume is under way."""
        if self._working:
            return
        self._working = True
        try:
            while self._outputs and not self._recalling and self._outlet.closing is None:
                self._do(self._outputs.popleft())
        finally:
            self._working = False

    def _do(self, output: Output) -> None:
        match output:
            case Write(body):
                self._outlet.write(body)
            case Listen(stream):
                self._listen(stream)
            case Tell(stream, command, command_id):
                self._system.post(stream, command, self._stamp(command_id), partial(self._settled, output))
            case Hear(stream, state, version):
                self._memberships[stream].hear(state, version)
            case Recall():
                self._recalling = True
                self._nursery.start_soon(self._contained, partial(self._recall, output))
            case Close(code, reason):
                self._outlet.close(code, reason)
            case _:
                assert_never(output)

    def _listen(self, stream: StreamName) -> None:
        if stream in self._memberships:
            self._memberships.pop(stream).leave()
        self._memberships[stream] = self._system.audiences.join(stream, self._dialect, self)

    def _stamp(self, command_id: str | None) -> Stamp:
        principal, origin = self._handshake.principal, self.connection_id
        return self._system.stamp(command_id=command_id, principal=principal, origin=origin)

    def _settled(self, tell: Tell, outcome: Outcome) -> None:
        self._take(partial(self._connection.settled, tell, outcome))

    # --- resume ---

    async def _recall(self, recall: Recall) -> None:
        """Show what came after `since`, as it was shown then, no faster than the client reads."""
        history, decider = self._system.store, self._deciders[recall.stream.category]
        begin = partial(self._recalled, recall)
        try:
            await retell(
                recall, history, decider, self._dialect,
                connection_id=self.connection_id, begin=begin, show=self._show,
            )  # fmt: skip
        except StoreUnavailable:
            self._outlet.close(NO_HISTORY, "the log cannot be read now; resume with since")
        self._recalling, self._waiting = False, 0
        self._work()

    def _recalled(self, recall: Recall, state: object) -> None:
        for output in self._connection.recalled(recall.stream, state, recall.since, self._system.clock.now()):
            self._do(output)

    async def _show(self, body: bytes) -> None:
        await self._outlet.room(len(body))
        self._outlet.write(body)

    # --- the end ---

    async def _leave(self) -> None:
        """Hear nothing more, and tell the actors so: at once, then again within a deadline where they were busy."""
        if self._left:
            return
        self._left = True
        for membership in self._memberships.values():
            membership.leave()
        with trio.move_on_after(FAREWELL, shield=True):
            for tell in self._farewells():
                await self._insist(tell)

    def _farewells(self) -> list[Tell]:
        try:
            outputs = self._connection.closed(self._system.clock.now())
        except Exception as error:  # noqa: BLE001  # as above
            self._crash(error)
            return []
        return [output for output in outputs if isinstance(output, Tell)]

    async def _insist(self, tell: Tell) -> None:
        """Tell it until it is taken; only once at the server's end, as its next run knows that all are gone."""
        while True:
            outcome = await self._system.ask(tell.stream, tell.command, self._stamp(tell.command_id))
            if self._sockets.draining or not isinstance(outcome, Busy | Unavailable):
                return
            await trio.sleep(outcome.retry_after * random.random())  # noqa: S311  # spreads those who left together


def _size(frame: str | bytes, limit: int) -> int:
    """The frame's bytes; a text that is surely below the limit is not encoded for it."""
    if isinstance(frame, bytes) or len(frame) * 4 <= limit:
        return len(frame)
    return len(frame.encode())


def _log_crash(error: Exception, dialect: Dialect, handshake: Handshake) -> None:
    log.error("a connection crashed", connection=handshake.connection_id, dialect=dialect.name, exc_info=error)
