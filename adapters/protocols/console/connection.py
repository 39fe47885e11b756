"""One console's side of the talk."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, assert_never

from adapters.protocols import wire
from adapters.protocols.console import frames
from adapters.protocols.console.frames import BOARD, HERE, LOG, WAY
from adapters.protocols.console.requests import (
    Board,
    Look,
    Page,
    State,
    Unboard,
    UnreadableFrame,
    Unwatch,
    Watch,
    read_request,
)
from core.audit import NoteAccess
from core.dialect import Handshake, Output, Recall, Tell, Tune, Untune, Write
from core.identifiers import Category, StreamName
from core.messages import Accepted, Busy, Outcome, Refused, Unavailable

MAX_WATCHED = 50
"""Streams a connection may watch at one time."""
MAX_WAITING = 200
"""Requests that may wait until it is on record that they were asked."""
MAX_NOTED = 10_000
"""Streams of which a connection remembers that it is on record; beyond, they are noted again."""
MAX_BEHIND = 100_000
"""Positions of the log that are read through for who watches from behind; who is farther behind asks for pages."""

_NOT_RECORDED = "What is asked must be put on record first, and that cannot be done now"


class ConsoleConnection:
    """Every request is answered. What is asked of a stream (or of the board) for the first time is put on record, and
    answered when that is durable; so answers to different streams may come in another order than they were asked in."""

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self._asked: deque[Look | None] = deque()
        """Requests that will be told where the log is, in the order the shell takes them; None: given up meanwhile."""
        self._waiting: dict[str, list[Look]] = {}
        """Those that wait for the record of what they ask of, which is the board or a stream."""
        self._noted: set[str] = set()
        self._watched: set[StreamName] = set()
        self._tuning: list[Board | Watch] = []
        self._recalling: list[Page | State] = []

    def opened(self, now: int) -> Sequence[Output]:  # noqa: ARG002  # the protocol's signature
        return (Write(frames.hello(self._handshake)),)

    def received(self, frame: str | bytes, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        try:
            request = read_request(frame)
        except UnreadableFrame as fault:
            return (Write(frames.error(fault.id, fault.code, fault.message)),)
        match request:
            case Unboard(id):
                return *self._given_up(BOARD), Untune(LOG), Write(wire.encode(frames.Untuned(id, BOARD)))
            case Unwatch(id, stream):
                self._watched.discard(stream)
                untuned = Untune(frames.topic_of(stream)), Write(wire.encode(frames.Untuned(id, str(stream))))
                return *self._given_up(str(stream)), *untuned
            case _:
                return self._look(request)

    def throttled(self, retry_after: float, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        return (Write(frames.error(None, "rate_limited", "Too many messages", retry_after)),)

    def settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        of = tell.command.question.get("stream", BOARD)
        waiting = self._waiting.pop(of, [])
        match outcome:
            case Accepted():
                if len(self._noted) >= MAX_NOTED:
                    self._noted.clear()
                self._noted.add(of)
                return [output for request in waiting for output in self._serve(request)]
            case Busy(retry_after) | Unavailable(retry_after=retry_after):
                return [Write(frames.error(one.id, "busy", _NOT_RECORDED, retry_after)) for one in waiting]
            case Refused():
                return [Write(frames.error(one.id, "busy", _NOT_RECORDED)) for one in waiting]
            case _:
                assert_never(outcome)

    def recalled(self, stream: StreamName, state: Any, version: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        asked = [one for one in self._recalling if one.stream == stream and _since(one) >= version]
        request = min(asked, key=_since)  # a stream that ends before is told as far as it goes
        self._recalling.remove(request)
        if not isinstance(request, State):
            return ()
        if version < request.at:
            return (Write(frames.error(request.id, "not_found", f"{stream} has {version} events, not {request.at}")),)
        return (Write(wire.encode(frames.State(request.id, str(stream), version, state))),)

    def tuned(self, topic: str, position: int, now: int) -> Sequence[Output]:
        if topic == HERE:
            request = self._asked.popleft()
            return () if request is None else self._begin(request, position, now)
        request = next(one for one in self._tuning if _topic(one) == topic)
        self._tuning.remove(request)
        return (Write(wire.encode(frames.Tuned(request.id, _subject(request), position))),)

    def closed(self, now: int) -> Sequence[Output]:  # noqa: ARG002  # as above
        return ()

    # --- requests ---

    def _look(self, request: Look) -> Sequence[Output]:
        is_resuming = isinstance(request, Watch) and request.after is not None
        if _subject(request) in self._noted and not is_resuming:
            return self._serve(request)
        self._asked.append(request)
        return Tune(HERE), Untune(HERE)

    def _begin(self, request: Look, head: int, now: int) -> Sequence[Output]:
        """Serve it, if it is on record that somebody asks; else put it there first. The shell does that before all that
        waits for its turn, so it may come before what was asked, and put on record, earlier."""
        if isinstance(request, Watch) and request.after is not None and head - request.after > MAX_BEHIND:
            problem = f"That is {head - request.after} positions back, more than {MAX_BEHIND}; ask for pages"
            return (Write(frames.error(request.id, "too_far_behind", problem)),)
        of = _subject(request)
        if of in self._noted:
            return self._serve(request)
        if sum(map(len, self._waiting.values())) >= MAX_WAITING:
            return (Write(frames.error(request.id, "too_many", f"More than {MAX_WAITING} requests wait")),)
        if of in self._waiting:
            self._waiting[of].append(request)
            return ()
        self._waiting[of] = [request]
        question: dict[str, str | int | bool] = {"board": True} if of == BOARD else {"stream": of}
        return (Tell(_audit_at(now), NoteAccess(WAY, question, 0, head)),)

    def _serve(self, request: Look) -> Sequence[Output]:
        match request:
            case Board():
                self._tuning.append(request)
                return (Tune(LOG),)
            case Watch():
                return self._watch(request)
            case Page(id, stream, after, until):
                self._recalling.append(request)
                begin, end = frames.Page(id, str(stream), after), frames.PageEnd(id)
                return Write(wire.encode(begin)), Recall(stream, after, until), Write(wire.encode(end))
            case State(_, stream, at):
                self._recalling.append(request)
                return (Recall(stream, at, at),)
            case _:
                assert_never(request)

    def _given_up(self, of: str) -> Sequence[Output]:
        """Answer who waits to hear this: it is to be told no more. Nothing of it may wait for the record, which is made
        all the same."""
        waiting = self._waiting.get(of, [])
        given_up = [one for one in (*waiting, *self._asked) if _hears(one, of)]
        waiting[:] = [one for one in waiting if not _hears(one, of)]
        self._asked = deque(None if _hears(one, of) else one for one in self._asked)
        return [Write(frames.error(one.id, "cancelled", f"{of} is to be told no more")) for one in given_up if one]

    def _watch(self, request: Watch) -> Sequence[Output]:
        if request.stream not in self._watched and len(self._watched) >= MAX_WATCHED:
            problem = f"A connection watches at most {MAX_WATCHED} streams"
            return (Write(frames.error(request.id, "too_many", problem)),)
        self._watched.add(request.stream)
        self._tuning.append(request)
        return (Tune(frames.topic_of(request.stream), request.after),)


def _subject(request: Look) -> str:
    """What is asked of."""
    return BOARD if isinstance(request, Board) else str(request.stream)


def _hears(request: Look | None, of: str) -> bool:
    """Whether it asks to be told of this from now on."""
    return isinstance(request, Board | Watch) and _subject(request) == of


def _topic(request: Board | Watch) -> str:
    return LOG if isinstance(request, Board) else frames.topic_of(request.stream)


def _since(request: Page | State) -> int:
    """The version whose state the shell tells first."""
    return request.after if isinstance(request, Page) else request.at


def _audit_at(now: int) -> StreamName:
    """The stream of the day, in UTC."""
    return StreamName.of(Category.AUDIT, wire.iso_time(now)[:10])
