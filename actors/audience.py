"""Audiences: who listens to which stream. A record is rendered once per dialect, however many sockets hear it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import structlog
import trio

from core.decider import AnyDecider
from core.dialect import Dialect, Frame, Reach
from core.identifiers import Category, StreamName
from core.messages import Recorded

MOST_HELD = 10_000
"""Records kept for a listener that has joined but does not hear yet; beyond it is closed and may resume."""
WATCHED = 1000
"""Records a watcher may be behind before its channel is closed."""

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
    """One listener's place in one stream's audience."""

    def __init__(self, topic: Topic, dialect: Dialect, listener: Listener) -> None:
        self._topic, self.dialect, self.listener = topic, dialect, listener
        self.held: list[Recorded] = []
        self.state: Any = None
        self.version: int | None = None

    def hear(self, state: Any, version: int) -> None:
        """Show the listener every record above `version`, at which the stream's state is `state`; then go on live."""
        self._topic.admit(self, state, version)

    def leave(self) -> None:
        """Hear no more. Leaving twice is leaving once."""
        self._topic.remove(self)


class Topic:
    """One stream's audience, and the stream's state as far as it was delivered, for rendering."""

    def __init__(self, stream: StreamName, decider: AnyDecider, emptied: Any) -> None:
        self.stream, self._decider, self._emptied = stream, decider, emptied
        self._state: Any = None
        self._version: int | None = None
        self._joining: dict[Membership, None] = {}
        self._groups: dict[int, dict[Membership, None]] = {}

    def __len__(self) -> int:
        return len(self._joining) + sum(map(len, self._groups.values()))

    def join(self, dialect: Dialect, listener: Listener) -> Membership:
        membership = Membership(self, dialect, listener)
        self._joining[membership] = None
        return membership

    def remove(self, membership: Membership) -> None:
        self._joining.pop(membership, None)
        group = self._groups.get(id(membership.dialect), {})
        group.pop(membership, None)
        if not group:
            self._groups.pop(id(membership.dialect), None)
        if not len(self):
            self._emptied(self)

    def admit(self, membership: Membership, state: Any, version: int) -> None:
        """Let a joining member hear everything above `version`.

        Deliveries may be ahead of it (it was resuming: what came was held) or behind it (its join is durable, but not
        yet delivered); either way it meets the topic at some version, and shares the renderings from there on.
        """
        membership.state, membership.version = state, version
        held, membership.held = membership.held, []
        for record in held:
            self._advance(membership, record)
        if self._version is None:
            self._state, self._version = membership.state, membership.version
        self._promote_level()

    def _advance(self, membership: Membership, record: Recorded) -> None:
        """A joining member goes its own way, with its own state, until it is level with the topic."""
        if membership not in self._joining:  # a listener's write or close may have made it leave just now
            return
        if membership.version is None:
            self._hold(membership, record)
        elif record.version > membership.version:
            membership.state = self._decider.fold(membership.state, (record.event,))
            membership.version = record.version
            self._show([membership], record, membership.state)

    def _promote_level(self) -> None:
        for membership in [member for member in self._joining if member.version == self._version]:
            del self._joining[membership]
            membership.state = None
            self._groups.setdefault(id(membership.dialect), {})[membership] = None

    def deliver(self, record: Recorded) -> None:
        """Show one record of this stream to all who hear it."""
        for membership in list(self._joining):
            self._advance(membership, record)
        if self._version is None:
            return
        if record.version > self._version:
            self._state, self._version = self._decider.fold(self._state, (record.event,)), record.version
            for group in list(self._groups.values()):
                self._show(list(group), record, self._state)
        self._promote_level()

    def abandon(self) -> None:
        """The topic cannot go on: close everybody's socket and let them go."""
        for membership in [*self._joining, *(member for group in self._groups.values() for member in group)]:
            try:
                self._dismiss(membership, CRASHED, SORRY)
            except Exception:  # one listener's fault must not keep the others, or the fan-out, from going on
                log.exception("a listener could not be closed", connection_id=membership.listener.connection_id)

    def _hold(self, membership: Membership, record: Recorded) -> None:
        membership.held.append(record)
        if len(membership.held) > MOST_HELD:
            membership.held.clear()
            self._dismiss(membership, TRY_AGAIN_LATER, "too far behind; resume with since")

    def _dismiss(self, membership: Membership, code: int, reason: str) -> None:
        """Close the listener's socket. It leaves first: whatever came after would come behind the close, or a gap."""
        membership.leave()
        membership.listener.close(code, reason)

    def _show(self, members: list[Membership], record: Recorded, state: Any) -> None:
        """Render once for members of one dialect and write it to those it is for."""
        if not members:  # the last of them left while others were shown the record
            return
        dialect = members[0].dialect
        try:
            frame, farewell = dialect.render(record, state), dialect.farewell(record, state)
        except Exception:  # one dialect's fault must not keep the others from hearing
            log.exception("a record could not be rendered", dialect=dialect.name, event_id=record.id)
            for member in members:
                self._dismiss(member, CRASHED, SORRY)
            return
        for member in members:
            if frame is not None and is_for(frame, record, member.listener.connection_id):
                member.listener.write(frame.body)
            if farewell is not None:
                self._dismiss(member, farewell.code, farewell.reason)


