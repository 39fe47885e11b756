"""What the clients of a stream were sent, from the log: rendered by the production dialects at each version.

Of the frames of a socket these are in the log: all that an audience hears, and the greeting of a client that joined
afresh. What was for one connection alone and left no event is not: pongs, receipts of subscriptions and updates, the
session's record when asked for, what a frame that could not be read or a command that was refused was told, the outcome
of a repeated command, and what was shown again to a client that came back. Nor does the log know what a socket did not
get any more: what was recorded between its end and the record of that.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from actors.topic import is_for
from adapters.dialects import references
from adapters.setting_values import Unusable
from core.call import SocketConnected, SocketDisconnected
from core.conversation import ClientJoined, ClientLeft
from core.decider import AnyDecider
from core.dialect import Close, Connection, Dialect, Endpoint, Handshake, Listen, Output, Reach, Tell, Tune, Write
from core.identifiers import StreamName
from core.messages import Accepted, Recorded
from core.session import DeviceJoined, DeviceLeft

JOINED = ClientJoined | DeviceJoined | SocketConnected
LEFT = ClientLeft | DeviceLeft | SocketDisconnected

UNUSED = "unused"
"""The id of what a connection might have opened."""


class Sent(Struct, frozen=True):
    """One frame, of which record it is, and whom of the audience it was for."""

    record: Recorded
    body: bytes
    to: Reach = Reach.EVERYONE

    def is_for(self, connection_id: str) -> bool:
        return is_for(self.to, self.record.stamp.origin, connection_id)


class Ended(Struct, frozen=True):
    """The server closed sockets behind the record's frame."""

    record: Recorded
    close: Close

    def is_for(self, connection_id: str) -> bool:
        return is_for(self.close.to, self.record.stamp.origin, connection_id)


Shown = Sent | Ended


class Spoken(Struct, frozen=True):
    """A dialect as a client asked for it by its query, and where it is spoken."""

    dialect: Dialect
    endpoint: Endpoint
    query: Mapping[str, str]


def spoken(name: str, query: Mapping[str, str]) -> Spoken:
    """The dialect that is called so. Raises Unusable for one there is not."""
    known = {reference.name: endpoints for reference, endpoints in references()}
    if name not in known:
        raise Unusable(f"--frames: there is no dialect {name[:40]!r}; write one of {', '.join(sorted(known))}")
    endpoint = known[name][0]
    return Spoken(endpoint.dialect_for(query), endpoint, query)


