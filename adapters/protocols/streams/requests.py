"""What clients send: a frame is read into what it asks for, or refused as unreadable.

A frame's fields stand beside its type. Its `session_id` is of no consequence: the path's wins.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder

from adapters.protocols import wire
from core.media import media_type_of
from core.session import (
    Chat,
    Media,
    MediaKind,
    PeerState,
    ReceiveMedia,
    RelaySignal,
    ReportPeer,
    RequestTranscription,
    Signal,
)

ENVELOPE = frozenset(
    {"type", "session_id", "timestamp", "command_id", "from", "to", "seq", "epoch", "recovered", "repeated"}
)
"""Fields of the frame itself, which only we may set for others; the rest of a signal is the clients' own."""


class Envelope(Struct, frozen=True):
    """A client's frame, its fields still raw, so that a wrong one is told from malformed JSON."""

    type: Raw = wire.NULL
    command_id: Raw = wire.NULL
    message: Raw = wire.NULL
    data: Raw = wire.NULL
    state: Raw = wire.NULL
    to: Raw = wire.NULL


class Ping(Struct, frozen=True, gc=False):
    """A sign of life is wanted."""


class Greet(Struct, frozen=True, gc=False):
    """`test`: is anybody there?"""


class Unknown(Struct, frozen=True, gc=False):
    """A type nobody knows."""

    type: str


Command = Chat | ReceiveMedia | RequestTranscription | RelaySignal | ReportPeer


class Request(Struct, frozen=True, gc=False):
    """What a frame asks for; `body` are the bytes that its command names by their digest."""

    asked: Ping | Greet | Unknown | Command
    command_id: str | None = None
    body: bytes | None = None


class UnreadableFrame(Exception):
    """A frame that asks for nothing. `transcription`: it would have been a request for one."""

    def __init__(self, message: str, command_id: str | None = None, *, transcription: bool = False) -> None:
        super().__init__(message)
        self.message, self.command_id, self.transcription = message, command_id, transcription


_ENVELOPE = Decoder(Envelope)
_FIELDS: Decoder[dict[str, Any]] = Decoder(dict[str, Any])
_OPTIONAL_TEXT: Decoder[str | None] = Decoder(str | None)
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]{1,60}/[\w.+-]{1,60})(?:;[^,;]{0,100})*;base64,")
_TRANSCRIPTION = "transcription_request"


def read_request(frame: str | bytes, connection_id: str, now: int) -> Request:
    """What the frame asks for. Raises UnreadableFrame."""
    try:
        envelope = wire.read_object(frame, _ENVELOPE)
        kind = wire.read_text(envelope.type, "type")
    except (wire.MalformedFrame, wire.WrongField) as error:
        raise UnreadableFrame(str(error)) from None
    is_transcription, command_id = kind == _TRANSCRIPTION, None
    try:
        command_id = wire.read_command_id(envelope.command_id)
        read: Callable[..., Read] = _READERS.get(kind, _read_unknown)
        asked, body = read(kind, envelope, frame, connection_id, now)
    except wire.WrongField as error:
        raise UnreadableFrame(str(error), command_id, transcription=is_transcription) from None
    return Request(asked, command_id, body)


Read = tuple[Ping | Greet | Unknown | Command, bytes | None]


def _read_unknown(kind: str, *_: Any) -> Read:
    return Unknown(kind), None


def _read_ping(*_: Any) -> Read:
    return Ping(), None


def _read_test(*_: Any) -> Read:
    return Greet(), None


def _read_chat(_kind: str, envelope: Envelope, _frame: Any, _connection_id: str, now: int) -> Read:
    return Chat(wire.read_text(envelope.message, "message"), now), None


def _read_media(kind: str, envelope: Envelope, _frame: Any, _connection_id: str, now: int) -> Read:
    media, body = _media(wire.read_text(envelope.data, "data"), kind)
    return ReceiveMedia(MediaKind(kind), media, now), body


def _read_transcription(_kind: str, envelope: Envelope, _frame: Any, _connection_id: str, now: int) -> Read:
    text = wire.read_field(envelope.data, "data", _OPTIONAL_TEXT)
    if text is None:
        return RequestTranscription(now), None
    media, body = _media(text, MediaKind.AUDIO)
    return RequestTranscription(now, media), body


def _read_signal(kind: str, envelope: Envelope, frame: str, _connection_id: str, now: int) -> Read:
    to = wire.read_field(envelope.to, "to", _OPTIONAL_TEXT)
    fields = wire.read_field(Raw(frame), kind, _FIELDS)
    content = {name: value for name, value in fields.items() if name not in ENVELOPE}
    wire.check_depth(content, kind)
    return RelaySignal(Signal(kind), content, now, to), None


def _read_peer(_kind: str, envelope: Envelope, _frame: Any, connection_id: str, now: int) -> Read:
    text = wire.read_text(envelope.state, "state")
    try:
        return ReportPeer(connection_id, PeerState(text), now), None
    except ValueError:
        raise wire.WrongField(f"`state` is one of {', '.join(PeerState)}, not {wire.excerpt(text)}") from None


_READERS: dict[str, Callable[..., Read]] = {
    "ping": _read_ping,
    "test": _read_test,
    "chat": _read_chat,
    **{kind.value: _read_media for kind in MediaKind},
    _TRANSCRIPTION: _read_transcription,
    **{signal.value: _read_signal for signal in Signal},
    "webrtc_state": _read_peer,
}


def _media(text: str, kind: str) -> tuple[Media, bytes]:
    """What base64, or a data URL of it as browsers make them, holds. Raises WrongField."""
    url = _DATA_URL.match(text)
    try:
        body = binascii.a2b_base64(text[url.end() :] if url else text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise wire.WrongField("`data` is not base64") from None
    if not body:
        raise wire.WrongField("`data` is empty")
    media_type = url["type"] if url else media_type_of(body, kind)
    return Media(sha256(body).hexdigest(), len(body), media_type), body
