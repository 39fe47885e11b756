"""One device's side of the talk."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import partial
from typing import Any, assert_never

from adapters.protocols import wire
from adapters.protocols.streams import frames
from adapters.protocols.streams.naming import stream_of
from adapters.protocols.streams.requests import Greet, Ping, Request, Unknown, UnreadableFrame, read_request
from core.dialect import Close, Handshake, Hear, Listen, Output, Recall, Tell, Tune, Write
from core.identifiers import MalformedStreamName, StreamName
from core.messages import Accepted, Busy, Outcome, Refused, Unavailable
from core.session import JoinDevice, LeaveDevice, OpenSession, RequestTranscription

VIA = "streams"
"""What sessions of this dialect are opened via; those of another dialect are none of it."""
EVERYBODY = "everybody"
"""Whose a session is here: who is let in at all may share any, as one has to for a call between two people."""

MAX_HELD = 1024
"""Frames that may wait for this connection's own join."""
MAX_HELD_CHARACTERS = 16 * 1024 * 1024
"""Characters in them; the first may be longer."""

NOT_FOUND = Close(1008, "Session not found")
TRY_AGAIN = Close(1013, "Try again later")
FAILED = Close(1011, "The session cannot be joined")
FLOODED = Close(4008, "too much at once; come back with since")

_BUSY = "The session is busy"
_UNAVAILABLE = "The session cannot be reached now"


class Stage(Enum):
    JOINING = auto()
    TALKING = auto()
    CLOSED = auto()


