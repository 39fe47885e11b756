"""What clients send: a frame is read into the one thing it asks for, or refused as unreadable."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from adapters.protocols import wire
from core.channel import MAX_NAME, Publish
from core.identifiers import Category, MalformedStreamName, StreamName

RESERVED = frozenset({"subscribe", "unsubscribe", "subscribed", "unsubscribed", "error", "ping", "pong", "ask"})
"""What no channel may be called, as frames of these types mean something else."""


class Envelope(Struct, frozen=True):
    """A client's frame, its fields still raw, so that a wrong one is told from malformed JSON."""

    type: Raw = wire.NULL
    payload: Raw = wire.NULL
    command_id: Raw = wire.NULL


class SubscriptionPayload(Struct, frozen=True):
    channel: str | None = None
    since: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    epoch: str | None = None
    envelope: bool | None = None


class ChannelPayload(Struct, frozen=True):
    channel: str | None = None


class QuestionPayload(Struct, frozen=True):
    message: str
    channel: str | None = None
    thread_id: str | None = None


class Subscribe(Struct, frozen=True, gc=False):
    """`since` is a position of the log, `epoch` that log's, where the client knows it; without `since`, from now on."""

    channel: str
    since: int | None = None
    epoch: str | None = None
    envelope: bool = False


class Unsubscribe(Struct, frozen=True, gc=False):
    channel: str


class Question(Struct, frozen=True, gc=False):
    """To the assistant; what it does shall be heard on the channel. `thread` is the conversation's, None: the
    connection's own."""

    channel: str
    thread: StreamName | None
    content: str


Request = Subscribe | Unsubscribe | Publish | Question

_ENVELOPE = Decoder(Envelope)
_SUBSCRIPTION = Decoder(SubscriptionPayload | None)
_CHANNEL = Decoder(ChannelPayload | None)
_QUESTION = Decoder(QuestionPayload)
_PUBLISHED = Decoder(dict[str, Any])


class UnreadableFrame(Exception):
    """A client's frame that asks for nothing we know; it is answered with an error frame, and nothing else happens."""

    def __init__(self, code: str, message: str, channel: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.channel = code, message, channel


def read_request(frame: str | bytes) -> tuple[Request, str | None]:
    """What a frame asks for, and the id its sender chose. Raises UnreadableFrame."""
    try:
        envelope = wire.read_object(frame, _ENVELOPE)
    except wire.MalformedFrame as error:
        raise UnreadableFrame("invalid_json", str(error)) from None
    try:
        return _read(wire.read_text(envelope.type, "type"), envelope.payload), wire.read_command_id(envelope.command_id)
    except wire.WrongField as error:
        raise UnreadableFrame("invalid_message", str(error)) from None


def _read(kind: str, payload: Raw) -> Request:
    match kind:
        case "subscribe":
            return _read_subscription(payload)
        case "unsubscribe":
            return Unsubscribe(_channel_in(wire.read_field(payload, "payload", _CHANNEL)))
        case "ask":
            return _read_question(wire.read_field(payload, "payload", _QUESTION))
        case _:
            channel = _usable(kind)
            content = wire.read_field(payload, "payload", _PUBLISHED)
            wire.check_depth(content, "payload")
            return Publish(channel, content)


def _read_subscription(payload: Raw) -> Subscribe:
    asked = wire.read_field(payload, "payload", _SUBSCRIPTION) or SubscriptionPayload()
    return Subscribe(_usable(_channel_in(asked)), asked.since, asked.epoch, bool(asked.envelope))


def _read_question(asked: QuestionPayload) -> Question:
    channel = _usable(_channel_in(asked))
    if not asked.message.strip():
        raise UnreadableFrame("invalid_message", "There is no question in `payload.message`", channel)
    try:
        thread = None if asked.thread_id is None else StreamName.of(Category.CONVERSATION, asked.thread_id)
    except MalformedStreamName as error:
        raise UnreadableFrame("invalid_message", f"`payload.thread_id`: {error}", channel) from None
    return Question(channel, thread, asked.message)


def _channel_in(payload: SubscriptionPayload | ChannelPayload | QuestionPayload | None) -> str:
    channel = payload.channel if payload is not None else None
    return _named(channel or "")


def _named(channel: str) -> str:
    if not channel:
        raise UnreadableFrame("missing_channel", "No channel is named")
    if len(channel) > MAX_NAME:
        raise UnreadableFrame("invalid_message", f"A channel's name has at most {MAX_NAME} characters")
    return channel


def _usable(channel: str) -> str:
    if channel in RESERVED:
        raise UnreadableFrame("reserved_channel", f"No channel can be called {channel}", channel)
    return _named(channel)
