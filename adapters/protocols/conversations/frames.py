"""What the server sends: the envelope, and each event as clients see it. Pure: an event gives the same bytes always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from msgspec import UNSET, Struct, UnsetType

from adapters.protocols import wire
from core.conversation import (
    ChannelChosen,
    ClientJoined,
    ClientLeft,
    Conversation,
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


class Message(Struct, frozen=True):
    """The envelope of every frame to clients; what is unset is not sent."""

    type: str
    conversation_id: str
    timestamp: str
    payload: dict[str, Any]
    seq: int | UnsetType = UNSET
    epoch: str | UnsetType = UNSET
    recovered: bool | UnsetType = UNSET
    command_id: str | UnsetType = UNSET
    repeated: bool | UnsetType = UNSET


Shown = tuple[str, dict[str, Any]]
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
            return "speech_event", {"event_type": event_type, "data": data}
        case ReplyBegun(reply_id, attempt) if deltas:
            return "ai_response_delta", _delta(reply_id, attempt, None, "")
        case ReplyFailed(_, reason, retry_after):
            return "error", error_fields("message_handling_error", f"No answer: {reason}", retry_after)
        case ClientJoined(_, client_count):
            return "connection_status", {"status": "connected", "client_count": client_count}
        case ClientLeft(_, client_count):
            return "connection_status", {"status": "disconnected", "client_count": client_count}
        case MessageSaid() | ReplyPieceAdded() | ReplyBegun() | ReplyInterrupted() | CommandRejected():
            return None
        case ConversationOpened() | ConversationMigrated() | ChannelChosen() | ReplyToolBegun() | ReplyToolEnded():
            return None
        case _:
            assert_never(event)


def phase_fields(phase: Phase, metadata: Mapping[str, Any] = {}) -> dict[str, Any]:
    shown = {
        "current_state": phase.value,
        "speech_recognition_active": phase is Phase.LISTENING,
        "speech_synthesis_active": phase is Phase.SPEAKING,
    }
    return shown | {key: value for key, value in metadata.items() if key not in shown}


def _transcript(state: Conversation, confidence: float | None) -> dict[str, Any]:
    return {
        "interim_transcript": state.interim,
        "accumulated_transcript": state.transcript,
        "confidence": confidence,
    }


def _delta(reply_id: str, attempt: int, index: int | None, text: str) -> dict[str, Any]:
    """A piece of the answer `reply_id`; with index None a new attempt begins, and what earlier ones said is void."""
    return {"message_id": reply_id, "attempt": attempt, "index": index, "delta": text}


def _answer(event: MessageSaid) -> dict[str, Any]:
    return {
        "message_id": event.message_id,
        "content": event.content,
        "audio_url": event.audio_url,
        "feedback": event.feedback,
    }


def error_fields(error_type: str, message: str, retry_after: float | None = None) -> dict[str, Any]:
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
    return wire.encode(Message(shown[0], record.stream.id, time, shown[1], seq, UNSET, UNSET, command_id, repeated))
