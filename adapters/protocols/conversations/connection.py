"""One device's side of the talk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, assert_never

from msgspec import UNSET, UnsetType

from adapters.protocols import wire
from adapters.protocols.conversations import frames
from adapters.protocols.conversations.frames import error_fields
from adapters.protocols.conversations.requests import UnreadableFrame, read_request
from core.conversation import Conversation, JoinClient, LeaveClient, Phase
from core.decider import Rejected
from core.dialect import Close, Handshake, Hear, Listen, Output, Recall, Tell, Write
from core.identifiers import Category, MalformedStreamName, StreamName
from core.messages import Accepted, Busy, Outcome, Refused, Unavailable

MAX_HELD_COMMANDS = 64
"""Commands that may wait for this connection's own join."""
MAX_HELD_CHARACTERS = 16 * 1024 * 1024
"""Characters in the frames of the commands that wait; the first of them may be longer."""

ENDED = Close(1000, "Conversation ended")
FLOODED = Close(4008, "too much at once; come back with since")
MAX_HELD_OUTPUTS = 1024
"""Answers and commands that may wait behind the greeting; a client that sends more is closed."""
NOT_FOUND = Close(1008, "Conversation not found")
TRY_AGAIN = Close(1013, "Try again later")
FAILED = Close(1011, "The conversation cannot be joined")


_ERROR_TYPES = {"too_long": "validation_error", "busy": "busy"}
"""Of the decider's rejections; those not named here are a `message_handling_error`."""

_NO_CONVERSATION = error_fields("conversation_not_found", "Conversation not found")
_BUSY = "The conversation is busy"
_UNAVAILABLE = "The conversation cannot be reached now"


class Stage(Enum):
    JOINING = auto()
    TALKING = auto()
    CLOSED = auto()


