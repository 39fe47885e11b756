"""The dialect as the shell knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.protocols.streams import frames
from adapters.protocols.streams.connection import VIA, StreamsConnection
from core.dialect import Close, Endpoint, Frame, Handshake
from core.messages import Recorded
from core.session import ChatSaid, DevicesDisconnected

DISCONNECTED = Close(1000, "Disconnected")


@dataclass(frozen=True, slots=True)
class StreamsDialect:
    """One exists, as all its sockets share their frames."""

    @property
    def name(self) -> str:
        return VIA

    def connect(self, handshake: Handshake) -> StreamsConnection:
        return StreamsConnection(handshake)

    def render(self, record: Recorded, state: Any) -> Frame | None:  # noqa: ARG002  # the protocol's signature
        return frames.render(record)

    def farewell(self, record: Recorded, state: Any) -> Close | None:  # noqa: ARG002  # as above
        return DISCONNECTED if type(record.event) is DevicesDisconnected else None

    def topics(self, record: Recorded) -> Sequence[str]:
        return (frames.CHAT,) if type(record.event) is ChatSaid else ()

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:  # noqa: ARG002  # as above
        return frames.render_chat(record)


STREAMS = StreamsDialect()


def dialect_for(query: Mapping[str, str]) -> StreamsDialect:  # noqa: ARG001  # an endpoint's signature
    return STREAMS


def endpoints(names: Mapping[str, str]) -> Sequence[Endpoint]:  # noqa: ARG001  # the protocol's signature
    return (Endpoint("/api/stream/ws/<session_id>", dialect_for),)
