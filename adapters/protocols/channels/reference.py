"""What the dialect says of itself in the API reference."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from adapters.protocols import wire
from adapters.protocols.channels.frames import ErrorMessage, Message, Receipt, Subscribed, Unsubscribed
from adapters.protocols.channels.requests import RESERVED, ChannelPayload, QuestionPayload, SubscriptionPayload
from core.channel import MAX_NAME
from core.dialect import Described, Reference

K = TypeVar("K", bound=str)
P = TypeVar("P")


class Asked(Struct, Generic[K, P], frozen=True):
    """The envelope of a client's frame."""

    type: K
    payload: P
    command_id: wire.CommandId = None


Named = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
_NOT_RESERVED = {"not": {"enum": sorted(RESERVED)}}
ChannelName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, extra_json_schema=_NOT_RESERVED)]
"""The type of what is published is the channel's name."""
Content = dict[str, Any]


class Subscription(SubscriptionPayload, frozen=True, kw_only=True):
    channel: ChannelName


class Unsubscription(ChannelPayload, frozen=True, kw_only=True):
    channel: Named


class Question(QuestionPayload, frozen=True, kw_only=True):
    channel: ChannelName
    message: Annotated[str, Meta(pattern=r"\S")]


RECEIVED = (
    Described(
        "subscribe",
        Asked[Literal["subscribe"], Subscription],
        "What others publish on the channel is to be heard; with `since`, what was published behind that too.",
    ),
    Described("unsubscribe", Asked[Literal["unsubscribe"], Unsubscription], "The channel is to be heard no more."),
    Described(
        "ask",
        Asked[Literal["ask"], Question],
        "A question to the assistant, who publishes what it does about it on the channel.",
    ),
    Described("publish", Asked[ChannelName, Content], "For all others who are subscribed to the channel `type` names."),
)

SENT = (
    Described("subscribed", Receipt[Literal["subscribed"], Subscribed], "The channel is heard from here on."),
    Described("unsubscribed", Receipt[Literal["unsubscribed"], Unsubscribed], "The channel is heard no more."),
    Described("published", Message[ChannelName, Content], "What somebody else published on the channel `type` names."),
    Described("error", ErrorMessage, "What was sent was not done; the connection stays."),
)

REFERENCE = Reference(
    "channels",
    "Publish and subscribe. There is no greeting and no acknowledgement of what is published, and nobody hears what "
    "they published themselves.",
    RECEIVED,
    SENT,
    closes={1013: "too many answers wait for what was published before; come back"},
)
