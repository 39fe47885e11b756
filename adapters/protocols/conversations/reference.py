"""What the dialect says of itself in the API reference."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import UNSET, Struct, UnsetType

from adapters.protocols import wire
from adapters.protocols.conversations.frames import (
    AliveFields,
    AnswerFields,
    DeltaFields,
    ErrorFields,
    Greeting,
    Message,
    PhaseFields,
    PresenceFields,
    SpeechFields,
    TranscriptFields,
)
from adapters.protocols.conversations.requests import HeartbeatPayload, SpeechPayload, StatePayload, TranscriptPayload
from core.dialect import Described, Reference

K = TypeVar("K", bound=str)
P = TypeVar("P")


class Asked(Struct, Generic[K, P], frozen=True):
    """The envelope of a client's frame; a `command_id` may stand in the payload too."""

    type: K
    payload: P
    command_id: wire.CommandId = None


class Heartbeat(Struct, frozen=True, tag_field="type", tag="heartbeat"):
    payload: HeartbeatPayload | None = None
    command_id: wire.CommandId = None


class Query(Struct, frozen=True):
    """What stands behind the path's question mark."""

    since: wire.Since | UnsetType = UNSET
    epoch: wire.Epoch | UnsetType = UNSET
    deltas: Literal["true"] | UnsetType = UNSET


PhasePayload = Annotated[dict[str, Any], wire.others_beside(PhaseFields)]

RECEIVED = (
    Described(
        "transcript_update",
        Asked[Literal["transcript_update"], TranscriptPayload],
        "What is heard: an interim text, or a final one, which is added to the transcript.",
    ),
    Described(
        "state_change_request",
        Asked[Literal["state_change_request"], StatePayload],
        "The conversation is to be in another state; an illegal transition is recorded and not answered.",
    ),
    Described("speech_event", Asked[Literal["speech_event"], SpeechPayload], "Something to tell all devices of."),
    Described("heartbeat", Heartbeat, "A sign of life is wanted."),
)

SENT = (
    Described("greeting", Greeting, "The first frame: the state now, or at `since` where what came behind it follows."),
    Described("state_update", Message[Literal["state_update"], PhasePayload], "The state has changed."),
    Described(
        "transcript_update",
        Message[Literal["transcript_update"], TranscriptFields],
        "The transcript as it is now, and what is being said.",
    ),
    Described("ai_response", Message[Literal["ai_response"], AnswerFields], "A whole answer of the assistant."),
    Described(
        "ai_response_delta",
        Message[Literal["ai_response_delta"], DeltaFields],
        "A piece of an answer, for who has asked for `deltas`.",
    ),
    Described("speech_event", Message[Literal["speech_event"], SpeechFields], "What a device told all others."),
    Described(
        "connection_status",
        Message[Literal["connection_status"], PresenceFields],
        "A device has come or gone.",
    ),
    Described("heartbeat_response", Message[Literal["heartbeat_response"], AliveFields], "The sign of life."),
    Described("error", Message[Literal["error"], ErrorFields], "What was sent was not done; the connection stays."),
)

REFERENCE = Reference(
    "conversations",
    "State, transcript, speech and answers of one conversation, on many devices.",
    RECEIVED,
    SENT,
    closes={
        1000: "the conversation has ended (a `state_update` before it says so)",
        1008: "there is no such conversation (an `error` before it says so)",
        1011: "the conversation cannot be joined (an `error` before it says why)",
        1013: "the conversation is too busy now (an `error` before it says when to come back)",
        4008: "too much was sent before the conversation was joined",
    },
    query=Query,
    parameters={"conversation_id": "Of `POST /api/v2/conversations`."},
)
