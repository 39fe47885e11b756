"""The console's board: what lives now and who listens, and how the server is.

It holds nothing of what was said, as /metrics does not, and so is not recorded. It is asked for every second by each
console: it is made once for all of them, awaits nothing, reads no log, and is bounded.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import chain, islice
from typing import Any

import trio
from msgspec import Struct, json

from actors.system import System
from actors.topic import Topic
from adapters.protocols.channels.frames import stream_heard
from adapters.protocols.console.frames import topic_of
from adapters.server.statistics import Tally
from adapters.web.operation import obstacles, writes_of
from adapters.web.sockets import Sockets
from core.call import Call
from core.conversation import Conversation
from core.identifiers import Category, StreamName
from core.session import Session
from eventstore.codec import events

MOST_STREAMS = 2_000
"""Streams on one board; of more, those where something was recorded last."""
MOST_WIDE = 10_000
"""Topics across streams that are looked at for whose they are."""
KEPT = 0.5
"""Seconds for which a board is told to all who ask."""
UNOPENED, OPEN = "unopened", "open"


class OnBoard(Struct, frozen=True):
    """A stream that lives, or that somebody listens to. `label` is its state in one word; `last_time` is µs UTC; both
    `last_…` are null where nothing was recorded lately. `watchers` are all who hear it: its own clients, subscribers of
    a channel, and consoles that show it."""

    stream: str
    kind: Category
    label: str
    version: int
    last_event: str | None
    last_time: int | None
    watchers: int
    mailbox: int
    effects: int


class Vitals(Struct, frozen=True):
    """Of these are totals since the start: commands, commits, rows, frames, commit_seconds, busy, restarts, rejections;
    the others are as of now. `sockets` are open ones by dialect."""

    commands: int
    commits: int
    rows: int
    frames: int
    commit_seconds: float
    busy: int
    restarts: int
    rejections: int
    actors: int
    listeners: int
    letters: int
    deepest_mailbox: int
    tail_lag: int
    board_lag: int
    sockets: dict[str, int]
    ready: bool


class BoardNow(Struct, frozen=True):
    """As of `at`, in µs UTC, at most half a second ago. `head` is the position of the newest event; `truncated`: there
    are more streams than these."""

    at: int
    head: int
    streams: list[OnBoard]
    truncated: bool
    vitals: Vitals


class KeptBoard:
    """The board, kept for whoever else asks for it now."""

    def __init__(self, system: System, sockets: Sockets) -> None:
        self._system, self._sockets = system, sockets
        self._told, self._made_at = b"", 0.0

    def told(self) -> bytes:
        """A BoardNow as JSON."""
        now = trio.current_time()
        if not self._told or now - self._made_at >= KEPT:
            self._told, self._made_at = json.encode(self._now()), now
        return self._told

    def _now(self) -> BoardNow:
        system = self._system
        streams, truncated = on_board(system)
        vitals = vitals_of(system, self._sockets.tally, draining=self._sockets.draining)
        return BoardNow(system.clock.now(), system.store.head, streams, truncated, vitals)


def on_board(system: System) -> tuple[list[OnBoard], bool]:
    """All streams that live or are listened to, as far as there is room, and whether there was not."""
    heard = Heard(system)
    streams, truncated = _chosen(system, heard)
    return [_row(system, it, heard) for it in streams], truncated


class Heard:
    """Who listens: to streams; to channels, which is across streams; and consoles, which hear a stream so too."""

    def __init__(self, system: System) -> None:
        self.topics = {topic.stream: topic for topic in system.audiences.heard()}
        self.channels, self._wide = Counter[StreamName](), Counter[str]()
        for topic, listeners in islice(system.audiences.wide.heard(), MOST_WIDE):
            self._wide[topic] += listeners
            if (channel := stream_heard(topic)) is not None:
                self.channels[channel] += listeners

    def count(self, stream: StreamName) -> int:
        """How many hear the stream."""
        return len(self.topics.get(stream, ())) + self.channels[stream] + self._wide[topic_of(stream)]


def _chosen(system: System, heard: Heard) -> tuple[list[StreamName], bool]:
    """Those for which there is room, the newest where it is scarce; and whether there are more."""
    awake, topics, channels = system.directory, heard.topics, heard.channels
    here = chain((actor.stream for actor in awake.actors()), topics, channels)
    if len(awake) + len(topics) + len(channels) > MOST_STREAMS:
        newest = (it for it in reversed(system.latest) if it in awake or it in topics or it in channels)
        here = chain(newest, here)
    chosen = dict[StreamName, None]()
    for stream in here:
        if len(chosen) == MOST_STREAMS and stream not in chosen:
            return list(chosen), True
        chosen[stream] = None
    return list(chosen), False


def _row(system: System, stream: StreamName, heard: Heard) -> OnBoard:
    actor, latest = system.directory.find(stream), system.latest.get(stream)
    event, time = (None, None) if latest is None else (_name_of(latest[0]), latest[1])
    state, version = known_of(system, stream, heard.topics.get(stream))
    mailbox, effects = (0, 0) if actor is None else (len(actor.mailbox), len(actor.effects.running))
    label = label_of(state) or (OPEN if stream.category is Category.CHANNEL else "")  # a channel has no other
    watchers = heard.count(stream)
    return OnBoard(str(stream), stream.category, label, version, event, time, watchers, mailbox, effects)


def known_of(system: System, stream: StreamName, topic: Topic | None = None) -> tuple[Any, int]:
    """The state, None where nobody has it, and the version as far as it is known."""
    actor, latest = system.directory.find(stream), system.latest.get(stream)
    if actor is not None and actor.recovered:
        return actor.state, actor.version
    if topic is not None and topic.version:
        return topic.state, topic.version
    return None, 0 if latest is None else latest[2]


@cache
def _name_of(event: type) -> str:
    return events.name_of(event).rpartition("/")[0]


def label_of(state: Any) -> str:
    """A stream's state in one word, "" while it is not known."""
    match state:
        case None:
            return ""
        case Conversation(phase=phase):
            return UNOPENED if phase is None else phase.value
        case Call():
            return _label_of_call(state)
        case Session():
            return _label_of_session(state)
        case _:
            return OPEN


def _label_of_call(state: Call) -> str:
    match state:
        case Call(known=False):
            return UNOPENED
        case Call(ended=True):
            return "ended"
        case Call(socket=None):
            return "disconnected"
        case Call(response=None):
            return "listening"
        case _:
            return "responding"


def _label_of_session(state: Session) -> str:
    match state:
        case Session(user=None):
            return UNOPENED
        case Session(expired=True):
            return "expired"
        case Session(open=(_, *_)):
            return "working"
        case Session(devices=()):
            return "idle"
        case _:
            return OPEN


def vitals_of(system: System, tally: Tally, *, draining: bool) -> Vitals:
    """The server's numbers. Goes through all actors."""
    now, writes = system.statistics(), writes_of(system.store)
    return Vitals(
        commands=now.commands,
        commits=writes.batches,
        rows=writes.rows,
        frames=tally.frames_out,
        commit_seconds=writes.seconds,
        busy=now.busy,
        restarts=now.restarts,
        rejections=sum(now.rejections.values()),
        actors=now.actors,
        listeners=now.listeners,
        letters=now.letters,
        deepest_mailbox=now.deepest_mailbox,
        tail_lag=now.tail_lag,
        board_lag=now.board_lag,
        sockets=dict(tally.open),
        ready=not obstacles(system, draining=draining),
    )
