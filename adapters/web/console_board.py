"""What the console's page asks first: who looks, what lives now and how the server is, and which streams there are.

The board holds nothing of what was said, as /metrics does not, and so is not recorded. It is asked for every second by
each console: it awaits nothing, reads no log, and is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from heapq import nlargest
from typing import Annotated, Any

from msgspec import Meta, Struct
from quart import Blueprint, Response

from actors.actor import Actor
from actors.system import System
from actors.topic import Topic
from adapters.config import Auth
from adapters.metrics import VERSION
from adapters.server.statistics import Tally
from adapters.stream_names import FoundStream, FoundStreams, find_streams, fits
from adapters.web.answers import answer
from adapters.web.audit import auditor
from adapters.web.described import described
from adapters.web.operation import obstacles, writes_of
from adapters.web.requests import query_of
from adapters.web.sockets import Sockets
from core.call import Call
from core.conversation import Conversation
from core.identifiers import Category, StreamName
from core.session import Session
from eventstore.codec import events
from eventstore.sqlite import SQLiteStore

MOST_STREAMS = 2_000
"""Streams on one board; of more, those where something was recorded last."""
MOST_FOUND = 200
UNOPENED, OPEN = "unopened", "open"


class Me(Struct, frozen=True):
    """Who asks, and whom."""

    principal: str
    roles: list[str]
    auth: Auth
    version: str
    epoch: str


class OnBoard(Struct, frozen=True):
    """A stream that lives, or that somebody listens to. `label` is its state in one word; `last_time` is µs UTC; both
    `last_…` are null where nothing was recorded lately."""

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
    """`at` is µs UTC, `head` the position of the newest event; `truncated`: there are more streams than these."""

    at: int
    head: int
    streams: list[OnBoard]
    truncated: bool
    vitals: Vitals


class AskedStreams(Struct, frozen=True):
    """`q` is a part of the name."""

    q: Annotated[str, Meta(max_length=256)] = ""
    category: Category | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_FOUND)] = 50


def console_board_blueprint(system: System, sockets: Sockets, auth: Auth) -> Blueprint:
    """`/api/console/me`, `…/board` and `…/streams`, for the roles auditor and operator."""
    routes = Blueprint("console_board", __name__)

    @routes.get("/api/console/me")
    @described(Me)
    async def read_me() -> Response:
        """Who one is here, and what runs. For the roles auditor and operator."""
        visitor = auditor()
        return _fresh(Me(visitor.principal, sorted(visitor.roles), auth, VERSION, system.store.epoch))

    @routes.get("/api/console/board")
    @described(BoardNow)
    async def read_board() -> Response:
        """What lives and who listens, and the server's vital signs. For the roles auditor and operator."""
        auditor()
        streams, truncated = on_board(system)
        vitals = vitals_of(system, sockets.tally, draining=sockets.draining)
        return _fresh(BoardNow(system.clock.now(), system.store.head, streams, truncated, vitals))

    @routes.get("/api/console/streams")
    @described(FoundStreams, query=AskedStreams)
    async def find_streams_by_name() -> Response:
        """Streams of the log with this in their names; the work is bounded, and says when that ended it. For the roles
        auditor and operator."""
        auditor()
        asked, store = query_of(AskedStreams), system.store
        if isinstance(store, SQLiteStore):
            return _fresh(await store.look(lambda select: find_streams(select, asked.q, asked.category, asked.limit)))
        return _fresh(await _find_known(system, asked))

    return routes


def on_board(system: System) -> tuple[list[OnBoard], bool]:
    """All streams that live or are listened to, as far as there is room, and whether there was not."""
    actors = {actor.stream: actor for actor in system.directory.actors()}
    topics = {topic.stream: topic for topic in system.audiences.heard()}
    streams, truncated = list(actors | topics), False
    if len(streams) > MOST_STREAMS:
        streams, truncated = nlargest(MOST_STREAMS, streams, lambda it: system.latest.get(it, (None, 0))[1]), True
    return [_row(it, actors.get(it), topics.get(it), system.latest.get(it)) for it in streams], truncated


def _row(stream: StreamName, actor: Actor | None, topic: Topic | None, latest: tuple[type, int] | None) -> OnBoard:
    state, version = (None, 0) if topic is None else (topic.state, topic.version)
    if actor is not None and actor.recovered:
        state, version = actor.state, actor.version
    event, time = (None, None) if latest is None else (_name_of(latest[0]), latest[1])
    mailbox, effects = (0, 0) if actor is None else (len(actor.mailbox), len(actor.effects.running))
    watchers = 0 if topic is None else len(topic)
    return OnBoard(str(stream), stream.category, label_of(state), version, event, time, watchers, mailbox, effects)


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


async def _find_known(system: System, asked: AskedStreams) -> FoundStreams:
    """Where the log has no index of names: those that live or lately did, the newest first."""
    names = [name for name in _known(system) if fits(name, asked.q, asked.category)]
    told = list[FoundStream]()
    for name in names[: asked.limit]:
        if records := await system.store.read_stream(name):
            told.append(FoundStream(str(name), len(records), records[0].stamp.time, records[-1].stamp.time))
    return FoundStreams(told, len(names) > asked.limit)


def _known(system: System) -> Iterator[StreamName]:
    yield from reversed(system.latest)
    yield from (actor.stream for actor in system.directory.actors() if actor.stream not in system.latest)


def _fresh(told: Struct) -> Response:
    response = answer(told)
    response.headers["Cache-Control"] = "no-store"
    return response
