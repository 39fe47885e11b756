"""What the dialect says of itself in the API reference."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from adapters.protocols import wire
from adapters.protocols.streams import frames
from core.dialect import Described, Reference
from core.session import PeerState

K = TypeVar("K", bound=str)

Base64 = Annotated[str, Meta(min_length=1, description="Base64, also as a data URL.")]


class Asked(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every frame of a client may have; the path names the session, whatever a frame says."""

    command_id: wire.CommandId = None


class Ping(Asked, frozen=True, tag="ping"):
    pass


class Greet(Asked, frozen=True, tag="test"):
    pass


class Chat(Asked, frozen=True, tag="chat"):
    message: str


class Audio(Asked, frozen=True, tag="audio"):
    data: Base64


class Video(Asked, frozen=True, tag="video"):
    data: Base64


class TranscriptionRequest(Asked, frozen=True, tag="transcription_request"):
    data: Base64 | None = None


class Signal(Struct, Generic[K], frozen=True):
    """What stands in it besides goes to the others as it is."""

    type: K
    to: str | None = None
    command_id: wire.CommandId = None


class Peer(Asked, frozen=True, tag="webrtc_state"):
    state: Annotated[str, wire.one_of(PeerState)]


class Query(Struct, frozen=True):
    """What stands behind the path's question mark."""

    since: wire.Since | UnsetType = UNSET
    epoch: wire.Epoch | UnsetType = UNSET


Offered = Annotated[dict[str, Any], wire.others_beside(frames.Signalled[Literal["webrtc_offer"]])]
Answered = Annotated[dict[str, Any], wire.others_beside(frames.Signalled[Literal["webrtc_answer"]])]
Proposed = Annotated[dict[str, Any], wire.others_beside(frames.Signalled[Literal["webrtc_ice_candidate"]])]

RECEIVED = (
    Described("ping", Ping, "A sign of life is wanted."),
    Described("test", Greet, "Is anybody there?"),
    Described("chat", Chat, "Something to say to all clients of all sessions."),
    Described("audio", Audio, "Sound, to be kept until somebody wants it written down."),
    Described("video", Video, "Moving pictures, to be kept."),
    Described(
        "transcription_request",
        TranscriptionRequest,
        "Speech is to be written down: this, or without `data` what the session's devices have sent.",
    ),
    Described("webrtc_offer", Signal[Literal["webrtc_offer"]], "For the session's other devices, or for one of them."),
    Described("webrtc_answer", Signal[Literal["webrtc_answer"]], "Likewise."),
    Described("webrtc_ice_candidate", Signal[Literal["webrtc_ice_candidate"]], "Likewise."),
    Described("webrtc_state", Peer, "How this device's own connection to another is."),
)

SENT = (
    Described("connection_established", frames.ConnectionEstablished, "The first frame."),
    Described("pong", frames.Pong, "The sign of life."),
    Described("test_response", frames.TestResponse, "Somebody is."),
    Described("chat_message", frames.ChatMessage, "What somebody said, in whatever session."),
    Described("audio_received", frames.AudioReceived, "The sound is kept."),
    Described("video_received", frames.VideoReceived, "The pictures are kept."),
    Described(
        "transcription_result", frames.TranscriptionResult, "What was said, as a text; all of the session get it."
    ),
    Described("transcription_error", frames.TranscriptionError, "Why nothing could be written down."),
    Described("webrtc_offer", Offered, "Of another device of the session."),
    Described("webrtc_answer", Answered, "Likewise."),
    Described("webrtc_ice_candidate", Proposed, "Likewise."),
    Described("webrtc_connected", frames.WebRTCConnected, "A device of the session has reached another."),
    Described("webrtc_disconnected", frames.WebRTCDisconnected, "A device of the session has lost the other."),
    Described("unknown_message", frames.UnknownMessage, "Nobody knows this type; an `error` follows."),
    Described("error", frames.ErrorMessage, "What was sent was not done; the connection stays."),
)

REFERENCE = Reference(
    "streams",
    "Chat of all with all; audio, video and what was said in it; WebRTC signalling between the devices of a session.",
    RECEIVED,
    SENT,
    closes={
        1000: "somebody has disconnected the session's devices (`DELETE /api/stream/disconnect/…`)",
        1008: "the session cannot be joined by this dialect (an `error` before it says so)",
        1011: "the session cannot be joined (an `error` before it says why)",
        1013: "the session is too busy now (an `error` before it says when to come back)",
        4008: "too much was sent before the session was joined",
    },
    query=Query,
    parameters={"session_id": "Any; whoever comes first opens it."},
)
