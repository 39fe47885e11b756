"""What the server sends. Pure: an event gives the same bytes always."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from adapters.protocols import wire
from core.channel import Published
from core.dialect import Frame, Reach
from core.messages import Recorded

PLAIN, ENVELOPED = "channel:", "channel+position:"
"""What the wide topics of a channel begin with: for those who hear frames as in the seed, and for those who hear each
frame's position too."""


class Message(Struct, frozen=True):
    """Every frame to clients; what is unset is not sent."""

    type: str
    payload: dict[str, Any]
    position: int | UnsetType = UNSET


class Complaint(Struct, frozen=True):
    """The payload of an error; `retry_after` in seconds."""

    message: str
    code: str
    channel: str | UnsetType = UNSET
    retry_after: float | UnsetType = UNSET


class ErrorMessage(Struct, frozen=True):
    payload: Complaint
    type: str = "error"


def topic_of(channel: str, *, envelope: bool) -> str:
    return f"{ENVELOPED if envelope else PLAIN}{channel}"


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


def subscribed(channel: str, more: dict[str, Any] | None = None) -> bytes:
    """`more` is for those alone who asked for it."""
    payload = {"channel": channel, "message": "subscribed"}
    return wire.encode(Message("subscribed", payload if more is None else payload | more))


def unsubscribed(channel: str) -> bytes:
    return wire.encode(Message("unsubscribed", {"channel": channel, "message": "unsubscribed"}))


def error(code: str, message: str, channel: str | None = None, retry_after: float | None = None) -> bytes:
    complaint = Complaint(
        message, code, UNSET if channel is None else channel, UNSET if retry_after is None else retry_after
    )
    return wire.encode(ErrorMessage(complaint))