class ConversationsConnection:
    """One device. It joins its conversation, then every frame is answered by exactly one error or told as a command.

    Until the join has settled nothing is written, as the greeting comes first: what is to be told or written waits.
    """

    def __init__(self, handshake: Handshake, *, deltas: bool) -> None:
        self._handshake, self._deltas = handshake, deltas
        self._id = handshake.path["conversation_id"].encode("utf-8", "replace").decode()  # no lone surrogates
        self._stage = Stage.JOINING
        self._joins = False
        self._held: list[Write | Tell] = []
        self._held_commands = 0
        self._held_characters = 0

    def opened(self, now: int) -> Sequence[Output]:
        try:
            self._stream = StreamName.of(Category.CONVERSATION, self._id)
        except MalformedStreamName:
            return self._turn_away(_NO_CONVERSATION, NOT_FOUND, now)
        self._joins = True
        return Listen(self._stream), Tell(self._stream, JoinClient(self._handshake.connection_id))

    def received(self, frame: str | bytes, now: int) -> Sequence[Output]:
        if self._stage is Stage.CLOSED:
            return ()
        return self._in_turn(self._read(frame, now), len(frame), now)

    def throttled(self, retry_after: float, now: int) -> Sequence[Output]:
        """The shell did not take a frame, as this client sends too many."""
        if self._stage is Stage.CLOSED:
            return ()
        return self._in_turn(self._complain("rate_limited", "Too many messages", now, retry_after), 0, now)

    def settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:
        if self._stage is Stage.CLOSED:
            return ()
        if isinstance(tell.command, JoinClient):
            return self._join_settled(outcome, now)
        return self._command_settled(tell, outcome, now)

    def recalled(self, stream: StreamName, state: Any, version: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        return (self._greeting(state, version, now, recovered=True),)

    def tuned(self, topic: str, position: int, now: int) -> Sequence[Output]:  # noqa: ARG002
        return ()

    def closed(self, now: int) -> Sequence[Output]:  # noqa: ARG002  # the protocol's signature
        """A join not settled yet is left too: the actor takes the two in this order."""
        self._stage = Stage.CLOSED
        return (Tell(self._stream, LeaveClient(self._handshake.connection_id)),) if self._joins else ()

    # --- frames ---

    def _read(self, frame: str | bytes, now: int) -> Write | Tell:
        try:
            request, command_id = read_request(frame)
        except UnreadableFrame as error:
            return self._complain(error.error_type, error.message, now, command_id=error.command_id)
        if request is None:
            alive = frames.AliveFields(status="alive", server_time=wire.iso_time(now))
            return self._write("heartbeat_response", alive, now, command_id=command_id)
        return Tell(self._stream, request, command_id)

    def _in_turn(self, output: Write | Tell, size: int, now: int) -> Sequence[Output]:
        """At once, or behind the greeting. Commands waiting beyond the limit are answered busy there."""
        if self._stage is Stage.TALKING:
            return (output,)
        if isinstance(output, Tell):
            room = MAX_HELD_CHARACTERS - self._held_characters
            if self._held_commands < MAX_HELD_COMMANDS and (size <= room or not self._held_commands):
                self._held_commands += 1
                self._held_characters += size
            else:
                output = self._complain("busy", "Still joining the conversation", now, 1.0, output.command_id)
        self._held.append(output)
        if len(self._held) > MAX_HELD_OUTPUTS:
            self._stage = Stage.CLOSED
            self._held.clear()
            return (FLOODED,)
        return ()

    # --- outcomes ---

    def _join_settled(self, outcome: Outcome, now: int) -> Sequence[Output]:
        match outcome:
            case Accepted(state=state) if state.is_legacy:
                return self._turn_away(_NO_CONVERSATION, NOT_FOUND, now)
            case Accepted(state=state) if state.phase is Phase.ENDED:
                return self._welcome_to_the_end(outcome, now)
            case Accepted():
                self._stage = Stage.TALKING
                held, self._held = self._held, []
                return (*self._welcome(outcome, now), *held)
            case Refused(rejection):
                self._joins = False
                return self._join_refused(rejection, now)
            case Busy(retry_after):
                self._joins = False
                return self._turn_away(error_fields("busy", _BUSY, retry_after), TRY_AGAIN, now)
            case Unavailable(retry_after=retry_after):
                return self._turn_away(error_fields("busy", _UNAVAILABLE, retry_after), TRY_AGAIN, now)
            case _:
                assert_never(outcome)

    def _welcome(self, joined: Accepted, now: int) -> Sequence[Output]:
        stream, state, version = self._stream, joined.state, joined.version
        since = wire.resumes_from(self._handshake, version)
        if since is not None:
            return Recall(stream, since, version), Hear(stream, state, version)
        greeting = self._greeting(state, version, now, recovered=False)
        own = frames.render(joined.records[-1], state, deltas=self._deltas)
        status = () if own is None else (Write(own.body),)
        return greeting, *status, Hear(stream, state, version)

    def _welcome_to_the_end(self, looked: Accepted, now: int) -> Sequence[Output]:
        """The end; with all that was missed before it, where the client says since when."""
        self._joins = False
        self._stage = Stage.CLOSED
        since = wire.resumes_from(self._handshake, looked.version)
        if since is None:
            return self._greet(frames.the_phase(Phase.ENDED), looked.version, now, recovered=False), ENDED
        return Recall(self._stream, since, looked.version), ENDED

    def _join_refused(self, rejection: Rejected, now: int) -> Sequence[Output]:
        match rejection.code:
            case "conversation_not_found":
                return self._turn_away(_NO_CONVERSATION, NOT_FOUND, now)
            case "busy":
                return self._turn_away(error_fields("busy", rejection.message, rejection.retry_after), TRY_AGAIN, now)
            case _:
                return self._turn_away(error_fields("message_handling_error", rejection.message), FAILED, now)

    def _command_settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:
        match outcome:
            case Accepted(records, state, _, repeated=True):
                first = [frames.repeat(record, state, deltas=self._deltas) for record in records]
                return [Write(frame.body) for frame in first if frame is not None]
            case Accepted():
                return ()
            case Refused():
                return self._command_refused(tell, outcome, now)
            case Busy(retry_after):
                return (self._complain("busy", _BUSY, now, retry_after, tell.command_id),)
            case Unavailable(retry_after=retry_after):
                return (self._complain("busy", _UNAVAILABLE, now, retry_after, tell.command_id),)
            case _:
                assert_never(outcome)

    def _command_refused(self, tell: Tell, refused: Refused, now: int) -> Sequence[Output]:
        rejection = refused.rejection
        match rejection.code:
            case "illegal_transition":
                return ()
            case "conversation_ended":
                return self._say_ended(now, tell.command_id)
            case "conversation_not_found":
                return self._turn_away(_NO_CONVERSATION, NOT_FOUND, now)
            case code:
                error_type = _ERROR_TYPES.get(code, "message_handling_error")
                error = error_fields(error_type, rejection.message, rejection.retry_after)
                repeated = True if refused.repeated else UNSET
                return (self._write("error", error, now, command_id=tell.command_id, repeated=repeated),)

    # --- writing ---

    def _write(
        self, type: str, payload: Mapping[str, Any], now: int, command_id: str | None = None,
        repeated: bool | UnsetType = UNSET,
    ) -> Write:  # fmt: skip
        chosen = UNSET if command_id is None else command_id
        message = frames.Message(type, self._id, wire.iso_time(now), payload, command_id=chosen, repeated=repeated)
        return Write(wire.encode(message))

    def _complain(
        self, error_type: str, message: str, now: int, retry_after: float | None = None, command_id: str | None = None
    ) -> Write:
        return self._write("error", error_fields(error_type, message, retry_after), now, command_id)

    def _greeting(self, state: Conversation, version: int, now: int, *, recovered: bool) -> Write:
        transcript: frames.Transcript = {"final_transcript": state.transcript, "interim_transcript": state.interim}
        fields = frames.greeting_fields(state.phase or Phase.IDLE, transcript)
        return self._greet(fields, version, now, recovered=recovered)

    def _greet(self, fields: frames.GreetingFields, version: int, now: int, *, recovered: bool) -> Write:
        time, epoch = wire.iso_time(now), self._handshake.epoch
        return Write(wire.encode(frames.Greeting(self._id, time, fields, version, epoch, recovered)))

    def _say_ended(self, now: int, command_id: str | None) -> Sequence[Output]:
        self._stage = Stage.CLOSED
        return self._write("state_update", frames.the_phase(Phase.ENDED), now, command_id), ENDED

    def _turn_away(self, error: frames.ErrorFields, close: Close, now: int) -> Sequence[Output]:
        self._stage = Stage.CLOSED
        return self._write("error", error, now), close
