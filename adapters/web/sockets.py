"""The door for WebSockets: who comes in, and all that are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import structlog
import trio
from quart import abort, websocket

from actors.system import System
from adapters.server.guard import LINK
from adapters.server.link import CRASHED, Link
from adapters.server.messages import text_frame
from adapters.server.statistics import Tally
from adapters.web.auth import BEARER, Door, OpenDoor, Role, TurnedAway, Visitor
from adapters.web.limits import Principals
from adapters.web.logged_socket import LoggedSocket
from adapters.web.lookout import Lookout
from adapters.web.origins import may_come_from
from adapters.web.resume import Recollection
from adapters.web.settings import WebSettings
from adapters.web.socket import SORRY, Socket, log_crash
from core.decider import AnyDecider
from core.dialect import Dialect, Handshake
from core.identifiers import Category
from core.ports import BlobStore

REFUSED, RESTARTING, TOO_MANY, EXPIRED = 1008, 1012, 1013, 4401
COME_BACK, FULL = "the server restarts; come back", "too many connections; come back later"

OPEN_DOOR = OpenDoor()

log = structlog.get_logger("callboard.socket")


class Sockets:
    """All open sockets of one app."""

    def __init__(
        self,
        system: System,
        deciders: Mapping[Category, AnyDecider],
        settings: WebSettings,
        door: Door | None = None,
        blobs: BlobStore | None = None,
    ) -> None:
        self.system, self.deciders, self.settings = system, deciders, settings
        self.blobs = Nowhere() if blobs is None else blobs
        self.principals = Principals(settings.principal_rate)
        self.recollection = Recollection(system.store, deciders)
        self.tally = Tally()
        self.lookout: Lookout | None = None
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

    async def talk(
        self, dialect: Dialect, path: Mapping[str, str], *, is_open: bool = False, roles: frozenset[str] = frozenset()
    ) -> None:
        """Accept the WebSocket of the current request and give it to a socket of its own. Returns at once.

        Where it `is_open` nobody is asked for a token. Who has none of the `roles` is turned away, if there are any.
        """
        headers, link = websocket.headers, websocket.scope["state"][LINK]
        trusted = self.settings.trust_host
        if not may_come_from(headers.get("Origin"), headers.get("Host"), self._origins, trust_host=trusted):
            log.warning("a socket was turned away", dialect=dialect.name, reason="its origin", origin=headers["Origin"])
            abort(403)
        query, offered = websocket.args.to_dict(), websocket.requested_subprotocols
        link.expect()
        await websocket.accept(subprotocol=BEARER if BEARER in offered else None)
        try:
            door = OPEN_DOOR if is_open else self._door
            visitor = door.admit(dict(headers), query, offered, self.system.clock.now())
        except TurnedAway as refusal:
            self.tally.turned_away[refusal.reason] += 1
            log.warning("a socket was turned away", dialect=dialect.name, reason=refusal.reason)
            turn_away(link, REFUSED, refusal.reason)
            return
        if roles and not roles & visitor.roles:
            log.warning("a socket was turned away", dialect=dialect.name, reason="its roles")
            turn_away(link, REFUSED, f"This needs the role {' or '.join(role for role in Role if role in roles)}")
        else:
            self._begin(link, dialect, visitor, dict(path), query)

    def _begin(
        self, link: Link, dialect: Dialect, visitor: Visitor, path: dict[str, str], query: dict[str, str]
    ) -> None:
        most, system = self.settings.max_connections, self.system
        if self.draining:
            turn_away(link, RESTARTING, COME_BACK)
        elif most and len(self._open) >= most:
            log.warning("a socket was turned away", dialect=dialect.name, reason=FULL)
            turn_away(link, TOO_MANY, FULL)
        else:
            id, epoch = system.new_connection_id(), system.store.epoch
            roles = frozenset(role.value for role in visitor.roles)
            handshake = Handshake(id, path, query, visitor.principal, epoch, system.identifiers.new(), roles)
            try:
                kind = LoggedSocket if self.settings.log_messages else Socket
                socket = kind(self, dialect, dialect.connect(handshake), handshake, link)
            except Exception as error:  # noqa: BLE001  # a dialect's fault must reach neither other clients nor the server
                log_crash(error, dialect, handshake)
                turn_away(link, CRASHED, SORRY)
                return
            if visitor.expires_at is not None:
                left = (visitor.expires_at - system.clock.now()) / 1e6
                link.end_at(trio.current_time() + left, EXPIRED, "the token has expired; come back with a new one")
            link.silence_limit = self.settings.silence_limits.get(dialect.name, link.silence_limit)
            self._open.add(socket)
            self.tally.open[dialect.name] += 1
            if self.lookout is not None:
                self.lookout.opened(socket)
            socket.open()

    def sessions(self, dialect: str) -> Mapping[str, int]:
        """How many open sockets of a dialect each `session_id` of their paths has, of those that have any."""
        ids = [socket.path.get("session_id") for socket in self._open if socket.dialect == dialect]
        return Counter(id for id in ids if id is not None)

    def forget(self, socket: Socket, dialect: Dialect) -> None:
        self._open.discard(socket)
        if self.lookout is not None:
            self.lookout.left(socket)
        self.tally.open[dialect.name] -= 1

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


class Nowhere:
    """Where bytes go in an app that keeps none."""

    async def put(self, content: bytes) -> str:  # noqa: ARG002  # the port's signature
        raise OSError("this server keeps no bytes")

    async def get(self, digest: str) -> bytes | None:  # noqa: ARG002  # as above
        return None


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
