"""The one WebSocket shell: does for every dialect what its connection says, and nothing of its own.

All of it is plain synchronous calls: the connection's outputs are done in their order, and what the audience says goes
through the same link. Only a resume reads the log, in a task; while it does, later outputs wait in line.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, assert_never

import structlog
import trio

from actors.topic import Membership
from actors.wide import WideMembership
from adapters.server.link import CRASHED, Link
from adapters.web.auth import ANYBODY
from adapters.web.limits import Bucket
from adapters.web.resume import replay_wide
from core.dialect import Close, Connection, Dialect, Handshake, Hear, Listen, Output, Recall, Tell, Tune, Untune, Write
from core.identifiers import StreamName
from core.messages import Busy, Outcome, Stamp, Unavailable, recorded_at
from core.ports import BlobTooLarge, StoreUnavailable

if TYPE_CHECKING:
    from adapters.web.sockets import Sockets

NO_HISTORY, TOO_MUCH = 1013, 4008
SORRY = "Server error"  # the words of contracts/retell.md
FAREWELL = 5.0
"""Seconds in which what a connection has to say at its end is told again, when an actor is busy."""
FRAME_COST = 256
"""Bytes a waiting frame counts at least: what it is kept in."""

log = structlog.get_logger("callboard.socket")


class Socket:
    """One client: a dialect's connection and its link. It is the link's talker, and the audience's listener."""

    __slots__ = (
        "_bucket", "_connection", "_dialect", "_left", "_memberships", "_outputs", "_recall_scope", "_sockets",
        "_system", "_tunings", "_waiting", "_working", "connection_id", "handshake", "is_recalling", "link",
    )  # fmt: skip

    def __init__(
        self, sockets: Sockets, dialect: Dialect, connection: Connection, handshake: Handshake, link: Link
    ) -> None:
        self.connection_id = handshake.connection_id
        self._sockets, self._system, self.link = sockets, sockets.system, link
        self._dialect, self._connection, self.handshake = dialect, connection, handshake
        self._bucket = Bucket(sockets.settings.rate, trio.current_time())
        self._memberships: dict[StreamName, Membership] = {}
        self._tunings: dict[str, WideMembership] = {}
        self._outputs: deque[Output | partial[None]] = deque()
        self._working = self.is_recalling = self._left = False
        self._recall_scope: trio.CancelScope | None = None
        self._waiting = 0

    @property
    def dialect(self) -> str:
        return self._dialect.name

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters of the path it came by."""
        return self.handshake.path

    @property
    def reached(self) -> dict[str, int]:
        """How far what it hears was delivered to it: streams in versions, wide topics, with a # in front, in positions
        of the log. What it does not hear yet is not in it."""
        wide, memberships = self._system.audiences.wide, self._memberships.items()
        streams = {str(name): to for name, member in memberships if (to := member.reached) is not None}
        return streams | {f"#{name}": wide.reached(name) for name, one in self._tunings.items() if one.held is None}

    # --- the audience's listener ---

    def write(self, body: bytes) -> None:
        self.link.write(self._sockets.framed(body))

    def close(self, code: int, reason: str) -> None:
        self.link.close(code, reason)

    # --- the link's talker ---

    def open(self) -> None:
        self.link.begin(self)
        self._take(self._connection.opened)

    def received(self, message: str | bytes) -> None:
        if self.is_recalling and self._is_too_much(len(message)):
            self.link.close(TOO_MUCH, "too much at once; resume with since")
        elif wait := self._throttled():
            self._sockets.tally.throttled += 1
            self._take(partial(self._connection.throttled, wait))
        else:
            self._take(partial(self._connection.received, message))

    def left(self) -> None:
        """Hear nothing more, and tell the actors so."""
        self._left = True
        self._note_end()
        self._sockets.forget(self, self._dialect)
        for membership in self._memberships.values():
            membership.leave()
        for tuning in self._tunings.values():
            tuning.leave()
        if self._recall_scope is not None:
            self._recall_scope.cancel()
        for output in self._connection.closed(self._system.clock.now()):
            if isinstance(output, Tell):
                self._part(output, trio.current_time() + FAREWELL)

    def _note_end(self) -> None:
        code, who = self.link.close_code or 1006, self.handshake
        log.info(
            "a socket ended",
            connection=who.connection_id,
            dialect=self._dialect.name,
            principal=who.principal,
            code=code,
        )

    def _throttled(self) -> float:
        """Seconds until this client may send again; 0 when it may now."""
        now = trio.current_time()
        wait = self._bucket.take(now)
        principal = self.handshake.principal
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
                self.link.start_soon(partial(again, outcome.retry_after))

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
        log_crash(error, self._dialect, self.handshake)
        self._outputs.clear()
        self.link.close(CRASHED, SORRY)

    def _work(self) -> None:
        if self._working:
            return
        self._working = True
        try:
            while self._outputs and not self.is_recalling and not self.link.closing:
                self._do(self._outputs.popleft())
        finally:
            self._working = False

    def _do(self, output: Output | partial[None]) -> None:
        match output:
            case Write(body):
                self.link.say(body)
            case Listen(stream):
                self._listen(stream)
            case Tell(blob=None):
                self._post(output)
            case Tell():
                self.link.gate = gate = trio.Event()
                self._wait_for(partial(self._keep, output, gate))
            case Hear(stream, state, version):
                self._memberships[stream].hear(state, version)
            case Recall():
                self._wait_for(partial(self._retell, output))
            case Tune(topic, after):
                self._tune(topic, after)
            case Untune(topic):
                self._untune(topic)
            case partial():
                output()
            case Close(code, reason):
                self.link.close(code, reason)
            case _:
                assert_never(output)

    def _post(self, tell: Tell) -> None:
        self._system.post(tell.stream, tell.command, self._stamp(tell.command_id), partial(self._settled, tell))

    async def _keep(self, tell: Tell, gate: trio.Event) -> None:
        """The bytes first: nothing may name what is not there. Nor is more read, or all of it would wait in memory."""
        try:
            await self._sockets.blobs.put(tell.blob or b"")
        except (OSError, BlobTooLarge) as fault:
            log.warning("bytes could not be kept", connection=self.connection_id, reason=str(fault))
            self._settled(tell, Unavailable(f"the bytes cannot be kept: {fault}"))
        else:
            self._post(tell)
        finally:
            gate.set()
            self.link.gate = None

    def _listen(self, stream: StreamName) -> None:
        if stream in self._memberships:
            self._memberships.pop(stream).leave()
        self._memberships[stream] = self._system.audiences.join(stream, self._dialect, self)

    def _tune(self, topic: str, after: int | None) -> None:
        """From `after` on, or from what is shown at this moment: what comes meanwhile is held."""
        self._untune(topic)
        tuning = self._tunings[topic] = self._system.audiences.wide.tune(topic, self._dialect, self)
        until = self._system.shown
        since = until if after is None else min(after, until)
        said = self._connection.tuned(topic, since, self._system.clock.now())
        self._outputs.extendleft((partial(self._begin, tuning, since, until), *reversed(said)))  # before all in line

    def _begin(self, tuning: WideMembership, since: int, until: int) -> None:
        if tuning.left:  # by what was said when it was told where it begins
            return
        if since < until:
            self._wait_for(partial(self._replay, tuning, since, until))
        else:
            tuning.begin()

    def _untune(self, topic: str) -> None:
        if topic in self._tunings:
            self._tunings.pop(topic).leave()

    def _stamp(self, command_id: str | None) -> Stamp:
        principal, origin = self.handshake.principal, self.connection_id
        return self._system.stamp(command_id=command_id, principal=principal, origin=origin)

    def _settled(self, tell: Tell, outcome: Outcome) -> None:
        self._take(lambda now: self._connection.settled(tell, outcome, recorded_at(outcome) or now))

    # --- resume ---

    def _wait_for(self, work: Callable[[], Awaitable[None]]) -> None:
        """What the log has to say comes first: later outputs wait."""
        self.is_recalling = True
        self.link.start_soon(partial(self._recall, work))

    async def _recall(self, work: Callable[[], Awaitable[None]]) -> None:
        """Show what came before, as it was shown then, no faster than the client reads."""
        with trio.CancelScope() as self._recall_scope:
            try:
                await work()
            except StoreUnavailable:
                self.link.close(NO_HISTORY, "the log cannot be read now; resume with since")
            except Exception as error:  # noqa: BLE001  # as above
                self._crash(error)
            self.is_recalling, self._waiting = False, 0
            self._take(lambda _: ())

    async def _retell(self, recall: Recall) -> None:
        await self._sockets.recollection.retell(
            recall, self._dialect,
            connection_id=self.connection_id, begin=partial(self._recalled, recall), show=self._show,
        )  # fmt: skip

    async def _replay(self, tuning: WideMembership, since: int, until: int) -> None:
        log, me = self._system.store, self.connection_id
        await replay_wide(log, self._dialect, tuning.topic, since, until, connection_id=me, show=self._show)
        tuning.begin()

    def _recalled(self, recall: Recall, state: object, version: int) -> None:
        for output in self._connection.recalled(recall.stream, state, version, self._system.clock.now()):
            self._do(output)

    async def _show(self, frames: bytes) -> bool:
        is_open = await self.link.outlet.room(len(frames))
        self.link.write(frames)
        return is_open and not self.link.closing


def log_crash(error: Exception, dialect: Dialect, handshake: Handshake) -> None:
    log.error("a connection crashed", connection=handshake.connection_id, dialect=dialect.name, exc_info=error)
