"""A topic: who listens to one stream. A record is rendered once per dialect, however many sockets hear it."""

from __future__ import annotations

from collections import deque
from itertools import islice, takewhile
from typing import Any, Final, Protocol, TypeVar

import structlog

from core.decider import AnyDecider
from core.dialect import Close, Dialect, Frame, Reach
from core.identifiers import StreamName
from core.messages import Recorded

UNKNOWN: Final = object()
"""In place of a stream's state where nobody has told it yet."""
MOST_HELD_BYTES = 16 * 2**20
"""Bytes of such records, about: their frames, which are as large as what they tell of a stream's state."""
RECORD_COST = 500
"""Bytes a record counts, beside its frames."""
MOST_HELD = 10_000
"""Records kept for a listener that has joined but does not hear yet; beyond it is closed and may resume."""
TRY_AGAIN_LATER = 4008
"""Close code of a listener that could not keep up; it may come back and resume."""

CRASHED, SORRY = 1011, "Server error"
"""Close code and reason where a record could not be shown."""

log = structlog.get_logger("callboard.audience")


class Listener(Protocol):
    """A socket's end: both are synchronous and bounded, and neither raises."""

    @property
    def connection_id(self) -> str: ...

    def write(self, body: bytes) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Membership:
    """One listener's place in one stream's audience. `version` is how far it has heard, None until it hears."""

    __slots__ = ("_topic", "dialect", "first", "left", "listener", "version")

    def __init__(self, topic: Topic, dialect: Dialect, listener: Listener, first: int) -> None:
        self._topic, self.dialect, self.listener, self.first = topic, dialect, listener, first
        self.version: int | None = None
        self.left = False

    @property
    def reached(self) -> int | None:
        """The version up to which its topic was delivered to it; None before it hears."""
        return None if self.version is None else max(self.version, self._topic.version)

    def hear(self, state: Any, version: int) -> None:
        """Show the listener every record above `version`, at which the stream's state is `state`; then go on live."""
        self._topic.admit(self, state, version)

    def leave(self) -> None:
        """Hear no more. Leaving twice is leaving once."""
        if not self.left:
            self.left = True
            self._topic.remove(self)


class Shown:
    """One record as it is shown: rendered once for each dialect. `state` is the stream's after it, once it is known.

    `held` is what it weighed when it was put by for those who join.
    """

    __slots__ = ("_rendered", "held", "record", "state")

    def __init__(self, record: Recorded) -> None:
        self.record = record
        self.state: Any = UNKNOWN
        self.held = 0
        self._rendered: dict[int, tuple[Dialect, Frame | None, Close | None]] = {}

    @property
    def weight(self) -> int:
        """Bytes it holds, about."""
        bodies = [len(frame.body) for _, frame, _ in self._rendered.values() if frame is not None]
        return RECORD_COST + sum(bodies)

    def on(self, dialect: Dialect) -> tuple[Frame | None, Close | None]:
        """The frame, and the farewell. Raises what the dialect raises."""
        rendered = self._rendered.get(id(dialect))
        if rendered is None:  # the dialect is kept with it, lest another one gets its id
            rendered = dialect, dialect.render(self.record, self.state), dialect.farewell(self.record, self.state)
            self._rendered[id(dialect)] = rendered
        return rendered[1:]


