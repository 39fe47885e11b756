"""The log as Server-Sent Events: all of it, or one stream.

`GET /api/log/stream` sends every record in commit order, `GET /api/log/streams/<stream name>` those of one stream. A
client says where it goes on from by `Last-Event-ID`, which browsers send when they come back, or the first time by
`?after=<position or version>`, 0 for the beginning, with `&epoch=<epoch>` if it knows it. Without either it hears what
is recorded from now on. `?event=<prefix of a name>` and, on the whole log, `?category=<category>` leave out what is not
asked for; each may be given several times.

The first event, `hello`, says `{"epoch", "seq", "recovered"}`: the place the client goes on from, and whether it is the
one it asked for. A place of another epoch, or one the log has not come to, is `"recovered": false` and goes on from
now, of which the client must make itself a new picture. Then comes one `record` for each record, with the id
`<epoch>.<position>` or `<epoch>.<version>`. Silence is broken by a comment every HEARTBEAT seconds, together with the
id of what was left out meanwhile.

An answer ends when the log cannot be read, when the visitor's token expires and when the server drains; a client comes
back with its last id and misses nothing. It holds one batch of records and one chunk, however far behind its reader is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Annotated

import msgspec
import structlog
import trio
from msgspec import Meta, Struct, field
from quart import Blueprint, Response, request
from quart.wrappers.response import ResponseBody

from actors.system import System
from adapters.records import json_line
from adapters.server.messages import joined
from adapters.web import server_sent
from adapters.web.accesses import recorded
from adapters.web.answers import Problem, unprocessable
from adapters.web.auth import Role, Visitor, current_visitor
from adapters.web.described import Content, described
from adapters.web.log_feeds import Feed, OneStream, WholeLog
from adapters.web.requests import no_stream, stream_named
from core.identifiers import Category
from core.messages import Recorded
from core.ports import StoreUnavailable
from eventstore.audit import Filters
from eventstore.codec import events

HEARTBEAT = 15.0
"""Seconds without a byte after which a comment is sent: proxies cut silent connections, commonly after 30 or 60."""
CHUNK = 64 * 1024
"""Bytes of records written at once at most."""
COME_BACK = 2000
"""Milliseconds a client waits before it comes back."""
EVENTS = Content("text/event-stream")
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

Wanted = Callable[[Recorded], bool]
Draining = Callable[[], Awaitable[None]]

PLACE = "[0-9]{1,18}"

_PLACE = re.compile(PLACE)

log = structlog.get_logger("callboard.log_stream")


class Asked(Struct, frozen=True):
    """Where a client wants to go on: behind `after`, None for from now on; `epoch` None when it does not say."""

    after: int | None = None
    epoch: str | None = None


class OneStreamQuery(Struct, frozen=True):
    """Where to go on from, and which events to hear of: prefixes of their names."""

    after: Annotated[str, Meta(pattern=f"^{PLACE}$")] | None = None
    epoch: str | None = None
    event: list[str] = []


class WholeLogQuery(OneStreamQuery, frozen=True):
    category: list[Category] = []


class LastEvent(Struct, frozen=True):
    id: Annotated[str, Meta(pattern=rf"^.+\.{PLACE}$")] | None = field(name="Last-Event-ID", default=None)


class Start(Struct, frozen=True):
    """Where it does go on."""

    epoch: str
    seq: int
    recovered: bool


def log_stream_blueprint(system: System, draining: Draining, *, is_recorded: bool = False) -> Blueprint:
    """The two routes. `draining` returns once the server drains; every answer ends then. `is_recorded`: that somebody
    is told is on record first, once for each answer, with where it began."""
    routes = Blueprint("log_stream", __name__)

    async def record(visitor: Visitor, stream: str | None, **more: str | int) -> None:
        if is_recorded and request.method != "HEAD":  # which is told nothing
            await recorded(system, visitor, "follow", Filters(stream=stream), 0, **_left_in(), **more)

    async def answer(feed: Feed, visitor: Visitor, stream: str | None = None) -> Response:
        wanted = _wanted()
        start = await begin(feed, _asked(), system.store.epoch)
        await record(visitor, stream, after=start.seq)
        if not start.recovered:  # from now on, which is behind the record of it
            start = await begin(feed, Asked(), system.store.epoch)
        return _streamed(LogStream(feed, start, wanted, draining, _seconds_left(visitor, system.clock.now())))

    @routes.get("/api/log/stream")
    @described(EVENTS, query=WholeLogQuery, headers=LastEvent)
    async def stream_log() -> Response:
        """Every record of the log in commit order, as Server-Sent Events. For the roles auditor and operator."""
        return await answer(WholeLog(system.store), _auditor())

    @routes.get("/api/log/streams/<path:name>")
    @described(EVENTS, 404, query=OneStreamQuery, headers=LastEvent)
    async def stream_one(name: str) -> Response:
        """The records of one stream, as Server-Sent Events. For the roles auditor and operator."""
        visitor = _auditor()
        feed = OneStream(system.store, system.audiences, stream_named(name))
        if not await feed.has(0):
            await record(visitor, name)
            raise no_stream()
        return await answer(feed, visitor, name)

    return routes


async def begin(feed: Feed, asked: Asked, epoch: str) -> Start:
    """From where it was asked for, if that place is in this log; else from now on. Raises StoreUnavailable."""
    if asked.after is not None and asked.epoch in (None, epoch) and await feed.has(asked.after):
        return Start(epoch, asked.after, recovered=True)
    return Start(epoch, await feed.newest(), recovered=False)


class LogStream(ResponseBody):
    """One client's answer, for `seconds` at most.

    Quart enters it, iterates it and leaves it in one task, so it may own a nursery. An async generator could not: it
    may hold no nursery and no cancel scope across a `yield`.
    """

    def __init__(self, feed: Feed, start: Start, wanted: Wanted, draining: Draining, seconds: float = math.inf) -> None:
        self._feed, self._epoch, self._wanted, self._draining = feed, start.epoch, wanted, draining
        self._seq = self._told = start.seq
        hello = server_sent.message("hello", msgspec.json.encode(start), self._id(start.seq))
        self._chunks = iter([server_sent.retry(COME_BACK) + hello])
        self._ends_at = trio.current_time() + seconds
        self._due = trio.current_time() + HEARTBEAT
        self._waiting = trio.CancelScope()
        self._over = False
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> LogStream:
        nursery = await self._stack.enter_async_context(trio.open_nursery())
        self._stack.callback(self._feed.close)
        self._stack.callback(nursery.cancel_scope.cancel)
        nursery.start_soon(self._end_at_drain)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(exc_type, exc_value, tb)

    def __aiter__(self) -> LogStream:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes for the client."""
        # A send to a client that has gone returns at once: without this a backlog would let nobody else run.
        await trio.lowlevel.checkpoint()
        while not self._over and trio.current_time() < self._ends_at:
            if (piece := next(self._chunks, None)) is None and trio.current_time() >= self._due:
                piece = self._heartbeat()
            if piece is not None:
                self._due = trio.current_time() + HEARTBEAT
                return piece
            await self._wait()
        raise StopAsyncIteration

    async def _wait(self) -> None:
        """For records, but no longer than anything else is due."""
        with trio.CancelScope(deadline=min(self._due, self._ends_at)) as self._waiting:
            try:
                records = await self._feed.batch(self._seq)
            except StoreUnavailable as reason:
                log.warning("an event stream ends: the log cannot be read now", reason=str(reason), after=self._seq)
                self._over = True
                return
            self._chunks = joined(self._messages(records), CHUNK)

    def _messages(self, records: Sequence[Recorded]) -> Iterator[bytes]:
        for record in records:
            self._seq = self._feed.place(record)
            if self._wanted(record):
                self._told = self._seq
                yield server_sent.message("record", json_line(record), self._id(self._seq))

    def _heartbeat(self) -> bytes:
        """A sign of life; and how far the log has come by what was left out, lest a resume read it all again."""
        alive = server_sent.comment("alive")
        if self._told == self._seq:
            return alive
        self._told = self._seq
        return alive + server_sent.progress(self._id(self._seq))

    def _id(self, seq: int) -> str:
        return f"{self._epoch}.{seq}"

    async def _end_at_drain(self) -> None:
        await self._draining()
        self._over = True
        self._waiting.cancel()


