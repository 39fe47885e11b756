"""The dialect as the shell knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.protocols.channels import frames
from adapters.protocols.channels.connection import ChannelsConnection
from core.dialect import Close, Endpoint, Frame, Handshake
from core.messages import Recorded


class ChannelsDialect:
    """One for all: what differs between subscribers is which topic they hear."""

    name = "channels"

    def connect(self, handshake: Handshake) -> ChannelsConnection:
        return ChannelsConnection(handshake)

    def render(self, record: Recorded, state: Any) -> Frame | None:  # noqa: ARG002  # the protocol's signature
        """For who looks at a channel's stream as it was shown; no socket hears it that way."""
        return frames.render(record)

    def farewell(self, record: Recorded, state: Any) -> Close | None:  # noqa: ARG002  # as above
        return None

    def topics(self, record: Recorded) -> Sequence[str]:
        return frames.topics_of(record)

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:
        return frames.render(record, envelope=topic.startswith(frames.ENVELOPED))


CHANNELS = ChannelsDialect()


def dialect_for(query: Mapping[str, str]) -> ChannelsDialect:  # noqa: ARG001  # as above
    return CHANNELS


def endpoints(names: Mapping[str, str]) -> Sequence[Endpoint]:  # noqa: ARG001  # as above
    """The bare one is for clients of the seed, who know a host and a port alone."""
    return Endpoint("/", dialect_for), Endpoint("/ws/channels", dialect_for)
