"""Audiences: who listens to which stream, fed by the fan-out in commit order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
import trio

from actors.topic import Listener, Membership, Topic
from actors.wide import WideTopics
from core.decider import AnyDecider
from core.dialect import STREAM_TOPIC, Dialect
from core.identifiers import Category, StreamName
from core.messages import Recorded

WATCHED = 1000
"""Records a watcher may be behind before its channel is closed."""

RESTART, TOLD_ANEW = 1012, "this was told anew; come back"
"""Close code that asks to come back, and the reason where a stream says something else now."""

log = structlog.get_logger("callboard.audience")


class Audiences:
    """The audiences of all streams, fed by the fan-out in commit order."""

    def __init__(self, deciders: Mapping[Category, AnyDecider]) -> None:
        self._deciders = deciders
        self.wide = WideTopics()
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

    def heard(self) -> list[Topic]:
        """The topics of all streams that have listeners."""
        return list(self._topics.values())

    @property
    def topics(self) -> int:
        return len(self._topics)

    @property
    def listeners(self) -> int:
        return sum(map(len, self._topics.values())) + len(self.wide)

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

    def send_away(self, stream: StreamName) -> None:
        """Close the sockets of all who listen to the stream, also where its records alone are a wide topic; they may
        come back, and see it as it is now."""
        topic = self._topics.get(stream)
        if topic is not None:
            topic.abandon(RESTART, TOLD_ANEW)
        self.wide.send_away(f"{STREAM_TOPIC}{stream}", RESTART, TOLD_ANEW)

    def deliver(self, record: Recorded) -> None:
        """Show one record to all who listen to its stream. Called in commit order, once per record."""
        topic = self._topics.get(record.stream)
        if topic is not None:
            self._show(topic, record)
        self.wide.deliver(record)
        if self._watchers and (watchers := self._watchers.get(record.stream)):
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
