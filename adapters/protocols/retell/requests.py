"""What the platform sends: a frame is read into the one command it asks for, a ping, or what was not understood."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError
from msgspec.json import Decoder

from adapters.protocols import wire
from core.call import DescribeCall, NoteUnknown, RequireResponse, Speaker, UpdateTranscript, Utterance

UNKNOWN = "unknown"
"""What is counted where the type is none of ours."""

ResponseId = Annotated[int, Meta(ge=0, le=2**53)]


class Envelope(Struct, frozen=True):
    """The type alone, still raw: the rest is read when it is known."""

    interaction_type: Raw = wire.NULL


class Ping(Struct, frozen=True, tag_field="interaction_type", tag="ping_pong"):
    """`timestamp` is what is echoed, as it came."""

    timestamp: Annotated[Raw, Meta(extra_json_schema={"type": "number"})]

    def request(self) -> Ping:
        """Raises WrongField for a timestamp that is no number."""
        wire.read_field(self.timestamp, "timestamp", _NUMBER)
        return self


class Details(Struct, frozen=True, tag_field="interaction_type", tag="call_details"):
    call: dict[str, Any]

    def request(self) -> DescribeCall:
        """Raises WrongField for bottomless details."""
        wire.check_depth(self.call, "call")
        return DescribeCall(self.call)


class Said(Struct, frozen=True):
    role: Speaker
    content: str


class Update(Struct, frozen=True, tag_field="interaction_type", tag="update_only"):
    transcript: list[Said]
    turntaking: str | None = None

    def request(self) -> UpdateTranscript:
        return UpdateTranscript(_utterances(self.transcript), self.turntaking)


class Required(Struct, frozen=True, tag_field="interaction_type", tag="response_required"):
    response_id: ResponseId
    transcript: list[Said]

    def request(self) -> RequireResponse:
        return RequireResponse(self.response_id, _utterances(self.transcript))


class Reminded(Required, frozen=True, tag="reminder_required"):
    def request(self) -> RequireResponse:
        return RequireResponse(self.response_id, _utterances(self.transcript), reminder=True)


Request = Ping | DescribeCall | UpdateTranscript | RequireResponse | NoteUnknown

_NUMBER: Decoder[int | float] = Decoder(int | float)
_ENVELOPE = Decoder(Envelope)
_ANY: Decoder[Any] = Decoder()
KINDS: dict[str, Decoder[Any]] = {
    "ping_pong": Decoder(Ping),
    "call_details": Decoder(Details),
    "update_only": Decoder(Update),
    "response_required": Decoder(Required),
    "reminder_required": Decoder(Reminded),
}


class NotText(ValueError):
    """A binary frame."""


class NotJson(ValueError):
    """A text that is no JSON."""


def read_request(frame: str | bytes) -> tuple[str, Request]:
    """The frame's interaction type, `unknown` where it is none of ours, and what it asks. Raises NotText, NotJson."""
    if isinstance(frame, bytes):
        raise NotText
    try:
        kind = _kind_of(frame)
        request = UNKNOWN, NoteUnknown(kind, "unknown interaction_type")
        return request if kind not in KINDS else (kind, KINDS[kind].decode(frame).request())
    except RecursionError:
        return UNKNOWN, NoteUnknown("", "it is nested too deeply")
    except (ValidationError, wire.WrongField) as error:
        return UNKNOWN, NoteUnknown(_named(frame), str(error))
    except (DecodeError, UnicodeError):
        raise NotJson from None


def _kind_of(frame: str) -> str:
    """Raises ValidationError for JSON that is no object, WrongField for an object without a type, DecodeError."""
    try:
        envelope = _ENVELOPE.decode(frame)
    except ValidationError:
        _ANY.decode(frame)  # what is no object may still be no JSON, further on
        raise
    return wire.read_text(envelope.interaction_type, "interaction_type")


def _named(frame: str) -> str:
    """The type a frame that was not understood gives itself, "" where it has none."""
    try:
        return _kind_of(frame)
    except (ValidationError, wire.WrongField):
        return ""


def _utterances(transcript: list[Said]) -> tuple[Utterance, ...]:
    return tuple(Utterance(said.role, said.content) for said in transcript)
