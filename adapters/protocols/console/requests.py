"""What clients send: a frame is read into the one thing it asks for, or refused as unreadable."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from adapters.protocols import wire
from core.identifiers import MalformedStreamName, StreamName

MAX_ID = 128
"""Characters in the id a client chooses for a request."""
MAX_PAGE = 500
"""Records in a page."""

Chosen = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A version or a position: JavaScript's own numbers go so far."""


class Envelope(Struct, frozen=True):
    """What every frame has, its fields still raw, so that a wrong one is told from malformed JSON."""

    type: Raw = wire.NULL
    id: Raw = wire.NULL


class Asked(Struct, frozen=True):
    id: Chosen


class OfStream(Asked, frozen=True):
    stream: str


class Behind(OfStream, frozen=True):
    after: Count | None = None


class Between(OfStream, frozen=True):
    after: Count
    until: Count


class At(OfStream, frozen=True):
    at: Count


class Board(Struct, frozen=True, gc=False):
    id: str


class Unboard(Struct, frozen=True, gc=False):
    id: str


class Watch(Struct, frozen=True, gc=False):
    """`after` is a position of the log; None: from now on."""

    id: str
    stream: StreamName
    after: int | None


class Unwatch(Struct, frozen=True, gc=False):
    id: str
    stream: StreamName


class Page(Struct, frozen=True, gc=False):
    """Versions above `after` up to `until`."""

    id: str
    stream: StreamName
    after: int
    until: int


class State(Struct, frozen=True, gc=False):
    id: str
    stream: StreamName
    at: int


Look = Board | Watch | Page | State
"""By which somebody comes to know something."""
Request = Look | Unboard | Unwatch

_ENVELOPE, _ID = Decoder(Envelope), Decoder(Chosen)
_FIELDS: dict[str, Decoder[Any]] = {
    "board": Decoder(Asked), "unboard": Decoder(Asked), "watch": Decoder(Behind), "unwatch": Decoder(OfStream),
    "page": Decoder(Between), "state": Decoder(At),
}  # fmt: skip


class UnreadableFrame(Exception):
    """A client's frame that asks for nothing we know; it is answered with an error frame, and nothing else happens."""

    def __init__(self, code: str, message: str, id: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.id = code, message, id


def read_request(frame: str | bytes) -> Request:
    """What a frame asks for. Raises UnreadableFrame."""
    try:
        envelope = wire.read_object(frame, _ENVELOPE)
    except wire.MalformedFrame as error:
        raise UnreadableFrame("invalid_json", str(error)) from None
    id = None
    try:
        id = wire.read_field(envelope.id, "id", _ID)
        return _read(wire.read_text(envelope.type, "type"), str(frame))
    except (wire.WrongField, MalformedStreamName) as error:
        raise UnreadableFrame("invalid_message", str(error), id) from None


def _read(kind: str, frame: str) -> Request:
    """Raises WrongField, MalformedStreamName."""
    if kind not in _FIELDS:
        raise wire.WrongField(f"there is no type {wire.excerpt(kind)!r}")
    asked = wire.read_field(Raw(frame.encode()), kind, _FIELDS[kind])
    match asked:
        case Behind(id, stream, after):
            return Watch(id, StreamName.parse(stream), after)
        case Between(id, stream, after, until):
            _check_page(after, until)
            return Page(id, StreamName.parse(stream), after, until)
        case At(id, stream, at):
            return State(id, StreamName.parse(stream), at)
        case OfStream(id, stream):
            return Unwatch(id, StreamName.parse(stream))
        case _:
            return Board(asked.id) if kind == "board" else Unboard(asked.id)


def _check_page(after: int, until: int) -> None:
    if not 0 <= until - after <= MAX_PAGE:
        raise wire.WrongField(f"a page has 0 to {MAX_PAGE} records, not {until - after}")
