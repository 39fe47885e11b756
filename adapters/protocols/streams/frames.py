"""What the server sends: the envelope, and each event as clients see it. Pure: an event gives the same bytes always."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, TypeVar

from msgspec import UNSET, Struct, UnsetType

from adapters.protocols import wire
from adapters.protocols.streams.naming import session_id_of
from core.dialect import Frame, Reach
from core.messages import Recorded
from core.session import (
    ChatSaid,
    MediaKind,
    MediaReceived,
    PeerChanged,
    PeerState,
    Signal,
    SignalRelayed,
    TranscriptionFailed,
    TranscriptionSucceeded,
)

CHAT = "chat"
"""The wide topic of what is said in all sessions."""

DOWN = frozenset({PeerState.DISCONNECTED, PeerState.FAILED, PeerState.CLOSED})

K = TypeVar("K", bound=str)


class Envelope(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every frame has behind what is its type's own; what is unset is not sent."""

    session_id: str
    timestamp: wire.Milliseconds
    command_id: wire.EchoedId | UnsetType = UNSET


class MaybeRepeated(Envelope, frozen=True, kw_only=True):
    repeated: wire.Repeated | UnsetType = UNSET


class OfLog(MaybeRepeated, frozen=True, kw_only=True):
    """A record's frame, or its sender's own, told again."""

    seq: wire.Version | UnsetType = UNSET


class Refusal(MaybeRepeated, frozen=True, kw_only=True):
    retry_after: wire.RetryAfter | UnsetType = UNSET


class RefusalOrRecord(Refusal, frozen=True, kw_only=True):
    seq: wire.Version | UnsetType = UNSET


class Greeting(Envelope, frozen=True, kw_only=True):
    seq: wire.Version
    epoch: wire.Epoch
    recovered: wire.Recovered


class ConnectionEstablished(Greeting, frozen=True, tag="connection_established"):
    """`connection_id` is what signals say they are `from`."""

    message: str
    connection_id: str


class Pong(Envelope, frozen=True, tag="pong"):
    pass


class TestResponse(Envelope, frozen=True, tag="test_response"):
    message: str


class UnknownMessage(Envelope, frozen=True, tag="unknown_message"):
    message: str


class ErrorMessage(Refusal, frozen=True, tag="error"):
    message: str


class ChatMessage(MaybeRepeated, frozen=True, tag="chat_message"):
    """`session_id` is the sender's."""

    message: str


class AudioReceived(OfLog, frozen=True, tag="audio_received"):
    pass


class VideoReceived(OfLog, frozen=True, tag="video_received"):
    pass


class TranscriptionResult(OfLog, frozen=True, tag="transcription_result"):
    transcript: str


class TranscriptionError(RefusalOrRecord, frozen=True, tag="transcription_error"):
    error: str


class WebRTCConnected(OfLog, frozen=True, tag="webrtc_connected"):
    pass


class WebRTCDisconnected(OfLog, frozen=True, tag="webrtc_disconnected"):
    pass


class Signalled(Struct, Generic[K], frozen=True, rename={"sender": "from"}):
    """What we say of a signal; what else is in it is its sender's."""

    type: K
    sender: str
    session_id: str
    timestamp: wire.Milliseconds
    seq: wire.Version
    to: str | UnsetType = UNSET
    command_id: wire.EchoedId | UnsetType = UNSET


RECEIVED = {MediaKind.AUDIO: AudioReceived, MediaKind.VIDEO: VideoReceived}

Said = Callable[..., Any]
"""A frame that waits for its envelope."""

Shown = tuple[Said, Reach]
"""What an event says, and whom it is for."""


def encode(said: Said, session_id: str, time: int, **more: Any) -> bytes:
    """A whole frame. `time` in µs becomes ms; None among `more` is not sent."""
    chosen = {name: value for name, value in more.items() if value is not None}
    return wire.encode(said(session_id=session_id, timestamp=time // 1000, **chosen))


def signal(kind: Signal, content: Mapping[str, Any], sender: str, to: str | None, **envelope: Any) -> dict[str, Any]:
    """A signal's frame: what its sender says stands beside what we do."""
    addressed = {} if to is None else {"to": to}
    return {"type": kind.value, **content, "from": sender, **addressed, **envelope}


def show(record: Recorded) -> Shown | None:
    """The frame of an event in its own session, None when clients do not see it there.

    An acknowledgement is its sender's alone. A transcript is of what the session's devices recorded together, so it is
    for all of them, and for the one that has reconnected while it was written.
    """
    match record.event:
        case MediaReceived(kind):
            return RECEIVED[kind], Reach.ORIGIN
        case TranscriptionSucceeded(_, transcript):
            return partial(TranscriptionResult, transcript), Reach.EVERYONE
        case TranscriptionFailed(_, error):
            return partial(TranscriptionError, error), Reach.EVERYONE
        case SignalRelayed(kind, content, to):
            return partial(signal, kind, content, record.stamp.origin, to), Reach.OTHERS
        case PeerChanged(_, PeerState.CONNECTED):
            return WebRTCConnected, Reach.EVERYONE
        case PeerChanged(_, state) if state in DOWN:
            return WebRTCDisconnected, Reach.EVERYONE
        case _:
            return None


def render(record: Recorded) -> Frame | None:
    """The frame the session's connections get of a record, with the version to resume behind."""
    shown = show(record)
    if shown is None:
        return None
    said, reach = shown
    return Frame(_encode_record(record, said, seq=record.version), reach)


def render_chat(record: Recorded) -> Frame | None:
    """What all sessions hear. It has no version, as it is of another stream for nearly all of them."""
    match record.event:
        case ChatSaid(message):
            return Frame(_encode_record(record, partial(ChatMessage, message)))
        case _:
            return None


def repeat(record: Recorded) -> bytes | None:
    """The frame that tells a sender alone what its command led to the first time; None for what is for others."""
    if isinstance(record.event, ChatSaid):
        return _encode_record(record, partial(ChatMessage, record.event.message), repeated=True)
    match show(record):
        case (said, Reach.EVERYONE | Reach.ORIGIN):
            return _encode_record(record, said, repeated=True)
        case _:
            return None


def _encode_record(record: Recorded, said: Said, **more: Any) -> bytes:
    stamp = record.stamp
    return encode(said, session_id_of(record.stream), stamp.time, command_id=stamp.client_command_id, **more)
