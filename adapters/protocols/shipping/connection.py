"""One device's side of the talk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Any, assert_never
from uuid import UUID, uuid5

from adapters.protocols import wire
from adapters.protocols.shipping import frames
from adapters.protocols.shipping.asking import Ask, command_of, find_request
from adapters.protocols.shipping.requests import (
    Asked,
    ContextNews,
    Ping,
    RatesWanted,
    StateWanted,
    ToolCall,
    UnreadableFrame,
    read_asked,
)
from core.dialect import Close, Handshake, Hear, Listen, Output, Recall, Tell, Write
from core.identifiers import Category, MalformedStreamName, StreamName
from core.messages import Accepted, Busy, Outcome, Refused, Unavailable
from core.session import ExpireSession, JoinDevice, LeaveDevice, OpenSession, Session, ShareAnswer, UpdateContext

DIALECT = "shipping"
MAX_HELD = 64
"""Frames that may wait for this connection's join; what comes beyond is answered busy, behind them."""
MAX_HELD_CHARACTERS = 16 * 1024 * 1024
"""Characters in the frames that wait; the first of them may be longer."""
MAX_WAITING = 1024
"""Answers that may wait for the join; a client that sends more is closed."""

FLOODED = Close(4008, "too much at once; come back")
TRY_AGAIN = Close(1013, "Try again later")
FAILED = Close(1011, "The session cannot be joined")

_BUSY = "The session is busy"
_UNAVAILABLE = "The session cannot be reached now"
_REQUESTS = UUID("6f2f5c1e-6a58-5c0f-9d3b-0d2a3a1f7c55")
"""Name space of the request ids that clients did not choose."""


class Stage(Enum):
    LOOKING = auto()
    JOINING = auto()
    TALKING = auto()
    CLOSED = auto()