class Audience:
    """All who listened to one stream by one dialect. It is given the stream's records in order from the first on, and
    those of the wide topics (`topics`) that its clients hear as well, each at its place in the log."""

    def __init__(self, stream: StreamName, decider: AnyDecider, spoken: Spoken, epoch: str) -> None:
        self._stream, self._decider, self._state = stream, decider, decider.initial
        self._spoken, self._dialect, self._epoch = spoken, spoken.dialect, epoch
        self._tuned: dict[str, frozenset[str]] = {}
        self.version = 0

    @property
    def topics(self) -> frozenset[str]:
        """The wide topics that are heard now."""
        return frozenset().union(*self._tuned.values())

    def take(self, record: Recorded) -> Iterator[Shown]:
        """What was sent of the record, in order. Raises Unusable where the dialect was not spoken here."""
        topics = self.topics
        if record.stream == self._stream:
            yield from self._take_own(record)
        for topic in self._dialect.topics(record):
            frame = self._dialect.render_wide(record, topic) if topic in topics else None
            if frame is not None:
                yield Sent(record, frame.body, frame.to)

    def _take_own(self, record: Recorded) -> Iterator[Shown]:
        self._state = state = self._decider.fold(self._state, (record.event,))
        self.version = record.version
        self._check(state)
        try:
            frame, farewell = self._dialect.render(record, state), self._dialect.farewell(record, state)
        except AssertionError:  # of an exhaustive match: it knows the events of its own kind of stream
            raise self._unspoken() from None
        body = None if frame is None else frame.body
        if isinstance(record.event, JOINED):
            for greeting in self._join(record):
                if greeting != body:  # its own arrival, which is the next of what is shown
                    yield Sent(record, greeting, Reach.ORIGIN)
        elif isinstance(record.event, LEFT):
            self._tuned.pop(record.event.connection_id, None)
        if frame is not None:
            yield Sent(record, frame.body, Reach.EVERYONE if frame.is_answer else frame.to)
        if farewell is not None:
            yield Ended(record, farewell)

    def _check(self, state: Any) -> None:
        opened_via = getattr(state, "opened_via", "") or self._dialect.name
        if opened_via != self._dialect.name:
            raise Unusable(f"{self._stream} is a session of the dialect {opened_via}; ask for --frames {opened_via}")

    def _unspoken(self) -> Unusable:
        name = self._dialect.name
        return Unusable(f"the dialect {name} is not spoken in a {self._stream.category}; ask for another --frames")

    # --- joining ------------------------------------------------------------------------------------------------

    def _join(self, record: Recorded) -> Iterator[bytes]:
        """What the production code says to one who joins, up to what the audience hears."""
        topics = set[str]()
        for output in self._outputs(record):
            if isinstance(output, Write):
                yield output.body
            elif isinstance(output, Tune):
                topics.add(output.topic)
        self._tuned[record.stamp.origin] = frozenset(topics)

    def _outputs(self, record: Recorded) -> Iterator[Output]:
        time, joined = record.stamp.time, Accepted((record,), self._state, record.version)
        for id in dict.fromkeys((self._stream.id, unquote(self._stream.id))):  # as it may be written in a URL
            connection = self._connect(id, record)
            outputs = connection.opened(time)
            if Listen(self._stream) in outputs:
                yield from (output for output in outputs if isinstance(output, Write))
                yield from connection.settled(_telling(outputs), joined, time)
                return

    def _connect(self, id: str, record: Recorded) -> Connection:
        path = dict.fromkeys(re.findall(r"<(\w+)>", self._spoken.endpoint.path), id)
        who = record.stamp
        return self._dialect.connect(
            Handshake(who.origin, path, self._spoken.query, who.principal, self._epoch, UNUSED)
        )


def _telling(outputs: Iterable[Output]) -> Tell:
    """The command by which a connection joins: the last it tells on its way in."""
    return [output for output in outputs if isinstance(output, Tell)][-1]


def hears_others(audience: Audience, records: Iterable[Recorded]) -> bool:
    """Whether this audience, to be given these records of its stream, ever hears a wide topic too."""
    heard = False
    for record in records:
        deque(audience.take(record), 0)
        heard = heard or bool(audience.topics)
    return heard


class WideAudience:
    """All who heard one wide topic; of one stream alone, where that is said."""

    def __init__(self, topic: str, spoken: Spoken, stream: StreamName | None = None) -> None:
        self._topic, self._dialect, self._stream = topic, spoken.dialect, stream

    def take(self, record: Recorded) -> Iterator[Shown]:
        if self._stream in (None, record.stream) and self._topic in self._dialect.topics(record):
            frame = self._dialect.render_wide(record, self._topic)
            if frame is not None:
                yield Sent(record, frame.body, frame.to)


class Client:
    """One of an audience, from its joining to its leaving; with what it came back for behind version `since`."""

    def __init__(self, connection_id: str, stream: StreamName, since: int | None = None) -> None:
        self._id, self._stream, self._since = connection_id, stream, since
        self.is_in = self.has_been = False

    def hears(self, shown: Shown) -> bool:
        """Whether it got this. Asked in order."""
        event = shown.record.event
        if isinstance(event, JOINED) and event.connection_id == self._id:
            self.is_in = self.has_been = True
        return (self.is_in or self._is_missed(shown.record)) and shown.is_for(self._id)

    def note(self, record: Recorded) -> None:
        """All that was sent of the record has been asked for."""
        event = record.event
        if isinstance(event, JOINED) and event.connection_id == self._id:
            self.is_in = self.has_been = True
        elif isinstance(event, LEFT) and event.connection_id == self._id:
            self.is_in = False

    def _is_missed(self, record: Recorded) -> bool:
        """While it was away."""
        if self._since is None or self.has_been or record.stream != self._stream:
            return False
        return record.version > self._since
