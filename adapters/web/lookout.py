"""Looks at all open sockets now and then, and notes in the log how far each has come (core/delivery.py).

Nothing is done where frames are written. What is known comes from what is there anyway: an empty outlet has handed the
kernel all that was delivered to its topics; and a ping is put behind the frames of whoever has moved. While that ping
waits in the outlet nothing behind it has left; when it has gone, all in front of it has; when it is answered, all in
front of it was received.

What has happened since the last look is lost when the server is killed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog
import trio
from msgspec import Struct
from msgspec.structs import replace

from core.delivery import Acknowledged, Closed, Hearing, Note, NoteDelivery, Opened, Written, part_of
from core.messages import Accepted

if TYPE_CHECKING:
    from actors.system import System
    from adapters.web.socket import Socket
    from adapters.web.sockets import Sockets

LAST_NOTE = 1.0
"""Seconds in which the last note is written when the server ends."""
LOOKED_AT = 250
"""Connections looked at, and noted, in one moment, before other tasks get their turn."""
NOTES_IN_PART = 1000
"""Notes in one stream, about, before the next one is begun, with all connections there are."""
MOST_ENDED = 10_000
"""Ends that wait to be noted, while the log cannot be written. Of the oldest of more the log will not know."""
MOST_DIGITS = 18
PING = 0x89
"""The first byte of a ping that is a whole frame (RFC 6455, 5.2)."""

log = structlog.get_logger("callboard.lookout")


class Told(Struct, frozen=True, gc=False):
    """What a note says of a connection."""

    names: tuple[str, ...] = ()
    written: int = 0
    at_most: int = 0
    acknowledged: int = 0


NOTHING = Told()


class Mark(Struct, frozen=True, gc=False):
    """A place behind frames that waited. `shown`: what was delivered before it, `head`: what was durable then."""

    shown: int
    head: int


class Watched:
    """One connection, and what is known of it."""

    __slots__ = (
        "_end", "_mark", "_outlet", "_pinged", "_reached", "_settled", "_socket", "closed", "is_told", "known",
        "opened", "told", "told_end",
    )  # fmt: skip

    def __init__(self, socket: Socket, opened: Opened) -> None:
        self.opened, self._socket, self._outlet = opened, socket, socket.link.outlet
        self.known = self.told = NOTHING
        self.is_told = self.told_end = False
        self.closed: Closed | None = None
        self._pinged, self._settled = 0, False
        self._reached: dict[str, int] = {}
        self._mark: Mark | None = None
        self._end: Mark | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to be known of it."""
        return self.closed is not None and self._end is None

    @property
    def has_news(self) -> bool:
        return not self.is_told or self.told != self.known or (self.closed is not None and not self.told_end)

    def look(self, shown: int, head: int) -> None:
        """Find out how far it has come. `shown` was delivered to the audiences, `head` is durable."""
        outlet = self._outlet
        if outlet.pending:
            outlet.flush_contained()
        if self.closed is not None or self._socket.link.closing:
            self._look_at_the_end()
            return
        self._hear_pong()
        reached = self._socket.reached
        if not reached:
            return
        is_level = not outlet.pending and not self._socket.is_recalling
        if self._mark is not None and outlet.watched_waits:
            self._know(names=tuple(reached), at_most=self._mark.head)
        elif not (is_level and self._settled and reached == self._reached):  # else nothing was for it since
            self._pass_mark()
            self._move(tuple(reached), shown, head, is_level=is_level)
        self._reached, self._settled = reached, is_level

    def _move(self, names: tuple[str, ...], shown: int, head: int, *, is_level: bool) -> None:
        self._know(names=names, written=shown if is_level else self.known.written, at_most=head)
        if not self._socket.is_recalling:
            self._ping(shown)
            self._mark = None if is_level else Mark(shown, head)

    def _ping(self, shown: int) -> None:
        """Behind all that was delivered. It carries the position, and so does its answer."""
        body, outlet = shown.to_bytes(8), self._outlet
        outlet.watched, self._pinged = bytes((PING, len(body))) + body, shown
        outlet.put(outlet.watched)

    def _hear_pong(self) -> None:
        """A client may also send pongs that answer nothing, and says in them what it likes."""
        payload = self._socket.link.ponged
        position = int.from_bytes(payload) if len(payload) == 8 else 0
        if self.known.acknowledged < position <= self._pinged:
            self._know(acknowledged=position, written=max(position, self.known.written))

    def _pass_mark(self) -> None:
        if self._mark is not None:
            self._know(written=max(self._mark.shown, self.known.written))
            self._mark = None

    def _know(self, **more: Any) -> None:
        self.known = replace(self.known, **more)

    # --- its end ---

    def leave(self, now: int, shown: int, head: int) -> None:
        """It ends. What waits may still leave in front of the close frame, or be dropped."""
        reached, is_recalling = self._socket.reached, self._socket.is_recalling
        self.closed = Closed(self.opened.connection, now, self._socket.link.close_code or 1006)
        self._hear_pong()
        if not reached or reached != self._reached or not self._settled:
            self._know(names=tuple(reached) or self.known.names)
            self._end = Mark(shown if reached and not is_recalling else 0, head)
        del self._socket  # and all that hangs on it: what is left of the connection is in the outlet

    def _look_at_the_end(self) -> None:
        """What waited when it ended has left by now, or still waits, or was dropped."""
        outlet = self._outlet
        if self._end is None:
            return
        if self._mark is not None and (outlet.watched_waits or outlet.lost is outlet.watched):
            self._know(at_most=self._mark.head)
        else:
            self._pass_mark()
            self._know(at_most=self._end.head)
        if outlet.dropped:
            self._end = None
        elif not outlet.pending:
            self._know(written=max(self._end.shown, self.known.written))
            self._end = None