# --- what a request asks for --------------------------------------------------------------------------------------


def _auditor() -> Visitor:
    """The visitor, who may read the whole log. Raises Problem 403."""
    visitor = current_visitor()
    if visitor.roles.isdisjoint({Role.AUDITOR, Role.OPERATOR}):
        raise Problem(403, "The log is for the roles auditor and operator")
    return visitor


def _seconds_left(visitor: Visitor, now: int) -> float:
    return math.inf if visitor.expires_at is None else (visitor.expires_at - now) / 1e6


def _asked() -> Asked:
    """Where the request wants to go on; the header wins, as browsers repeat the query. Raises Problem 422."""
    if last := request.headers.get("Last-Event-ID"):
        epoch, _, seq = last.rpartition(".")
        if not epoch or not _PLACE.fullmatch(seq):
            raise unprocessable((("header", "Last-Event-ID"), "An id is <epoch>.<number>, as the stream gave it"))
        return Asked(int(seq), epoch)
    after = request.args.get("after")
    if after is None:
        return Asked()
    if not _PLACE.fullmatch(after):
        raise unprocessable((("query", "after"), "Expected a number from 0 on, of at most 18 digits"))
    return Asked(int(after), request.args.get("epoch"))


def _wanted() -> Wanted:
    """What the query leaves in. Raises Problem 422."""
    categories, prefixes = frozenset(request.args.getlist("category")), tuple(request.args.getlist("event"))
    if not categories <= frozenset(Category):
        raise unprocessable((("query", "category"), f"Expected one of {', '.join(Category)}"))

    def wanted(record: Recorded) -> bool:
        if categories and record.stream.category not in categories:
            return False
        return not prefixes or events.name_of(type(record.event)).startswith(prefixes)

    return wanted


def _left_in() -> dict[str, str]:
    """What the query leaves in, to be recorded."""
    asked = {name: ",".join(request.args.getlist(name)) for name in ("category", "event")}
    return {name: value for name, value in asked.items() if value}


def _streamed(body: LogStream) -> Response:
    if request.method == "HEAD":  # the answer to it has no body, and must not go on for ever without one
        return Response(b"", headers=HEADERS, content_type=server_sent.CONTENT_TYPE)
    response = Response(body, headers=HEADERS, content_type=server_sent.CONTENT_TYPE)
    response.timeout = None
    return response