class ShippingConnection:
    """One device. It joins the session its URL names, or else opens one; nothing is written before it has joined.

    A session one may not join is not told from one that is not there, and so it is looked at first: an overdue one
    ends by that, and of any other nothing changes.
    """

    def __init__(self, handshake: Handshake, *, max_age: int | None) -> None:
        self._handshake, self._user, self._max_age = handshake, handshake.principal, max_age
        self._stage = Stage.LOOKING
        self._stream: StreamName | None = None
        self._session_id = handshake.new_id
        self._joins = False
        self._waiting: list[Callable[[int], Sequence[Output]]] = []
        self._held = self._held_characters = self._requests = 0
        self._place: frames.Place = {}

    def opened(self, now: int) -> Sequence[Output]:
        named = self._handshake.query.get("session_id", "")
        try:
            return (Tell(StreamName.of(Category.SESSION, named), ExpireSession(now)),)
        except MalformedStreamName:
            return self._open(now)

    def received(self, frame: str | bytes, now: int) -> Sequence[Output]:
        match self._stage:
            case Stage.CLOSED:
                return ()
            case Stage.TALKING:
                return self._take(frame, now)
            case _:
                return self._hold(frame)

    def throttled(self, retry_after: float, now: int) -> Sequence[Output]:
        """The shell did not take a frame, as this client sends too many."""
        if self._stage is Stage.CLOSED:
            return ()
        complain = partial(self._complain, "Too many messages", retry_after)
        return complain(now) if self._stage is Stage.TALKING else self._wait(complain)

    def settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:
        if self._stage is Stage.CLOSED:
            return ()
        if isinstance(tell, Ask):
            return self._ask_settled(tell, outcome, now)
        match outcome:
            case Accepted():
                return self._entered(tell, outcome, now)
            case Refused(rejection) if rejection.code == "busy":
                return self._turn_away(rejection.message, TRY_AGAIN, now, rejection.retry_after)
            case Refused():
                return self._turned_away(tell, now)
            case Busy(retry_after):
                return self._turn_away(_BUSY, TRY_AGAIN, now, retry_after)
            case Unavailable(retry_after=retry_after):
                return self._turn_away(_UNAVAILABLE, TRY_AGAIN, now, retry_after)
            case _:
                assert_never(outcome)

    def recalled(self, stream: StreamName, state: Any, version: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        return ()

    def tuned(self, topic: str, position: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        return ()

    def closed(self, now: int) -> Sequence[Output]:
        """A join not settled yet is left too: the actor takes the two in this order."""
        self._stage = Stage.CLOSED
        if not self._joins or self._stream is None:
            return ()
        return (Tell(self._stream, LeaveDevice(self._handshake.connection_id, now)),)

    # --- the way in ---

    def _open(self, now: int) -> Sequence[Output]:
        """A session of our own, and into it."""
        stream = StreamName.of(Category.SESSION, self._handshake.new_id)
        info = {"username": self._user}
        return Tell(stream, OpenSession(self._user, DIALECT, now, self._max_age, info)), *self._join(stream, now)

    def _join(self, stream: StreamName, now: int) -> Sequence[Output]:
        self._stage, self._joins = Stage.JOINING, True
        self._stream, self._session_id = stream, stream.id
        return Listen(stream), Tell(stream, JoinDevice(self._handshake.connection_id, self._user, DIALECT, now))

    def _entered(self, tell: Tell, outcome: Accepted, now: int) -> Sequence[Output]:
        match tell.command:
            case ExpireSession():
                state: Session = outcome.state
                is_ours = (state.user, state.opened_via, state.expired) == (self._user, DIALECT, False)
                return self._join(tell.stream, now) if is_ours else self._open(now)
            case JoinDevice():
                return self._welcome(tell.stream, outcome, now)
            case _:
                return ()

    def _welcome(self, stream: StreamName, joined: Accepted, now: int) -> Sequence[Output]:
        """No greeting: a client takes the first frame for the answer to its first request.

        One who comes back with `since` gets what all of its session heard meanwhile; an answer to somebody alone is
        had by asking again, with the same id.
        """
        self._stage = Stage.TALKING
        named = self._handshake.query.get("session_id") == stream.id
        since = wire.resumes_from(self._handshake, joined.version) if named else None
        self._place = {"epoch": self._handshake.epoch, "seq": joined.version, "recovered": since is not None}
        waiting, self._waiting = self._waiting, []
        answers = [output for due in waiting for output in due(now)]
        missed = () if since is None else (Recall(stream, since, joined.version),)
        return *missed, Hear(stream, joined.state, joined.version), *answers

    def _turned_away(self, tell: Tell, now: int) -> Sequence[Output]:
        """Silently into a session of our own; out where even that cannot be had."""
        if tell.stream.id != self._handshake.new_id:
            return self._open(now)
        return self._turn_away("The session cannot be joined", FAILED, now)

    def _turn_away(self, message: str, close: Close, now: int, retry_after: float | None = None) -> Sequence[Output]:
        complaint = self._complain(message, retry_after, now)
        self._stage, self._waiting = Stage.CLOSED, []
        return *complaint, close

    def _hold(self, frame: str | bytes) -> Sequence[Output]:
        room = MAX_HELD_CHARACTERS - self._held_characters
        if self._held >= MAX_HELD or (len(frame) > room and self._held):
            return self._wait(partial(self._complain, "Still joining the session", 1.0))
        self._held += 1
        self._held_characters += len(frame)
        return self._wait(partial(self._take, frame))

    def _wait(self, due: Callable[[int], Sequence[Output]]) -> Sequence[Output]:
        self._waiting.append(due)
        if len(self._waiting) <= MAX_WAITING:
            return ()
        self._stage, self._waiting = Stage.CLOSED, []
        return (FLOODED,)

    # --- frames ---

    def _take(self, frame: str | bytes, now: int) -> Sequence[Output]:
        """Every frame is answered at once, or told as a command."""
        try:
            asked = read_asked(frame)
        except UnreadableFrame as fault:
            said = frames.error(fault.message, fault.original)
            return (self._write(said, now, fault.request_id or self._new_request_id(), fault.command_id),)
        request_id = asked.request_id or self._new_request_id()
        if isinstance(asked.request, Ping) and not asked.broadcast:
            return (self._write(frames.PONG, now, request_id, asked.command_id),)
        return (self._ask(asked, request_id, now, asked.command_id),)

    def _ask(self, asked: Asked, request_id: str, now: int, command_id: str | None) -> Ask:
        """Looking changes nothing, and so is never a repetition. Of updates and shared answers that are, a session
        remembers nothing: they are known by an id alone, also where the client's own is their `requestId`."""
        stream = StreamName.of(Category.SESSION, self._session_id)
        command, chosen = command_of(asked, request_id, now), asked.request_id
        match command:
            case ExpireSession():
                command_id = None
            case UpdateContext(text, content=content) if command_id is None and chosen is not None:
                command_id = frames.derived_id(chosen, text, content)
            case ShareAnswer(question) if command_id is None and chosen is not None:
                command_id = frames.derived_id(chosen, frames.NO_TEXT, question)
        return Ask(stream, command, command_id, asked=asked, request_id=request_id)

    def _ask_settled(self, ask: Ask, outcome: Outcome, now: int) -> Sequence[Output]:
        match outcome:
            case Accepted():
                return self._accepted(ask, outcome, now)
            case Refused(rejection):
                return self._fail(ask, rejection.message, rejection.retry_after, now)
            case Busy(retry_after):
                return self._fail(ask, _BUSY, retry_after, now)
            case Unavailable(retry_after=retry_after):
                return self._fail(ask, _UNAVAILABLE, retry_after, now)
            case _:
                assert_never(outcome)

    def _accepted(self, ask: Ask, outcome: Accepted, now: int) -> Sequence[Output]:
        """What is shared comes by itself, as to all. Repeated, its sender is answered anew, and what it is told is
        the state as it is now: an old one never hides a newer one."""
        match ask.asked.request:
            case StateWanted() | Ping() if ask.asked.broadcast and not outcome.repeated:
                return ()
            case StateWanted():
                return (self._answer(ask, frames.session_state(outcome.state), now),)
            case Ping():
                return (self._answer(ask, frames.PONG, now),)
            case ContextNews():
                receipt = self._answer(ask, frames.UPDATE_RECEIVED, now)
                shown = None if outcome.repeated else frames.render(outcome.records[0], outcome.state)
                return (receipt,) if shown is None else (receipt, Write(shown.body))
            case _:
                return self._requested(ask, outcome, now)

    def _requested(self, ask: Ask, outcome: Accepted, now: int) -> Sequence[Output]:
        """The first time the answer comes by itself. Later it is the recorded one, or that which all will hear.

        What a `command_id` led to before, without its answer being known, is asked again by its own id: under way, all
        are to hear of it; forgotten, it is done again, which the carrier answers as it did.
        """
        if outcome.records and not outcome.repeated:
            return ()
        known = find_request(ask.command, outcome)
        if known is not None and known.number not in {request.number for request in outcome.state.open}:
            return (self._answer(ask, frames.answer(known), now),)
        return (self._ask(ask.asked, ask.request_id, now, None),) if outcome.repeated else ()

    # --- writing ---

    def _fail(self, ask: Ask, message: str, retry_after: float | None, now: int) -> Sequence[Output]:
        match ask.asked.request:
            case ToolCall() as call:
                said = frames.tool_failure(call.tool_call_id, message, call.original(), retry_after)
            case RatesWanted(shipment):
                said = frames.error(message, shipment, retry_after)
            case _:
                said = frames.error(message, None, retry_after)
        return (self._answer(ask, said, now),)

    def _complain(self, message: str, retry_after: float | None, now: int) -> Sequence[Output]:
        return (self._write(frames.error(message, None, retry_after), now, self._new_request_id()),)

    def _answer(self, ask: Ask, said: frames.Said, now: int) -> Write:
        return self._write(said, now, ask.request_id, ask.asked.command_id)

    def _write(self, said: frames.Said, now: int, request_id: str, command_id: str | None = None) -> Write:
        """The first one this connection writes says where in the log it is."""
        place, self._place = self._place, {}
        return Write(frames.envelope(said, now, request_id, self._user, self._session_id, command_id, place))

    def _new_request_id(self) -> str:
        """A UUID of its own for what came without one; made of what it is, as a dialect has no randomness."""
        self._requests += 1
        return str(uuid5(_REQUESTS, f"{self._handshake.connection_id}/{self._requests}"))