class Topic:
    """One stream's audience, and the stream's state as far as it was delivered, for rendering.

    A member joins, and later is told from which version to hear. That may be behind what was delivered since (it was
    resuming) or ahead of it (its join is durable, and not delivered yet). So what is delivered while somebody joins is
    held, once for all who do; and who is ahead waits for the deliveries to come level.
    """

    def __init__(self, stream: StreamName, decider: AnyDecider, emptied: Any) -> None:
        self.stream, self._decider, self._emptied = stream, decider, emptied
        self._state: Any = UNKNOWN
        self._version: int | None = None
        self._held: deque[Shown] = deque()
        self._released = self._holding = 0
        self._joining: dict[Membership, None] = {}
        self._ahead: dict[int, dict[Membership, Any]] = {}
        self._groups: dict[int, dict[Membership, None]] = {}

    @property
    def version(self) -> int:
        """How far it was delivered, 0 where nobody has heard yet."""
        return self._version or 0

    @property
    def state(self) -> Any:
        """The stream's state at that version, None where nobody has heard yet."""
        return None if self._state is UNKNOWN else self._state

    def __len__(self) -> int:
        grouped = (*self._ahead.values(), *self._groups.values())
        return len(self._joining) + sum(map(len, grouped))

    def join(self, dialect: Dialect, listener: Listener) -> Membership:
        membership = Membership(self, dialect, listener, self._released + len(self._held))
        self._joining[membership] = None
        return membership

    def remove(self, membership: Membership) -> None:
        self._joining.pop(membership, None)
        self._release()
        _take_out(self._groups, id(membership.dialect), membership)
        if membership.version is not None:
            _take_out(self._ahead, membership.version, membership)
        if not len(self):
            self._emptied(self)

    def admit(self, membership: Membership, state: Any, version: int) -> None:
        """Let a joining member hear everything above `version`."""
        if membership not in self._joining:
            return
        membership.version = version
        state = self._catch_up(membership, state)
        if membership.left:
            return
        del self._joining[membership]
        is_level = bool(self._held) and self._held[-1].record.version == membership.version
        self._release()
        if self._version is None and is_level:
            self._state, self._version = state, membership.version
        if membership.version == self._version:
            self._group(membership)
        else:
            self._ahead.setdefault(membership.version, {})[membership] = state

    def _catch_up(self, membership: Membership, state: Any) -> Any:
        """Show a member what was held for it; returns the stream's state behind that."""
        held = islice(self._held, membership.first - self._released, None)
        for shown in list(held):
            if membership.version is not None and shown.record.version > membership.version and not membership.left:
                if shown.state is UNKNOWN:
                    shown.state = self._decider.fold(state, (shown.record.event,))
                state, membership.version = shown.state, shown.record.version
                self._show([membership], shown)
        return state

    def deliver(self, record: Recorded) -> None:
        """Show one record of this stream to all who hear it."""
        shown = Shown(record)
        self._come_level(record.version - 1)
        if self._version is not None and record.version > self._version:
            self._state, self._version = self._decider.fold(self._state, (record.event,)), record.version
            shown.state = self._state
            for group in list(self._groups.values()):
                self._show(list(group), shown)
        if self._joining:
            self._hold(shown)
        self._come_level(record.version)

    def _come_level(self, version: int) -> None:
        """Deliveries are at `version` now: those who waited for that hear with the others from here on."""
        for membership, state in self._ahead.pop(version, {}).items():
            if self._version is None:
                self._state, self._version = state, version
            self._group(membership)

    def _group(self, membership: Membership) -> None:
        self._groups.setdefault(id(membership.dialect), {})[membership] = None

    def abandon(self, code: int = CRASHED, reason: str = SORRY) -> None:
        """The topic cannot go on: close everybody's socket and let them go."""
        for members in [self._joining, *self._ahead.values(), *self._groups.values()]:
            for membership in list(members):
                try:
                    self._dismiss(membership, code, reason)
                except Exception:  # one listener's fault must not keep the others, or the fan-out, from going on
                    log.exception("a listener could not be closed", connection_id=membership.listener.connection_id)

    def _hold(self, shown: Shown) -> None:
        """Keep it for those who join. Whoever has joined too long ago is too far behind."""
        self._held.append(shown)
        shown.held = shown.weight
        self._holding += shown.held
        while len(self._held) > MOST_HELD or (self._holding > MOST_HELD_BYTES and len(self._held) > 1):
            for membership in [*takewhile(lambda member: member.first <= self._released, self._joining)]:
                self._dismiss(membership, TRY_AGAIN_LATER, "too far behind; resume with since")

    def _release(self) -> None:
        """Let go of what nobody who joins has to see."""
        first = next((member.first for member in self._joining), self._released + len(self._held))
        while self._released < first and self._held:
            self._holding -= self._held.popleft().held
            self._released += 1

    def _dismiss(self, membership: Membership, code: int, reason: str) -> None:
        """Close the listener's socket. It leaves first: whatever came after would come behind the close, or a gap."""
        membership.leave()
        membership.listener.close(code, reason)

    def _show(self, members: list[Membership], shown: Shown) -> None:
        """Render once for members of one dialect and write it to those it is for."""
        if not members:  # the last of them left while others were shown the record
            return
        dialect, record = members[0].dialect, shown.record
        try:
            frame, farewell = shown.on(dialect)
        except Exception:  # one dialect's fault must not keep the others from hearing
            log.exception("a record could not be rendered", dialect=dialect.name, event_id=record.id)
            for member in members:
                self._dismiss(member, CRASHED, SORRY)
            return
        if frame is not None:
            self._write(members, frame, record.stamp.origin)
        if farewell is not None:
            for member in members:
                if is_for(farewell.to, record.stamp.origin, member.listener.connection_id):
                    self._dismiss(member, farewell.code, farewell.reason)

    def _write(self, members: list[Membership], frame: Frame, origin: str) -> None:
        body, everyone = frame.body, frame.to is Reach.EVERYONE
        for member in members:
            if everyone or is_for(frame.to, origin, member.listener.connection_id):
                member.listener.write(body)


Members = TypeVar("Members", bound=dict[Membership, Any])


def _take_out(groups: dict[int, Members], key: int, membership: Membership) -> None:
    group = groups.get(key)
    if group is not None:
        group.pop(membership, None)
        if not group:
            del groups[key]


def is_for(to: Reach, origin: str, connection_id: str) -> bool:
    """Whether a connection gets a frame with this reach, of a record that came by the connection `origin`."""
    match to:
        case Reach.EVERYONE:
            return True
        case Reach.ORIGIN:
            return origin == connection_id
        case Reach.OTHERS:
            return origin != connection_id
