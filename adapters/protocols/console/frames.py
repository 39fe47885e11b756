"""What the server sends. Pure: an event gives the same bytes always, to whichever console, live or from the past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from adapters.protocols import wire
from adapters.protocols.console.lanes import Lane, lane_of
from adapters.protocols.console.naming import event_name
from adapters.protocols.console.saying import MOST, says
from core.audit import Accessed
from core.decider import CommandRejected
from core.dialect import STREAM_TOPIC, Frame, Handshake, Reach
from core.identifiers import StreamName
from core.messages import Recorded

WAY = "console"
"""How those look who speak this dialect, as it is recorded."""
BOARD = "board"
"""What a client calls the wide topic of all that is recorded."""
LOG, STREAM = "log", STREAM_TOPIC
"""The wide topics: of all records, in short; and what those of one stream, whole, begin with."""
HERE = "here"
"""A wide topic that no record belongs to: whoever tunes to it is told where the log is."""

CODES = (
    "invalid_json", "invalid_message", "not_found", "too_many", "too_far_behind", "rate_limited", "busy", "cancelled",
)  # fmt: skip
"""Of errors."""

AnObject = Annotated[Any, Meta(extra_json_schema={"type": "object"})]
Id = Annotated[str, Meta(description="Of the request this answers.")]
Position = Annotated[int, Meta(ge=0, description="In the log; to `watch` behind.")]
Time = Annotated[int, Meta(description="µs since the epoch, UTC.")]
Version = Annotated[int, Meta(ge=0, description="In the stream.")]
Says = Annotated[str, Meta(max_length=MOST, description="One line for people; no markup.")]


class Hello(Struct, frozen=True, tag_field="type", tag="hello"):
    """`roles` are those of who is connected."""

    epoch: wire.Epoch
    principal: str
    roles: list[str]
    connection_id: str


class Event(Struct, frozen=True, tag_field="type", tag="event"):
    """`rejected`: a command was refused, which changes nothing. `origin` is the connection it came by, "" for none."""

    position: Position
    stream: str
    version: Version
    time: Time
    event: str
    lane: Lane
    says: Says
    principal: str
    origin: str
    rejected: bool


class Record(Struct, frozen=True, tag_field="type", tag="record"):
    """An event with all that the log says of it."""

    position: Position
    stream: str
    version: Version
    time: Time
    event: str
    lane: Lane
    says: Says
    payload: AnObject
    principal: str
    origin: str
    correlation_id: str
    causation_id: str | None
    command_id: str | None
    rejected: bool


class Tuned(Struct, frozen=True, tag_field="type", tag="tuned"):
    """What is recorded behind `position` comes from here on. `topic` is "board" or the stream."""

    id: Id
    topic: str
    position: Position


class Untuned(Struct, frozen=True, tag_field="type", tag="untuned"):
    id: Id
    topic: str


class Page(Struct, frozen=True, tag_field="type", tag="page"):
    """The stream's records behind version `after` follow."""

    id: Id
    stream: str
    after: Version


class PageEnd(Struct, frozen=True, tag_field="type", tag="page_end"):
    id: Id


class State(Struct, frozen=True, tag_field="type", tag="state"):
    id: Id
    stream: str
    at: Version
    state: AnObject


class ErrorMessage(Struct, frozen=True, tag_field="type", tag="error"):
    """`id` is null where none could be read."""

    id: str | None
    code: Annotated[str, wire.one_of(CODES)]
    message: str
    retry_after: wire.RetryAfter | UnsetType = UNSET


def topic_of(stream: StreamName) -> str:
    return f"{STREAM}{stream}"


def topics_of(record: Recorded) -> Sequence[str]:
    return LOG, topic_of(record.stream)


def render(record: Recorded) -> Frame:
    """The record whole."""
    event, stamp = record.event, record.stamp
    frame = Record(
        record.position, str(record.stream), record.version, stamp.time, event_name(type(event)), lane_of(event),
        says(event), event, stamp.principal, stamp.origin, stamp.correlation_id, stamp.causation_id, stamp.command_id,
        isinstance(event, CommandRejected),
    )  # fmt: skip
    return Frame(wire.encode(frame))


def render_in_short(record: Recorded) -> Frame:
    """That a console looks is told to all others."""
    event, stamp = record.event, record.stamp
    frame = Event(
        record.position, str(record.stream), record.version, stamp.time, event_name(type(event)), lane_of(event),
        says(event), stamp.principal, stamp.origin, isinstance(event, CommandRejected),
    )  # fmt: skip
    is_look = type(event) is Accessed and event.way == WAY
    return Frame(wire.encode(frame), Reach.OTHERS if is_look else Reach.EVERYONE)


def hello(handshake: Handshake) -> bytes:
    who = handshake
    return wire.encode(Hello(who.epoch, who.principal, sorted(who.roles), who.connection_id))


def error(id: str | None, code: str, message: str, retry_after: float | None = None) -> bytes:
    return wire.encode(ErrorMessage(id, code, message, UNSET if retry_after is None else retry_after))
