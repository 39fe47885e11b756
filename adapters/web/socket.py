"""The one WebSocket shell: does for every dialect what its connection says, and nothing of its own.

All of it is plain synchronous calls: the connection's outputs are done in their order, and what the audience says goes
through the same link. Only a resume reads the log, in a task; while it does, later outputs wait in line.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import assert_never

import structlog
import trio
from quart import abort, websocket

from actors.system import System
from actors.topic import Membership
from adapters.server.guard import LINK
from adapters.server.link import CRASHED, Link, text_frame
from adapters.web.auth import ANYBODY, BEARER, Door, OpenDoor, TurnedAway, Visitor
from adapters.web.limits import Bucket, Principals
from adapters.web.origins import may_come_from
from adapters.web.resume import Recollection
from adapters.web.settings import WebSettings
from core.decider import AnyDecider
from core.dialect import Close, Connection, Dialect, Handshake, Hear, Listen, Output, Recall, Tell, Write
from core.identifiers import Category, StreamName
from core.messages import Busy, Outcome, Stamp, Unavailable
from core.ports import StoreUnavailable

REFUSED, RESTARTING, NO_HISTORY, TOO_MUCH, EXPIRED = 1008, 1012, 1013, 4008, 4401
SORRY, COME_BACK, FULL = "internal error", "the server restarts; come back", "too many connections; come back later"
FAREWELL = 5.0
"""Seconds in which what a connection has to say at its end is told again, when an actor is busy."""
FRAME_COST = 256
"""Bytes a waiting frame counts at least: what it is kept in."""

log = structlog.get_logger("callboard.socket")


class Sockets:
    """All open sockets of one app."""

    def __init__(
        self, system: System, deciders: Mapping[Category, AnyDecider], settings: WebSettings, door: Door | None = None
    ) -> None:
        self.system, self.deciders, self.settings = system, deciders, settings
        self.principals = Principals(settings.principal_rate)
        self.recollection = Recollection(system.store, deciders)
        self._door = door or OpenDoor()
        self._origins = frozenset(settings.cors_origins)
        self._open: set[Socket] = set()
        self._draining = trio.Event()
        self._body, self._frame = b"", b""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def draining(self) -> bool:
        return self._draining.is_set()

    async def drained(self) -> None:
        """Wait until the server begins to end."""
        await self._draining.wait()

    async def talk(self, dialect: Dialect, path: Mapping[str, str]) -> None:
        """Accept the WebSocket of the current request and give it to a socket of its own. Returns at once."""
        headers, link = websocket.headers, websocket.scope["state"][LINK]
        trusted = self.settings.trust_host
        if not may_come_from(headers.get("Origin"), headers.get("Host"), self._origins, trust_host=trusted):
            abort(403)
        query, offered = websocket.args.to_dict(), websocket.requested_subprotocols
        link.expect()
        await websocket.accept(subprotocol=BEARER if BEARER in offered else None)
        try:
            visitor = self._door.admit(dict(headers), query, offered, self.system.clock.now())
        except TurnedAway as refusal:
            turn_away(link, REFUSED, refusal.reason)
        else:
            self._begin(link, dialect, visitor, dict(path), query)

    def _begin(
        self, link: Link, dialect: Dialect, visitor: Visitor, path: dict[str, str], query: dict[str, str]
    ) -> None:
        most, system = self.settings.max_connections, self.system
        if self.draining:
            turn_away(link, RESTARTING, COME_BACK)
        elif most and len(self._open) >= most:
            turn_away(link, NO_HISTORY, FULL)
        else:
            id, epoch = system.new_connection_id(), system.store.epoch
            handshake = Handshake(id, path, query, visitor.principal, epoch)
            try:
                socket = Socket(self, dialect, dialect.connect(handshake), handshake, link)
            except Exception as error:  # noqa: BLE001  # a dialect's fault must reach neither other clients nor the server
                _log_crash(error, dialect, handshake)
                turn_away(link, CRASHED, SORRY)
                return
            if visitor.expires_at is not None:
                left = (visitor.expires_at - system.clock.now()) / 1e6
                link.end_at(trio.current_time() + left, EXPIRED, "the token has expired; come back with a new one")
            self._open.add(socket)
            socket.open()

    def forget(self, socket: Socket) -> None:
        self._open.discard(socket)

    def framed(self, body: bytes) -> bytes:
        """The body as a frame; an audience hands the same body to many sockets, and it is framed for the first."""
        if body is not self._body:
            self._body, self._frame = body, text_frame(body)
        return self._frame

    async def drain(self, *, batch: int = 100, pause: float = 0.01) -> None:
        """Tell all clients that the server restarts, some at a time, so that they do not come back all at once."""
        self._draining.set()
        for start, socket in enumerate(tuple(self._open), start=1):
            socket.close(RESTARTING, COME_BACK)
            if start % batch == 0:
                await trio.sleep(pause)


class Nobody:
    """Who talks over a link that is closed at once."""

    def received(self, message: str | bytes) -> None:
        """Nobody hears it."""

    def left(self) -> None:
        """Nobody was there."""


def turn_away(link: Link, code: int, reason: str) -> None:
    """Close an accepted WebSocket: a client sees the code of a close, but not that of a refused handshake."""
    link.begin(Nobody())
    link.close(code, reason)


class Socket:
    """One client: a dialect's connection and its link. It is the link's talker, and the audience's listener."""

    __slots__ = (
        "_bucket", "_connection", "_dialect", "_handshake", "_left", "_link", "_memberships", "_outputs",
        "_recall_scope", "_recalling", "_sockets", "_system", "_waiting", "_working", "connection_id",
    )  # fmt: skip

    def __init__(
        self, sockets: Sockets, dialect: Dialect, connection: Connection, handshake: Handshake, link: Link
    ) -> None:
        self.connection_id = handshake.connection_id
        self._sockets, self._system, self._link = sockets, sockets.system, link
        self._dialect, self._connection, self._handshake = dialect, connection, handshake
        self._bucket = Bucket(sockets.settings.rate, trio.current_time())
        self._memberships: dict[StreamName, Membership] = {}
        self._outputs: deque[Output] = deque()
        self._working = self._recalling = self._left = False
        self._recall_scope: trio.CancelScope | None = None
        self._waiting = 0

    # --- the audience's listener ---

    def write(self, body: bytes) -> None:
        self._link.write(self._sockets.framed(body))

    def close(self, code: int, reason: str) -> None:
        self._link.close(code, reason)

    # --- the link's talker ---

    def open(self) -> None:
        self._link.begin(self)
        self._take(self._connection.opened)

    def received(self, message: str | bytes) -> None:
        if self._recalling and self._is_too_much(len(message)):
            self._link.close(TOO_MUCH, "too much at once; resume with since")
        elif wait := self._throttled():
            self._take(partial(self._connection.throttled, wait))
        else:
            self._take(partial(self._connection.received, message))

    def left(self) -> None:
        """Hear nothing more, and tell the actors so."""
        self._left = True
        self._sockets.forget(self)
        for membership in self._memberships.values():
            membership.leave()
        if self._recall_scope is not None:
            self._recall_scope.cancel()
        for output in self._connection.closed(self._system.clock.now()):
            if isinstance(output, Tell):
                self._part(output, trio.current_time() + FAREWELL)

    def _throttled(self) -> float:
        """Seconds until this client may send again; 0 when it may now."""
        now = trio.current_time()
        wait = self._bucket.take(now)
        principal = self._handshake.principal
        if wait or principal == ANYBODY.principal:
            return wait
        return self._sockets.principals.take(principal, now)

    def _is_too_much(self, size: int) -> bool:
        """Count a frame that has to wait for a resume. All that wait may be as large as one may be."""
        self._waiting += size + FRAME_COST
        return self._waiting > self._sockets.settings.max_frame_bytes + FRAME_COST

    def _part(self, tell: Tell, until: float) -> None:
        """Tell an actor that this client is gone, again where it was busy; not at our end, as our next run knows."""

        def settled(outcome: Outcome) -> None:
            soon = trio.current_time() < until and not self._sockets.draining
            if soon and isinstance(outcome, Busy | Unavailable):
                self._link.start_soon(partial(again, outcome.retry_after))

        async def again(retry_after: float) -> None:
            await trio.sleep(retry_after * random.random())  # noqa: S311  # spreads those who left together
            self._part(tell, until)

        self._system.post(tell.stream, tell.command, self._stamp(tell.command_id), settled)

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

    def _crash(self, error: Exception) -> None:
        _log_crash(error, self._dialect, self._handshake)
        self._outputs.clear()
        self._link.close(CRASHED, SORRY)

    def _work(self) -> None:
        if self._working:
            return
        self._working = True
        try:
            while self._outputs and not self._recalling and not self._link.closing:
                self._do(self._outputs.popleft())
        finally:
            self._working = False

    def _do(self, output: Output) -> None:
        match output:
            case Write(body):
                self._link.say(body)
            case Listen(stream):
                self._listen(stream)
            case Tell(stream, command, command_id):
                self._system.post(stream, command, self._stamp(command_id), partial(self._settled, output))
            case Hear(stream, state, version):
                self._memberships[stream].hear(state, version)
            case Recall():
                self._recalling = True
                self._link.start_soon(partial(self._recall, output))
            case Close(code, reason):
                self._link.close(code, reason)
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
        with trio.CancelScope() as self._recall_scope:
            try:
                await self._retell(recall)
            except StoreUnavailable:
                self._link.close(NO_HISTORY, "the log cannot be read now; resume with since")
            except Exception as error:  # noqa: BLE001  # as above
                self._crash(error)
            self._recalling, self._waiting = False, 0
            self._take(lambda _: ())

    async def _retell(self, recall: Recall) -> None:
        await self._sockets.recollection.retell(
            recall, self._dialect,
            connection_id=self.connection_id, begin=partial(self._recalled, recall), show=self._show,
        )  # fmt: skip

    def _recalled(self, recall: Recall, state: object) -> None:
        for output in self._connection.recalled(recall.stream, state, recall.since, self._system.clock.now()):
            self._do(output)

    async def _show(self, frames: bytes) -> bool:
        is_open = await self._link.outlet.room(len(frames))
        self._link.write(frames)
        return is_open


def _log_crash(error: Exception, dialect: Dialect, handshake: Handshake) -> None:
    log.error("a connection crashed", connection=handshake.connection_id, dialect=dialect.name, exc_info=error)
