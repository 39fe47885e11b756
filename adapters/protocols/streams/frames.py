"""What the server sends: the envelope, and each event as clients see it. Pure: an event gives the same bytes always."""

from __future__ import annotations

from typing import Any

from adapters.protocols import wire
from adapters.protocols.streams.naming import session_id_of
from core.dialect import Frame, Reach
from core.messages import Recorded
from core.session import (
    ChatSaid,
    MediaReceived,
    PeerChanged,
    PeerState,
    SignalRelayed,
    TranscriptionFailed,
    TranscriptionSucceeded,
)

CHAT = "chat"
"""The wide topic of what is said in all sessions."""

DOWN = frozenset({PeerState.DISCONNECTED, PeerState.FAILED, PeerState.CLOSED})

Shown = tuple[str, dict[str, Any], Reach]
"""A frame's type, what it says, and whom it is for."""


def encode(kind: str, fields: dict[str, Any], session_id: str, time: int, **more: Any) -> bytes:
    """A frame: what it says stands beside its type. `time` in µs becomes ms; None among `more` is not sent."""
    frame = {"type": kind, **fields, "session_id": session_id, "timestamp": time // 1000}
    frame.update((name, value) for name, value in more.items() if value is not None)
    return wire.encode(frame)


def show(record: Recorded) -> Shown | None:
    """The frame of an event in its own session, None when clients do not see it there.

    An acknowledgement is its sender's alone. A transcript is of what the session's devices recorded together, so it is
    for all of them, and for the one that has reconnected while it was written.
    """
    match record.event:
        case MediaReceived(kind):
            return f"{kind.value}_received", {}, Reach.ORIGIN
        case TranscriptionSucceeded(_, transcript):
            return "transcription_result", {"transcript": transcript}, Reach.EVERYONE
        case TranscriptionFailed(_, error):
            return "transcription_error", {"error": error}, Reach.EVERYONE
        case SignalRelayed(signal, content, to):
            addressed = {} if to is None else {"to": to}
            return signal.value, {**content, "from": record.stamp.origin, **addressed}, Reach.OTHERS
        case PeerChanged(_, PeerState.CONNECTED):
            return "webrtc_connected", {}, Reach.EVERYONE
        case PeerChanged(_, state) if state in DOWN:
            return "webrtc_disconnected", {}, Reach.EVERYONE
        case _:
            return None


def render(record: Recorded) -> Frame | None:
    """The frame the session's connections get of a record, with the version to resume behind."""
    shown = show(record)
    if shown is None:
        return None
    kind, fields, reach = shown
    return Frame(_encode_record(record, kind, fields, seq=record.version), reach)


def render_chat(record: Recorded) -> Frame | None:
    """What all sessions hear. It has no version, as it is of another stream for nearly all of them."""
    match record.event:
        case ChatSaid(message):
            return Frame(_encode_record(record, "chat_message", {"message": message}))
        case _:
            return None


def repeat(record: Recorded) -> bytes | None:
    """The frame that tells a sender alone what its command led to the first time; None for what is for others."""
    if isinstance(record.event, ChatSaid):
        return _encode_record(record, "chat_message", {"message": record.event.message}, repeated=True)
    match show(record):
        case (kind, fields, Reach.EVERYONE | Reach.ORIGIN):
            return _encode_record(record, kind, fields, repeated=True)
        case _:
            return None


def _encode_record(record: Recorded, kind: str, fields: dict[str, Any], **more: Any) -> bytes:
    stamp = record.stamp
    return encode(kind, fields, session_id_of(record.stream), stamp.time, command_id=stamp.client_command_id, **more)
