"""What a client of channels hears: the frames, how far it has come, and what waits to be taken. No I/O but waiting."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import trio
from msgspec import UNSET, DecodeError, Struct, UnsetType, json

MOST_UNTAKEN = 1000
"""Messages that may wait for who takes them."""


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody published; `position` is its place in the server's log, None where the server does not say."""

    payload: Any
    position: int | None = None


class Fields(Struct, frozen=True):
    """Of a payload of the server's own frames."""

    message: str = ""
    code: str = ""
    channel: str = ""
    position: int | None = None
    epoch: str | None = None
    recovered: bool = False
    retry_after: float = 0.0


class Frame(Struct, frozen=True):
    type: str = ""
    payload: Any = None
    position: int | None = None


class Subscription(Struct, frozen=True):
    """Of the payload of `subscribe`."""

    channel: str
    envelope: bool = True
    since: int | UnsetType = UNSET
    epoch: str | UnsetType = UNSET


@dataclass
class Place:
    """How far the channel was heard."""

    position: int | None = None
    epoch: str | None = None
    gaps: int = 0

    def asked_from(self, channel: str) -> Subscription:
        if self.position is None or self.epoch is None:
            return Subscription(channel)
        return Subscription(channel, since=self.position, epoch=self.epoch)

    def begin(self, answer: Fields) -> bool:
        """False: what was published meanwhile is not to be had."""
        lost = self.epoch is not None and not answer.recovered
        self.gaps += lost
        if answer.position is None or lost or self.position is None:
            self.position = answer.position
        self.epoch = answer.epoch
        return not lost

    def is_new(self, position: int | None) -> bool:
        return position is None or self.position is None or position > self.position

    def passed(self, position: int | None) -> None:
        """A message was heard and kept: it need not be heard again."""
        if position is not None:
            self.position = position


@dataclass
class Untaken:
    """What was heard and waits to be taken. Who has never taken anything only publishes, and keeps the newest."""

    most: int = MOST_UNTAKEN
    messages: deque[Message] = field(default_factory=deque)
    is_wanted: bool = False
    changed: trio.Event = field(default_factory=trio.Event)

    def wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def put(self, message: Message) -> None:
        while self.is_wanted and len(self.messages) >= self.most:
            await self.changed.wait()
        if len(self.messages) >= self.most:
            self.messages.popleft()
        self.messages.append(message)
        self.wake()


def text_of(kind: str, payload: Any) -> str:
    return json.encode({"type": kind, "payload": payload}).decode()


def read(text: str | bytes) -> Frame | None:
    try:
        return json.decode(text, type=Frame)
    except (DecodeError, UnicodeError, RecursionError):
        return None


def fields_of(frame: Frame) -> Fields:
    """What can be made of it; a server may have other ideas of its payloads than we."""
    try:
        return json.decode(json.encode(frame.payload or {}), type=Fields)
    except DecodeError:
        return Fields()
