"""The dialect as the shell knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.protocols.shipping import frames
from adapters.protocols.shipping.connection import ShippingConnection
from core.dialect import Close, Endpoint, Frame, Handshake
from core.messages import Recorded

PATH = "/ws"
MAX_AGE = "3600"
"""Seconds of idleness that end a session, where nobody says another number."""


@dataclass(frozen=True, slots=True)
class ShippingDialect:
    """One exists for a server. `max_age` is in µs, None for sessions without end."""

    max_age: int | None

    @property
    def name(self) -> str:
        return "shipping"

    def connect(self, handshake: Handshake) -> ShippingConnection:
        return ShippingConnection(handshake, max_age=self.max_age)

    def render(self, record: Recorded, state: Any) -> Frame | None:
        return frames.render(record, state)

    def farewell(self, record: Recorded, state: Any) -> Close | None:  # noqa: ARG002  # the protocol's signature
        return None

    def topics(self, record: Recorded) -> Sequence[str]:  # noqa: ARG002  # as above
        return ()

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:  # noqa: ARG002  # as above
        return None


def endpoints(names: Mapping[str, str]) -> Sequence[Endpoint]:
    """Of the names it takes `session_max_age`, in seconds."""
    dialect = ShippingDialect(round(float(names.get("session_max_age", MAX_AGE)) * 1_000_000))

    def dialect_for(query: Mapping[str, str]) -> ShippingDialect:  # noqa: ARG001  # the protocol's signature
        return dialect

    return (Endpoint(PATH, dialect_for),)
