"""Wide topics: what is heard across streams, such as a channel, or the chat of all sessions.

Which records belong to one, the dialect says. There is no state to render by, so whoever comes late needs none: what
came before is read from the log, while what comes meanwhile is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import structlog

from actors.topic import CRASHED, MOST_HELD, SORRY, TRY_AGAIN_LATER, Listener, is_for
from core.delivery import Noted
from core.dialect import Dialect, Frame
from core.messages import Recorded

log = structlog.get_logger("callboard.audience")


class WideMembership:
    """One listener's place in one wide topic. Nothing is shown before `begin`; what comes till then is held."""

    __slots__ = ("_leave", "dialect", "held", "left", "listener", "topic")

    def __init__(
        self, topic: str, dialect: Dialect, listener: Listener, leave: Callable[[WideMembership], None]
    ) -> None:
        self.topic, self.dialect, self.listener = topic, dialect, listener
        self._leave, self.left = leave, False
        self.held: list[Recorded] | None = []

    def begin(self) -> None:
        """Show what was held, then go on live."""
        held, self.held = self.held or [], None
        for record in held:
            if not self.left:
                show([self], record)

    def hold(self, record: Recorded) -> None:
        if self.held is not None:
            self.held.append(record)
            if len(self.held) > MOST_HELD:
                self.leave()
                self.listener.close(TRY_AGAIN_LATER, "too far behind; come back with since")

    def leave(self) -> None:
        """Hear no more. Leaving twice is leaving once."""
        if not self.left:
            self.left = True
            self._leave(self)


class WideTopics:
    """All wide topics, fed in commit order."""

    def __init__(self) -> None:
        self._members: dict[int, dict[str, dict[WideMembership, None]]] = {}
        self._dialects: dict[int, Dialect] = {}
        self._reached: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(len(members) for topics in self._members.values() for members in topics.values())

    def heard(self) -> Iterator[tuple[str, int]]:
        """The topics somebody is tuned to, and how many are by one dialect."""
        for topics in self._members.values():
            yield from ((topic, len(members)) for topic, members in topics.items())

    def tune(self, topic: str, dialect: Dialect, listener: Listener) -> WideMembership:
        """Keep the topic's records from now on for this listener; they are shown from `WideMembership.begin` on."""
        membership = WideMembership(topic, dialect, listener, self._remove)
        self._dialects[id(dialect)] = dialect
        self._members.setdefault(id(dialect), {}).setdefault(topic, {})[membership] = None
        return membership

    def reached(self, topic: str) -> int:
        """The position of the last record that was delivered to those who are tuned to the topic, 0 for none; notes of
        just that (core/delivery.py) not counted."""
        return self._reached.get(topic, 0)

    def send_away(self, topic: str, code: int, reason: str) -> None:
        """Close the sockets of all who are tuned to the topic, by whatever dialect."""
        for topics in list(self._members.values()):
            for member in list(topics.get(topic, ())):
                member.leave()
                member.listener.close(code, reason)

    def _remove(self, membership: WideMembership) -> None:
        key = id(membership.dialect)
        topics = self._members.get(key, {})
        members = topics.get(membership.topic, {})
        members.pop(membership, None)
        if not members:
            topics.pop(membership.topic, None)
            self._reached.pop(membership.topic, None)
        if not topics:
            self._members.pop(key, None)
            self._dialects.pop(key, None)

    def deliver(self, record: Recorded) -> None:
        """Show one record to all who are tuned to a topic it belongs to."""
        if not self._dialects:  # nearly always
            return
        for key, dialect in list(self._dialects.items()):
            for topic in _topics(dialect, record):
                members = list(self._members.get(key, {}).get(topic, ()))
                if members and type(record.event) is not Noted:  # or each note would be what the next one is about
                    self._reached[topic] = record.position
                for member in members:
                    member.hold(record)
                show([member for member in members if member.held is None and not member.left], record)


def _topics(dialect: Dialect, record: Recorded) -> tuple[str, ...]:
    try:
        return tuple(dialect.topics(record))
    except Exception:  # one dialect's fault must not keep the others from hearing
        log.exception("a record could not be placed", dialect=dialect.name, event_id=record.id)
        return ()


def show(members: list[WideMembership], record: Recorded) -> None:
    """Render once for members of one topic and dialect, and write it to those it is for."""
    if not members:
        return
    dialect, topic = members[0].dialect, members[0].topic
    try:
        frame = dialect.render_wide(record, topic)
    except Exception:  # as above
        log.exception("a record could not be rendered", dialect=dialect.name, event_id=record.id)
        for member in members:
            member.leave()
            member.listener.close(CRASHED, SORRY)
        return
    if frame is not None:
        _write(members, frame, record.stamp.origin)


def _write(members: list[WideMembership], frame: Frame, origin: str) -> None:
    for member in members:
        if is_for(frame.to, origin, member.listener.connection_id):
            member.listener.write(frame.body)