@asynccontextmanager
async def noting(sockets: Sockets, interval: float) -> AsyncIterator[None]:
    """Note how far the clients of these sockets have come, every `interval` seconds (0: never), and once at the end."""
    if not interval:
        yield
        return
    lookout = sockets.lookout = Lookout(sockets.system, interval)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lookout.run)
        yield
        nursery.cancel_scope.cancel()
    with trio.move_on_after(LAST_NOTE):
        await lookout.note()


class Page(Struct, frozen=True):
    """What a note says, when that was so, and of whom it says what they are known to have come to."""

    time: int
    note: Note
    of: Sequence[tuple[Watched, Told, bool]]
    """Each with whether it was closed."""


class Lookout:
    """`interval` in seconds. `run` is its task; it is told by the sockets when they open and when they end."""

    def __init__(self, system: System, interval: float) -> None:
        self._system, self._interval = system, interval
        self._open: dict[Socket, Watched] = {}
        self._ended: dict[Watched, None] = {}
        self._newest: Watched | None = None
        self._part, self._notes = 1, 0

    def opened(self, socket: Socket) -> None:
        who, now = socket.handshake, self._system.clock.now()
        number, since = int(who.connection_id.rpartition(".")[2]), who.query.get("since", "")
        version = int(since) if since.isascii() and since.isdecimal() and len(since) < MOST_DIGITS else None
        opened = Opened(number, now, who.principal, socket.dialect, dict(who.path), version)
        watched = self._open[socket] = Watched(socket, opened)
        if self._newest is None or number > self._newest.opened.connection:
            self._newest = watched

    def left(self, socket: Socket) -> None:
        watched = self._open.pop(socket, None)
        if watched is not None:
            watched.leave(self._system.clock.now(), self._system.shown, self._system.store.head)
            self._ended[watched] = None
        while len(self._ended) > MOST_ENDED:
            del self._ended[next(iter(self._ended))]

    async def run(self) -> None:
        """For ever: look, and note."""
        while True:
            await trio.sleep(self._interval)
            try:
                await self.note()
            except Exception:  # the server is there for its clients, whatever becomes of the notes
                log.exception("what clients were sent could not be noted")

    async def note(self) -> None:
        """Look at all connections once, and note what has moved. Where the log cannot be written, it is noted later."""
        if self._notes >= NOTES_IN_PART:
            self._begin_part()
        began = self._system.clock.now()
        pages = [page async for page in self._look(began)]
        for n, page in enumerate(pages, start=1):
            note = replace(page.note, more=n < len(pages))
            if not await self._wrote(note, page.time):
                return
            self._tell(page)
        self._forget()

    def _begin_part(self) -> None:
        self._part, self._notes = self._part + 1, 0
        if self._newest is not None and self._newest.closed is not None:
            self._ended[self._newest] = None  # told again: no part's highest number is below that of one before
        for watched in (*self._open.values(), *self._ended):
            watched.is_told, watched.told, watched.told_end = False, NOTHING, False

    async def _look(self, began: int) -> AsyncIterator[Page]:
        """Some at a time. What is known of those is so at one moment."""
        all_of_them = (*self._open.values(), *self._ended)
        for start in range(0, len(all_of_them), LOOKED_AT):
            some = all_of_them[start : start + LOOKED_AT]
            now, shown, head = self._system.clock.now(), self._system.shown, self._system.store.head
            for watched in some:
                watched.look(shown, head)
            if moved := [each for each in some if each.has_news]:
                yield Page(now, _note(began, moved), [(each, each.known, each.closed is not None) for each in moved])
            await trio.lowlevel.checkpoint()

    async def _wrote(self, note: Note, time: int) -> bool:
        stream, stamp = part_of(self._system.boot, self._part), self._system.stamp(principal="system")
        outcome = await self._system.ask(stream, NoteDelivery(note), replace(stamp, time=time))
        if not isinstance(outcome, Accepted):
            log.warning("what clients were sent cannot be noted now", reason=str(outcome))
            return False
        self._notes += 1
        return True

    def _tell(self, page: Page) -> None:
        for watched, known, has_ended in page.of:
            watched.is_told, watched.told, watched.told_end = True, known, has_ended

    def _forget(self) -> None:
        """Those that are over, when all that is known of them is in the log."""
        for watched in tuple(self._ended):
            if watched.is_over and not watched.has_news:
                del self._ended[watched]


def _note(began: int, moved: Sequence[Watched]) -> Note:
    """What is to be said of them, the same of many at once."""
    return Note(
        began,
        opened=tuple(each.opened for each in moved if not each.is_told),
        hearing=tuple(Hearing(key[0], of) for key, of in _grouped(moved, "names")),
        written=tuple(Written(key[0], key[1], of) for key, of in _grouped(moved, "written", "at_most")),
        acknowledged=tuple(Acknowledged(key[0], of) for key, of in _grouped(moved, "acknowledged")),
        closed=tuple(each.closed for each in moved if each.closed is not None and not each.told_end),
    )


def _grouped(moved: Sequence[Watched], *names: str) -> Iterator[tuple[tuple[Any, ...], tuple[int, ...]]]:
    """Numbers of connections by these values of theirs, of those for which they are not what was told last."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for each in moved:
        key = tuple(getattr(each.known, name) for name in names)
        if key != tuple(getattr(each.told, name) for name in names):
            groups.setdefault(key, []).append(each.opened.connection)
    yield from ((key, tuple(of)) for key, of in groups.items())
