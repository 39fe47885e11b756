"""Whose an event is: the person its stream belongs to, else the stream itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from core.identifiers import MalformedStreamName, StreamName
from core.messages import Stamp
from eventstore.archives import STATE
from eventstore.personal import NOBODY, OWNERS, SHARED
from eventstore.recorder import TABLE

PERSON, STREAM = "person:", "stream:"
"""What a subject's text begins with: a person's id and a stream's name may be the same, and are two subjects."""
MOST_STREAMS = 20_000
"""Streams whose subject is remembered."""

First = tuple[str, str, str]
"""Of a stream's first event: the stored name, the payload, the principal."""
FIRST = f"SELECT topic, {STATE}, principal FROM {TABLE} WHERE originator_id = ? AND originator_version = 1"
"""Asks for it, by a connection that knows of archives."""


def subject_named(text: str) -> str:
    """The subject somebody means who writes `text`: a stream by its name, else a person; or as it is written here."""
    if text.startswith((PERSON, STREAM)):
        return text
    try:
        return STREAM + StreamName.parse(text)
    except MalformedStreamName:
        return PERSON + text


def owner(stream: str, first: First) -> str:
    """The subject of a stream that begins so."""
    name, payload, principal = first
    field = OWNERS.get(name)
    named: Any = msgspec.json.decode(payload).get(field) if field is not None else None
    for person in (named, principal):
        if isinstance(person, str) and person not in NOBODY:
            return PERSON + person
    return STREAM + stream


def is_shared(stream: str) -> bool:
    """Whether many speak in this stream."""
    return stream.partition("-")[0] in SHARED


class Subjects:
    """Finds subjects; remembers those of streams. `first` reads the beginning of a stream, None where there is none."""

    def __init__(self, first: Callable[[str], Awaitable[First | None]]) -> None:
        self._first = first
        self._known: dict[str, str] = {}

    async def of(self, stream: str, stamp: Stamp) -> str:
        """The subject of an event with this stamp in a stream that has begun. Raises StoreUnavailable."""
        if not is_shared(stream):
            return await self._of_stream(stream)
        if stamp.principal not in NOBODY:
            return PERSON + stamp.principal
        # What an effect, or the assistant, says there is of whom it was said for.
        cause = (stamp.causation_id or "").rpartition("@")[0]
        return STREAM + stream if not cause or is_shared(cause) else await self._of_stream(cause)

    async def _of_stream(self, stream: str) -> str:
        known = self._known.get(stream)
        if known is None:
            first = await self._first(stream)
            if first is None:
                return STREAM + stream
            if len(self._known) >= MOST_STREAMS:
                self._known.clear()
            known = self._known[stream] = owner(stream, first)
        return known
