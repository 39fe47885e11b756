"""What the server sends. Pure: an event gives the same bytes always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from adapters.protocols import wire
from core.channel import Published, stream_of
from core.dialect import Frame, Reach
from core.identifiers import StreamName
from core.messages import Recorded

PLAIN, ENVELOPED = "channel:", "channel+position:"
"""What the wide topics of a channel begin with: for those who hear frames as in the seed, and for those who hear each
frame's position too."""

CODES = ("invalid_json", "invalid_message", "missing_channel", "reserved_channel", "rate_limited", "busy")
"""Of errors."""

Position = Annotated[int, Meta(ge=0, description="The position in the log, to subscribe `since`.")]


K = TypeVar("K", bound=str)
P = TypeVar("P")


class Receipt(Struct, Generic[K, P], frozen=True):
    """The answer to a request that was done."""

    type: K
    payload: P


class Message(Struct, Generic[K, P], frozen=True):
    """What was published; what is unset is not sent."""

    type: K
    payload: P
    position: Position | UnsetType = UNSET


class Subscribed(Struct, frozen=True):
    """`position`, `epoch` and `recovered` are for those alone who asked for the envelope."""

    channel: str
    message: Literal["subscribed"]
    position: Position | UnsetType = UNSET
    epoch: wire.Epoch | UnsetType = UNSET
    recovered: wire.Recovered | UnsetType = UNSET


class Unsubscribed(Struct, frozen=True):
    channel: str
    message: Literal["unsubscribed"]


class Complaint(Struct, frozen=True):
    """The payload of an error."""

    message: str
    code: Annotated[str, wire.one_of(CODES)]
    channel: str | UnsetType = UNSET
    retry_after: wire.RetryAfter | UnsetType = UNSET


class ErrorMessage(Struct, frozen=True):
    payload: Complaint
    type: Literal["error"]


def topic_of(channel: str, *, envelope: bool) -> str:
    return f"{ENVELOPED if envelope else PLAIN}{channel}"


def stream_heard(topic: str) -> StreamName | None:
    """The channel's, where the wide topic is a channel's."""
    kind, colon, channel = topic.partition(":")
    return stream_of(channel) if kind + colon in (PLAIN, ENVELOPED) else None


def topics_of(record: Recorded) -> Sequence[str]:
    event = record.event
    return (PLAIN + event.channel, ENVELOPED + event.channel) if type(event) is Published else ()


def render(record: Recorded, *, envelope: bool = False) -> Frame | None:
    """The frame of what was published, which its publisher does not hear."""
    event = record.event
    if type(event) is not Published:
        return None
    position = record.position if envelope else UNSET
    return Frame(wire.encode(Message(event.channel, event.payload, position)), Reach.OTHERS)


def subscribed(channel: str, more: Mapping[str, Any] = {}) -> bytes:
    """`more` are those fields of Subscribed that are for those alone who asked for them."""
    return wire.encode(Receipt("subscribed", Subscribed(channel, "subscribed", **more)))


def unsubscribed(channel: str) -> bytes:
    return wire.encode(Receipt("unsubscribed", Unsubscribed(channel, "unsubscribed")))


def error(code: str, message: str, channel: str | None = None, retry_after: float | None = None) -> bytes:
    complaint = Complaint(
        message, code, UNSET if channel is None else channel, UNSET if retry_after is None else retry_after
    )
    return wire.encode(ErrorMessage(complaint, "error"))