class StreamsConnection:
    """One device. Its session is opened by whoever comes first; until it has joined, what it sends waits."""

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self._id = handshake.path["session_id"].encode("utf-8", "replace").decode()  # no lone surrogates
        self._stage = Stage.JOINING
        self._joins = False
        self._held: list[Output] = []
        self._held_frames = self._held_characters = 0

    def opened(self, now: int) -> Sequence[Output]:
        try:
            self._stream = stream_of(self._id)
        except MalformedStreamName:
            return self._turn_away("Session not found", NOT_FOUND, now)
        self._joins = True
        join = JoinDevice(self._handshake.connection_id, EVERYBODY, VIA, now)
        opening = Tell(self._stream, OpenSession(EVERYBODY, VIA, now))
        return Listen(self._stream), opening, Tell(self._stream, join)

    def received(self, frame: str | bytes, now: int) -> Sequence[Output]:
        if self._stage is Stage.CLOSED:
            return ()
        return self._in_turn(self._read(frame, now), len(frame))

    def throttled(self, retry_after: float, now: int) -> Sequence[Output]:
        """The shell did not take a frame, as this client sends too many."""
        if self._stage is Stage.CLOSED:
            return ()
        return self._in_turn((self._complain("Too many messages", now, retry_after=retry_after),), 0)

    def settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:
        if self._stage is Stage.CLOSED:
            return ()
        if isinstance(tell.command, OpenSession | JoinDevice):
            return self._join_settled(tell.command, outcome, now)
        return self._command_settled(tell, outcome, now)

    def recalled(self, stream: StreamName, state: Any, version: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        return (self._greeting(version, now, recovered=True),)

    def tuned(self, topic: str, position: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        return ()

    def closed(self, now: int) -> Sequence[Output]:
        """A join not settled yet is left too: the actor takes the two in this order."""
        self._stage = Stage.CLOSED
        leaving = LeaveDevice(self._handshake.connection_id, now)
        return (Tell(self._stream, leaving),) if self._joins else ()

    # --- frames ---

    def _read(self, frame: str | bytes, now: int) -> Sequence[Output]:
        try:
            request = read_request(frame, self._handshake.connection_id, now)
        except UnreadableFrame as error:
            return (self._complain(error.message, now, error.command_id, transcription=error.transcription),)
        return self._answer(request, now)

    def _answer(self, request: Request, now: int) -> Sequence[Output]:
        """What concerns nobody but this connection is answered here, the rest told."""
        command_id = request.command_id
        match request.asked:
            case Ping():
                return (self._write(frames.Pong, now, command_id=command_id),)
            case Greet():
                said = partial(frames.TestResponse, "Test message received")
                return (self._write(said, now, command_id=command_id),)
            case Unknown(kind):
                message = f"Unknown message type: {wire.excerpt(kind)}"
                unknown = self._write(partial(frames.UnknownMessage, message), now, command_id=command_id)
                return unknown, self._complain(message, now, command_id)
            case command:
                return (Tell(self._stream, command, command_id, request.body),)

    def _in_turn(self, outputs: Sequence[Output], size: int) -> Sequence[Output]:
        """At once, or behind the greeting."""
        if self._stage is Stage.TALKING:
            return outputs
        self._held.extend(outputs)
        self._held_frames += 1
        self._held_characters += size
        if self._held_frames > MAX_HELD or (self._held_frames > 1 and self._held_characters > MAX_HELD_CHARACTERS):
            self._stage = Stage.CLOSED
            self._held.clear()
            return (FLOODED,)
        return ()

    # --- outcomes ---

    def _join_settled(self, command: OpenSession | JoinDevice, outcome: Outcome, now: int) -> Sequence[Output]:
        match outcome:
            case Accepted():
                return self._welcome(outcome, now) if isinstance(command, JoinDevice) else ()
            case Refused(rejection) if rejection.code == "busy":
                return self._turn_away(rejection.message, TRY_AGAIN, now, rejection.retry_after)
            case Refused(rejection):
                close = NOT_FOUND if rejection.code == "session_not_found" else FAILED
                return self._turn_away(rejection.message, close, now)
            case Busy(retry_after):
                return self._turn_away(_BUSY, TRY_AGAIN, now, retry_after)
            case Unavailable(retry_after=retry_after):
                return self._turn_away(_UNAVAILABLE, TRY_AGAIN, now, retry_after)
            case _:
                assert_never(outcome)

    def _welcome(self, joined: Accepted, now: int) -> Sequence[Output]:
        self._stage = Stage.TALKING
        held, self._held = self._held, []
        stream, version = self._stream, joined.version
        since = wire.resumes_from(self._handshake, version)
        hearing = Hear(stream, joined.state, version), Tune(frames.CHAT), *held
        if since is not None:
            return Recall(stream, since, version), *hearing
        return self._greeting(version, now, recovered=False), *hearing

    def _command_settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:
        is_transcription = isinstance(tell.command, RequestTranscription)
        complain = partial(self._complain, now=now, command_id=tell.command_id, transcription=is_transcription)
        match outcome:
            case Accepted(records, repeated=True):
                return [Write(body) for body in map(frames.repeat, records) if body is not None]
            case Accepted():
                return ()
            case Refused(rejection, _, repeated):
                again = True if repeated else None
                return (complain(rejection.message, retry_after=rejection.retry_after, repeated=again),)
            case Busy(retry_after):
                return (complain(_BUSY, retry_after=retry_after),)
            case Unavailable(retry_after=retry_after):
                return (complain(_UNAVAILABLE, retry_after=retry_after),)
            case _:
                assert_never(outcome)

    # --- writing ---

    def _write(self, said: frames.Said, now: int, **more: Any) -> Write:
        return Write(frames.encode(said, self._id, now, **more))

    def _complain(
        self, message: str, now: int, command_id: str | None = None, retry_after: float | None = None, *,
        transcription: bool = False, **more: Any,
    ) -> Write:  # fmt: skip
        kind = frames.TranscriptionError if transcription else frames.ErrorMessage
        return self._write(partial(kind, message), now, command_id=command_id, retry_after=retry_after, **more)

    def _greeting(self, version: int, now: int, *, recovered: bool) -> Write:
        message, epoch = f"Connected to session {self._id}", self._handshake.epoch
        said = partial(frames.ConnectionEstablished, message, self._handshake.connection_id)
        return self._write(said, now, seq=version, epoch=epoch, recovered=recovered)

    def _turn_away(self, message: str, close: Close, now: int, retry_after: float | None = None) -> Sequence[Output]:
        self._stage = Stage.CLOSED
        return self._complain(message, now, retry_after=retry_after), close
