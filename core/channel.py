"""The channel: whoever publishes on it is heard by whoever subscribes to it (dialect `channels`).

A channel is a stream of its own, `channel-<name>`, so that all who publish on it are put in one order by one actor, and
an auditor finds what it carried under its name. It is opened without a word by the first thing published on it.

Subscriptions are no events: a subscription is a connection's, ends with it, and says nothing about the channel. Those
who subscribe hear the wide topic of the channel's name, so a thousand of them cost the channel's actor nothing.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Never, assert_never

from msgspec import Struct
from msgspec.structs import replace

from core.decider import Decider, Rejected
from core.identifiers import Category, StreamName

MAX_NAME = 256
"""Characters in a channel's name."""

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,100}")


def stream_of(name: str) -> StreamName:
    """The stream of the channel `name`: its own name where that is plain, else a digest of it, marked as such."""
    if _PLAIN.fullmatch(name):
        return StreamName.of(Category.CHANNEL, name)
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return StreamName.of(Category.CHANNEL, f"~{digest}")


# --- commands ---------------------------------------------------------------------------------------------------


class Publish(Struct, frozen=True):
    channel: str
    payload: dict[str, Any]


Command = Publish


# --- events -----------------------------------------------------------------------------------------------------


class ChannelOpened(Struct, frozen=True, gc=False):
    """Something is about to be published here for the first time."""

    name: str


class Published(Struct, frozen=True):
    """What a channel carried. Its name stands in each, as those who subscribe are shown it without any state."""

    channel: str
    payload: dict[str, Any]


Event = ChannelOpened | Published


# --- state ------------------------------------------------------------------------------------------------------


class Channel(Struct, frozen=True, gc=False):
    """`name` None: nothing has been published here. `carried` is how many things have."""

    name: str | None = None
    carried: int = 0


# --- decide -----------------------------------------------------------------------------------------------------


def decide(state: Channel, command: Command) -> tuple[Event, ...] | Rejected:
    """Whatever is published is carried, on the channel it was meant for."""
    name = command.channel
    if not 1 <= len(name) <= MAX_NAME:
        return Rejected("invalid_channel", f"a channel's name has 1 to {MAX_NAME} characters")
    if state.name is not None and state.name != name:
        return Rejected("wrong_channel", "This is the stream of another channel")
    opened = () if state.name is not None else (ChannelOpened(name),)
    return (*opened, Published(name, command.payload))


# --- evolve -----------------------------------------------------------------------------------------------------


def evolve(state: Channel, event: Event) -> Channel:
    """The state after `event`. Total: whatever the log holds can be folded."""
    match event:
        case Published():
            return replace(state, carried=state.carried + 1)
        case ChannelOpened(name):
            return replace(state, name=name)
        case _:
            assert_never(event)


# --- wanted -----------------------------------------------------------------------------------------------------


def wanted(state: Channel) -> frozenset[Never]:  # noqa: ARG001  # a decider's signature
    """Carrying is all a channel does."""
    return frozenset()


def is_terminal(state: Channel) -> bool:  # noqa: ARG001  # as above
    """A channel is there for ever; nobody need keep it in memory."""
    return False


def opens_work(event: Event) -> bool | None:  # noqa: ARG001  # as above
    return None


channel: Decider[Channel, Command, Event, Never] = Decider(
    Category.CHANNEL, Channel(), decide, evolve, is_terminal, wanted, opens_work
)
