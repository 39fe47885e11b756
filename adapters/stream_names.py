"""Finding streams of the log by a part of their names, with so much work and no more.

The log is sorted by stream, so that from one name to the next is one step of its index, however many events lie between
them. Ids begin with their time: backwards through a category is from its newest streams to its oldest.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec import Struct

from core.identifiers import Category
from eventstore.proofs import Select

MOST_ROWS = 2_000
"""Newest events that are looked at for whose they are."""
MOST_NAMES = 20_000
"""Names looked at for one answer."""
MOST_SECONDS = 0.03
"""What looking for names may take; what was found by then is the answer."""
STEPS = 500
"""Names read at a time."""
LAST = "\U0010ffff"
"""Behind it no name goes on."""

_RECENT = "SELECT originator_id FROM stored_events ORDER BY rowid DESC LIMIT ?"
_BACKWARDS = """WITH RECURSIVE names(name) AS (
    SELECT MAX(originator_id) FROM stored_events WHERE originator_id < ? AND originator_id >= ?
    UNION ALL SELECT (
        SELECT MAX(originator_id) FROM stored_events WHERE originator_id < name AND originator_id >= ?
    ) FROM names WHERE name IS NOT NULL LIMIT ?
) SELECT name FROM names WHERE name IS NOT NULL"""
_TIME = "SELECT recorded_at FROM stored_events WHERE originator_id = ? AND originator_version = ?"
_LENGTH = "SELECT MAX(originator_version) FROM stored_events WHERE originator_id = ?"


class FoundStream(Struct, frozen=True):
    """A stream of the log; times are µs UTC."""

    stream: str
    events: int
    first_time: int
    last_time: int


class FoundStreams(Struct, frozen=True):
    """`truncated`: there may be more, which was not looked for."""

    streams: list[FoundStream]
    truncated: bool


def fits(name: str, part: str, category: Category | None) -> bool:
    """Whether the stream is of that category, and has `part` in its name, however that is capitalised."""
    return part.lower() in name.lower() and (category is None or name.startswith(f"{category}-"))


def find_streams(select: Select, part: str, category: Category | None, limit: int) -> FoundStreams:
    """Up to `limit` streams with `part` in their name: where something happened lately, then whose name begins with it,
    then others, as many as are met in time."""
    found, complete = dict[str, None](), True
    deadline = time.monotonic() + MOST_SECONDS
    recent = (name for (name,) in select(_RECENT, (MOST_ROWS,)))
    for looked, name in enumerate(chain(recent, _backwards(select, _ranges(part, category))), 1):
        if fits(name, part, category):
            found[name] = None
        if len(found) > limit or looked > MOST_NAMES or time.monotonic() > deadline:
            complete = False
            break
    return FoundStreams([_told(select, name) for name in list(found)[:limit]], not complete)


def _ranges(part: str, category: Category | None) -> Iterator[str]:
    """What the names begin with that are looked at, in this order."""
    categories = list(Category) if category is None else [category]
    if part:
        yield from (f"{each}-{part}" for each in categories)
        yield part
    yield from (f"{each}-" for each in categories)


def _backwards(select: Select, beginnings: Iterable[str]) -> Iterator[str]:
    for beginning in beginnings:
        before = beginning + LAST
        while names := [name for (name,) in select(_BACKWARDS, (before, beginning, beginning, STEPS))]:
            yield from names
            before = names[-1]


def _told(select: Select, name: str) -> FoundStream:
    ((events,),) = select(_LENGTH, (name,))
    ((first,),), ((last,),) = (select(_TIME, (name, version)) for version in (1, events))
    return FoundStream(name, events, first, last)