def is_for(frame: Frame, record: Recorded, connection_id: str) -> bool:
    """Whether this connection gets the frame of this record."""
    match frame.to:
        case Reach.EVERYONE:
            return True
        case Reach.ORIGIN:
            return record.stamp.origin == connection_id
        case Reach.OTHERS:
            return record.stamp.origin != connection_id


class Audiences:
    """The audiences of all streams, fed by the fan-out in commit order."""

    def __init__(self, deciders: Mapping[Category, AnyDecider]) -> None:
        self._deciders = deciders
        self._topics: dict[StreamName, Topic] = {}
        self._watchers: dict[StreamName, dict[trio.MemorySendChannel[Recorded], None]] = {}

    def join(self, stream: StreamName, dialect: Dialect, listener: Listener) -> Membership:
        """Keep what `stream` records from now on for this listener; it is shown from `Membership.hear` on."""
        topic = self._topics.get(stream)
        if topic is None:
            topic = self._topics[stream] = Topic(stream, self._deciders[stream.category], self._drop)
        return topic.join(dialect, listener)

    def _drop(self, topic: Topic) -> None:
        if self._topics.get(topic.stream) is topic:
            del self._topics[topic.stream]

    def count(self, stream: StreamName) -> int:
        """How many listen to the stream."""
        return len(self._topics.get(stream, ()))

    @property
    def listeners(self) -> int:
        return sum(map(len, self._topics.values()))

    @contextmanager
    def watch(self, stream: StreamName) -> Iterator[trio.MemoryReceiveChannel[Recorded]]:
        """The stream's records from now on. The channel ends when its reader falls WATCHED records behind."""
        send, receive = trio.open_memory_channel[Recorded](WATCHED)
        watchers = self._watchers.setdefault(stream, {})
        watchers[send] = None
        try:
            with send, receive:
                yield receive
        finally:
            watchers.pop(send, None)
            if not watchers and self._watchers.get(stream) is watchers:
                del self._watchers[stream]

    def deliver(self, record: Recorded) -> None:
        """Show one record to all who listen to its stream. Called in commit order, once per record."""
        topic = self._topics.get(record.stream)
        if topic is not None:
            self._show(topic, record)
        watchers = self._watchers.get(record.stream)
        if watchers:
            self._pass_on(watchers, record)

    def _show(self, topic: Topic, record: Recorded) -> None:
        try:
            topic.deliver(record)
        except Exception:  # it does not go with the topic's state; the other streams must still be heard
            log.exception("a record could not be delivered", event_id=record.id)
            topic.abandon()

    def _pass_on(self, watchers: dict[trio.MemorySendChannel[Recorded], None], record: Recorded) -> None:
        for channel in list(watchers):
            try:
                channel.send_nowait(record)
            except (trio.WouldBlock, trio.BrokenResourceError):  # too far behind, or its reader has closed it
                watchers.pop(channel, None)
                channel.close()
