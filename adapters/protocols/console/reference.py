"""What the dialect says of itself in the API reference."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from adapters.protocols.console import frames
from adapters.protocols.console.requests import MAX_PAGE, Chosen, Count
from core.dialect import Described, Reference
from core.identifiers import MAX_ID_LENGTH, Category

Stream = Annotated[
    str, Meta(pattern=rf"^({'|'.join(Category)})-[^\s\x00-\x1f\x7f]{{1,{MAX_ID_LENGTH}}}$", description="A stream.")
]


class Asked(Struct, frozen=True, kw_only=True, tag_field="type"):
    """The answer has the same `id`."""

    id: Chosen


class Board(Asked, frozen=True, tag="board"):
    pass


class Unboard(Asked, frozen=True, tag="unboard"):
    pass


class Watch(Asked, frozen=True, tag="watch"):
    stream: Stream
    after: Annotated[Count | None, Meta(description="A position of the log; from now on, without.")] = None


class Unwatch(Asked, frozen=True, tag="unwatch"):
    stream: Stream


class Page(Asked, frozen=True, tag="page"):
    stream: Stream
    after: Annotated[Count, Meta(description="A version.")]
    until: Annotated[Count, Meta(description=f"A version, at most {MAX_PAGE} behind `after`.")]


class State(Asked, frozen=True, tag="state"):
    stream: Stream
    at: Annotated[Count, Meta(description="A version; 0 is before the first event.")]


RECEIVED = (
    Described("board", Board, "All that is recorded from now on is to be told, in short."),
    Described("unboard", Unboard, "No longer."),
    Described("watch", Watch, "A stream's records are to be told; with `after`, also those behind that position."),
    Described("unwatch", Unwatch, "No longer."),
    Described("page", Page, "A stream's records of some versions are wanted."),
    Described("state", State, "A stream's state at a version is wanted, as the server folds it."),
)

SENT = (
    Described("hello", frames.Hello, "The first frame."),
    Described("tuned", frames.Tuned, "The board or the stream is told from here on."),
    Described("untuned", frames.Untuned, "It is told no more."),
    Described("event", frames.Event, "For who has the board: something was recorded."),
    Described("record", frames.Record, "For who watches the stream or asked for a page of it; of both, twice."),
    Described("page", frames.Page, "A page begins; what is recorded meanwhile in a watched stream may stand in it."),
    Described("page_end", frames.PageEnd, "The page ends."),
    Described("state", frames.State, "The state."),
    Described("error", frames.ErrorMessage, "What was asked was not done; the connection stays."),
)

REFERENCE = Reference(
    "console",
    "For the console: all that is recorded, live and from any place of the past. Needs the role operator or auditor; "
    "what is looked at is put on record.",
    RECEIVED,
    SENT,
    closes={1008: "neither operator nor auditor"},
)
