"""Cursors: where a reader of pages goes on. The log's end is that of the first page, so whoever reads on comes to it
also where reading is recorded in the log itself."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import msgspec
from msgspec import Struct, structs

from eventstore.questions import Filters, Span


class BadCursor(ValueError):
    """A cursor that was not given out for this question."""


class Place(Struct, frozen=True):
    """Behind `position`, in the log up to `head`."""

    position: int
    head: int

    def span(self, *, newest_first: bool) -> Span:
        """What is left."""
        return Span(0, min(self.position - 1, self.head), True) if newest_first else Span(self.position, self.head)


def cursor_at(place: Place, filters: Filters, *, newest_first: bool = False) -> str:
    """The cursor that goes on at a place."""
    content = msgspec.msgpack.encode((place.position, place.head, newest_first, _digest(filters)))
    return urlsafe_b64encode(content).decode().rstrip("=")


def place_of(cursor: str, filters: Filters, *, newest_first: bool) -> Place:
    """The place a cursor stands for. Raises BadCursor."""
    try:
        content = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        position, head, direction, digest = msgspec.msgpack.decode(content, type=tuple[int, int, bool, bytes])
    except (ValueError, msgspec.DecodeError):
        raise BadCursor("this is no cursor; begin without one") from None
    belongs = direction == newest_first and digest == _digest(filters)
    if not belongs or not 0 <= position < 1 << 63 or not 0 <= head < 1 << 63:
        raise BadCursor("this cursor belongs to another question; ask the same again, or begin without one")
    return Place(position, head)


def _digest(filters: Filters) -> bytes:
    return sha256(repr(structs.astuple(filters)).encode()).digest()[:8]
