"""What the clients of a stream were sent, from the log: rendered by the production dialects at each version.

Of the frames of a socket these are in the log: all that an audience hears; the greeting of a client that joined afresh;
what the sender of a command was told that was refused for good. What was for one connection alone and left no event is
not: pongs, receipts, the session's record when asked for, answers to frames that could not be read, came too fast or
are to come back later, the outcome of a repeated command, the greeting of a client that came back.

Nor does the log know what a socket did not get any more: what was recorded between its end and the record of that, and
of `retell` what was held back as the platform had asked for something newer meanwhile. And what was told to one alone
may have come to it before what all heard just ahead of it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from msgspec import Struct

from actors.topic import is_for
from adapters.dialects import references
from adapters.setting_values import Unusable
from core.call import CallForked, SocketConnected, SocketDisconnected
from core.conversation import ClientJoined, ClientLeft, ConversationForked
from core.decider import AnyDecider, CommandRejected
from core.dialect import Close, Connection, Dialect, Endpoint, Handshake, Listen, Output, Reach, Tell, Tune, Write
from core.identifiers import StreamName
from core.messages import Accepted, Recorded, Refused
from core.session import DeviceJoined, DeviceLeft

JOINED = ClientJoined | DeviceJoined | SocketConnected
FORKED = ConversationForked | CallForked
"""Behind what another stream's clients were sent; nobody was sent that as this stream's."""
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
    those of the wide topics (`topics`) that its clients hear as well, each at its place in the log.

    `refused` are the commands behind the stream's refusals, by their versions.
    """

    def __init__(
        self, stream: StreamName, decider: AnyDecider, spoken: Spoken, epoch: str, refused: Mapping[int, Any] = {}
    ) -> None:
        self._stream, self._decider, self._state = stream, decider, decider.initial
        self._spoken, self._dialect, self._epoch = spoken, spoken.dialect, epoch
        self._refused = refused
        self._connections: dict[str, Connection] = {}
        self._tuned: dict[str, frozenset[str]] = {}
        self.version = 0

    @property
    def state(self) -> Any:
        """The stream's, behind the last record taken."""
        return self._state

    @property
    def topics(self) -> frozenset[str]:
        """The wide topics that are heard now."""
        return frozenset().union(*self._tuned.values())

    def is_listened_to(self) -> bool:
        """Whether those who connect by this dialect come to listen to a stream of this kind."""
        endpoint, query = self._spoken.endpoint, self._spoken.query
        path = _path(endpoint, self._stream.id)
        connection = self._dialect.connect(Handshake(UNUSED, path, query, "", self._epoch, UNUSED))
        heard = [output.stream for output in connection.opened(0) if isinstance(output, Listen)]
        return any(stream.category is self._stream.category for stream in heard)

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
            yield from self._join(record, body)
        elif isinstance(record.event, LEFT):
            self._tuned.pop(record.event.connection_id, None)
            self._connections.pop(record.event.connection_id, None)
        elif isinstance(record.event, FORKED):
            self._tuned, self._connections = {}, {}
        elif isinstance(record.event, CommandRejected):
            yield from self._refuse(record, record.event)
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

    def _join(self, record: Recorded, own: bytes | None) -> Iterator[Shown]:
        """What the production code says to one who joins, before it hears what all do: among that is its `own` arrival.
        It may be turned away."""
        topics = set[str]()
        for output in self._outputs(record):
            match output:
                case Write(body) if body != own:
                    yield Sent(record, body, Reach.ORIGIN)
                case Tune(topic):
                    topics.add(topic)
                case Close(code, reason):
                    yield Ended(record, Close(code, reason, Reach.ORIGIN))
                case _:
                    pass  # what it does by itself
        self._tuned[record.stamp.origin] = frozenset(topics)

    def _refuse(self, record: Recorded, refusal: CommandRejected) -> Iterator[Shown]:
        """What the sender was told; not where it is to come back, as the id it was told with is not recorded then."""
        connection = self._connections.get(record.stamp.origin)
        if connection is None or refusal.retry_after is not None or record.version not in self._refused:
            return
        tell = Tell(self._stream, self._refused[record.version], record.stamp.client_command_id)
        outcome = Refused(refusal.rejection(), (record,))
        for output in connection.settled(tell, outcome, record.stamp.time):
            if isinstance(output, Write):
                yield Sent(record, output.body, Reach.ORIGIN)
            elif isinstance(output, Close):
                yield Ended(record, Close(output.code, output.reason, Reach.ORIGIN))

    def _outputs(self, record: Recorded) -> Iterator[Output]:
        time, joined = record.stamp.time, Accepted((record,), self._state, record.version)
        for id in dict.fromkeys((self._stream.id, unquote(self._stream.id))):  # as it may be written in a URL
            connection = self._connect(id, record)
            outputs = connection.opened(time)
            if Listen(self._stream) in outputs:
                self._connections[record.stamp.origin] = connection
                yield from (output for output in outputs if isinstance(output, Write))
                yield from connection.settled(_telling(outputs), joined, time)
                return

    def _connect(self, id: str, record: Recorded) -> Connection:
        path, who = _path(self._spoken.endpoint, id), record.stamp
        return self._dialect.connect(
            Handshake(who.origin, path, self._spoken.query, who.principal, self._epoch, UNUSED)
        )


def _path(endpoint: Endpoint, id: str) -> dict[str, str]:
    """The parameters of a path that leads to what is called so."""
    return dict.fromkeys(re.findall(r"<(\w+)>", endpoint.path), id)


def _telling(outputs: Iterable[Output]) -> Tell:
    """The command by which a connection joins: the last it tells on its way in."""
    return [output for output in outputs if isinstance(output, Tell)][-1]


def forked_at(records: Iterable[Recorded]) -> int:
    """The version up to which a stream's past is a copy of another's, 0 for a stream of its own."""
    return max((record.version for record in records if isinstance(record.event, FORKED)), default=0)


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
    """One of an audience, from its joining to its leaving; with what it came back for behind version `since`.

    `records` are those of the stream that are known already: it is gone before the first event of its leaving.
    """

    def __init__(
        self, connection_id: str, stream: StreamName, since: int | None = None, records: Sequence[Recorded] = ()
    ) -> None:
        self._id, self._stream, self._since = connection_id, stream, since
        self._left_by = [record.stamp for record in records if self._is_own(record, LEFT)]
        self.is_in = self.has_been = False

    def hears(self, shown: Shown) -> bool:
        """Whether it got this. Asked in order, and behind the last of a record `note` is told."""
        self._enter(shown.record)
        is_there = (self.is_in or self._is_missed(shown.record)) and self._is_there(shown) and shown.is_for(self._id)
        if is_there and isinstance(shown, Ended):
            self.is_in = False
        return is_there

    def note(self, record: Recorded) -> None:
        """All that was sent of the record has been asked for."""
        self._enter(record)
        if self._is_own(record, LEFT) or (record.stream == self._stream and isinstance(record.event, FORKED)):
            self.is_in = False

    def _enter(self, record: Recorded) -> None:
        if not self.has_been and self._is_own(record, JOINED):
            self.is_in = self.has_been = True

    def _is_own(self, record: Recorded, kind: Any) -> bool:
        return isinstance(record.event, kind) and record.event.connection_id == self._id

    def _is_there(self, shown: Shown) -> bool:
        """Not gone, of which the log learns by a command of the connection's own."""
        return shown.record.stream != self._stream or shown.record.stamp not in self._left_by

    def _is_missed(self, record: Recorded) -> bool:
        """While it was away."""
        if self._since is None or self.has_been or record.stream != self._stream:
            return False
        return record.version > self._since
