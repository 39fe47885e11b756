"""What the server sends: the envelope, and each event as clients see it. Pure: an event gives the same bytes always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, NotRequired, TypedDict, TypeVar, assert_never

from msgspec import UNSET, Struct, UnsetType

from adapters.protocols import wire
from core.conversation import (
    ChannelChosen,
    ClientJoined,
    ClientLeft,
    Conversation,
    ConversationForked,
    ConversationMigrated,
    ConversationOpened,
    Event,
    FinalHeard,
    InterimHeard,
    MessageSaid,
    Phase,
    PhaseEntered,
    ReplyBegun,
    ReplyFailed,
    ReplyInterrupted,
    ReplyPieceAdded,
    ReplyToolBegun,
    ReplyToolEnded,
    Role,
    SpeechReported,
)
from core.decider import CommandRejected
from core.dialect import Frame
from core.messages import Recorded

K = TypeVar("K", bound=str)
P = TypeVar("P", bound=Mapping[str, Any])

ERROR_TYPES = (
    "conversation_not_found", "invalid_json", "unknown_message_type", "validation_error", "invalid_state",
    "message_handling_error", "rate_limited", "busy",
)  # fmt: skip


class Message(Struct, Generic[K, P], frozen=True):
    """The envelope of the frames to clients; what is unset is not sent."""

    type: K
    conversation_id: str
    timestamp: str
    payload: P
    seq: wire.Version | UnsetType = UNSET
    command_id: wire.EchoedId | UnsetType = UNSET
    repeated: wire.Repeated | UnsetType = UNSET


class PhaseFields(TypedDict):
    """What stands beside these is the metadata of who asked for the change."""

    current_state: Annotated[str, wire.one_of(Phase)]
    speech_recognition_active: bool
    speech_synthesis_active: bool


class Transcript(TypedDict):
    final_transcript: str
    interim_transcript: str | None


class GreetingFields(PhaseFields):
    """Of a conversation that has ended there is no transcript any more."""

    transcript: NotRequired[Transcript]


class Greeting(Struct, frozen=True, tag_field="type", tag="state_update"):
    """The first frame: the state, and from where the client hears what changes it."""

    conversation_id: str
    timestamp: str
    payload: GreetingFields
    seq: wire.Version
    epoch: wire.Epoch
    recovered: wire.Recovered


class TranscriptFields(TypedDict):
    interim_transcript: str | None
    accumulated_transcript: str
    confidence: float | None


class AnswerFields(TypedDict):
    message_id: str
    content: str
    audio_url: str | None
    feedback: dict[str, Any] | None


class DeltaFields(TypedDict):
    """A piece of the answer `message_id`. With `index` null a new attempt begins: what earlier ones said is void."""

    message_id: str
    attempt: int
    index: int | None
    delta: str


class SpeechFields(TypedDict):
    event_type: str
    data: dict[str, Any]


class PresenceFields(TypedDict):
    status: Literal["connected", "disconnected"]
    client_count: int


class AliveFields(TypedDict):
    status: Literal["alive"]
    server_time: str


class ErrorFields(TypedDict):
    error_type: Annotated[str, wire.one_of(ERROR_TYPES)]
    message: str
    retry_after: wire.RetryAfter | None


Shown = tuple[str, Mapping[str, Any]]
"""A frame's type and payload."""


def show(event: Event | CommandRejected, state: Conversation, *, deltas: bool) -> Shown | None:
    """The frame of an event, None when clients of this dialect do not see it. `state` is used for transcripts alone."""
    match event:
        case InterimHeard() | FinalHeard():
            return "transcript_update", _transcript(state, event.confidence)
        case ReplyPieceAdded(reply_id, attempt, index, text) if deltas:
            return "ai_response_delta", _delta(reply_id, attempt, index, text)
        case PhaseEntered(phase, _, metadata):
            return "state_update", phase_fields(phase, metadata)
        case MessageSaid(role=Role.ASSISTANT):
            return "ai_response", _answer(event)
        case SpeechReported(event_type, data):
            return "speech_event", SpeechFields(event_type=event_type, data=data)
        case ReplyBegun(reply_id, attempt) if deltas:
            return "ai_response_delta", _delta(reply_id, attempt, None, "")
        case ReplyFailed(_, reason, retry_after):
            return "error", error_fields("message_handling_error", f"No answer: {reason}", retry_after)
        case ClientJoined(_, client_count):
            return "connection_status", PresenceFields(status="connected", client_count=client_count)
        case ClientLeft(_, client_count):
            return "connection_status", PresenceFields(status="disconnected", client_count=client_count)
        case MessageSaid() | ReplyPieceAdded() | ReplyBegun() | ReplyInterrupted() | CommandRejected():
            return None
        case ConversationOpened() | ConversationMigrated() | ChannelChosen() | ReplyToolBegun() | ReplyToolEnded():
            return None
        case ConversationForked():
            return None
        case _:
            assert_never(event)


def phase_fields(phase: Phase, metadata: Mapping[str, Any]) -> dict[str, Any]:
    shown = the_phase(phase)
    return {**shown, **{key: value for key, value in metadata.items() if key not in shown}}


def the_phase(phase: Phase) -> GreetingFields:
    return {
        "current_state": phase.value,
        "speech_recognition_active": phase is Phase.LISTENING,
        "speech_synthesis_active": phase is Phase.SPEAKING,
    }


def greeting_fields(phase: Phase, transcript: Transcript) -> GreetingFields:
    return {**the_phase(phase), "transcript": transcript}


def _transcript(state: Conversation, confidence: float | None) -> TranscriptFields:
    return {
        "interim_transcript": state.interim,
        "accumulated_transcript": state.transcript,
        "confidence": confidence,
    }


def _delta(reply_id: str, attempt: int, index: int | None, text: str) -> DeltaFields:
    return {"message_id": reply_id, "attempt": attempt, "index": index, "delta": text}


def _answer(event: MessageSaid) -> AnswerFields:
    return {
        "message_id": event.message_id,
        "content": event.content,
        "audio_url": event.audio_url,
        "feedback": event.feedback,
    }


def error_fields(error_type: str, message: str, retry_after: float | None = None) -> ErrorFields:
    return {"error_type": error_type, "message": message, "retry_after": retry_after}


def render(record: Recorded, state: Conversation, *, deltas: bool) -> Frame | None:
    """The frame all listeners get of a record, with the version to resume behind."""
    shown = show(record.event, state, deltas=deltas)
    return None if shown is None else Frame(_encode_record(record, shown, seq=record.version))


def repeat(record: Recorded, state: Conversation, *, deltas: bool) -> Frame | None:
    """The frame that tells a sender alone what its command led to the first time; `state` is today's."""
    shown = show(record.event, state, deltas=deltas)
    return None if shown is None else Frame(_encode_record(record, shown, repeated=True))


def _encode_record(
    record: Recorded, shown: Shown, *, seq: int | UnsetType = UNSET, repeated: bool | UnsetType = UNSET
) -> bytes:
    command_id = UNSET if record.stamp.client_command_id is None else record.stamp.client_command_id
    time = wire.iso_time(record.stamp.time)
    return wire.encode(Message(shown[0], record.stream.id, time, shown[1], seq, command_id, repeated))
