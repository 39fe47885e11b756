"""What clients send: a frame is read into the one command it asks for, or refused as unreadable."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct, field
from msgspec.json import Decoder

from adapters.protocols import wire
from core.conversation import Phase, ReportSpeech, RequestPhase, UpdateTranscript


class Envelope(Struct, frozen=True):
    """A client's frame, its fields still raw, so that a wrong one is told from malformed JSON."""

    type: Raw = wire.NULL
    payload: Raw = wire.NULL
    command_id: Raw = wire.NULL


class TranscriptPayload(Struct, frozen=True):
    interim_transcript: str | None = None
    final_transcript: str | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None
    command_id: wire.RawCommandId = field(default_factory=wire.null)

    def request(self) -> UpdateTranscript:
        return UpdateTranscript(self.interim_transcript, self.final_transcript, self.confidence)


class StatePayload(Struct, frozen=True):
    state: Annotated[str, wire.one_of(Phase)]
    metadata: dict[str, Any] | None = None
    command_id: wire.RawCommandId = field(default_factory=wire.null)

    def request(self) -> RequestPhase:
        """Raises UnreadableFrame for an unknown state, WrongField for bottomless metadata."""
        wire.check_depth(self.metadata, "payload.metadata")
        try:
            return RequestPhase(Phase(self.state), self.metadata or {})
        except ValueError:
            raise UnreadableFrame("invalid_state", f"Invalid state: {wire.excerpt(self.state)}") from None


class SpeechPayload(Struct, frozen=True):
    event_type: str
    data: dict[str, Any]
    command_id: wire.RawCommandId = field(default_factory=wire.null)

    def request(self) -> ReportSpeech:
        """Raises WrongField for bottomless data."""
        wire.check_depth(self.data, "payload.data")
        return ReportSpeech(self.event_type, self.data)


class HeartbeatPayload(Struct, frozen=True):
    command_id: wire.RawCommandId = field(default_factory=wire.null)

    def request(self) -> None:
        """Nobody but this connection is concerned."""


Payload = TranscriptPayload | StatePayload | SpeechPayload | HeartbeatPayload
Request = UpdateTranscript | RequestPhase | ReportSpeech

_ENVELOPE = Decoder(Envelope)
_NO_PAYLOAD = HeartbeatPayload()
_PAYLOADS: dict[str, Decoder[Any]] = {
    "transcript_update": Decoder(TranscriptPayload),
    "state_change_request": Decoder(StatePayload),
    "speech_event": Decoder(SpeechPayload),
    "heartbeat": Decoder(HeartbeatPayload | None),
}


class UnreadableFrame(Exception):
    """A client's frame that asks for nothing we know; it is answered with an error frame, and nothing else happens."""

    def __init__(self, error_type: str, message: str, command_id: str | None = None) -> None:
        super().__init__(message)
        self.error_type, self.message, self.command_id = error_type, message, command_id


def read_request(frame: str | bytes) -> tuple[Request | None, str | None]:
    """The command a frame asks for (None: a heartbeat) and the id its sender chose. Raises UnreadableFrame."""
    try:
        envelope = wire.read_object(frame, _ENVELOPE)
    except wire.MalformedFrame as error:
        raise UnreadableFrame("invalid_json", str(error)) from None
    command_id = None
    try:
        command_id = wire.read_command_id(envelope.command_id)
        payload = _read_payload(envelope)
        command_id = command_id or wire.read_command_id(payload.command_id)
        return payload.request(), command_id
    except wire.WrongField as error:
        raise UnreadableFrame("validation_error", str(error), command_id) from None
    except UnreadableFrame as error:
        raise UnreadableFrame(error.error_type, error.message, command_id) from None


def _read_payload(envelope: Envelope) -> Payload:
    kind = wire.read_text(envelope.type, "type")
    decoder = _PAYLOADS.get(kind)
    if decoder is None:
        raise UnreadableFrame("unknown_message_type", f"Unknown message type: {wire.excerpt(kind)}")
    payload: Payload | None = wire.read_field(envelope.payload, "payload", decoder)
    return _NO_PAYLOAD if payload is None else payload
