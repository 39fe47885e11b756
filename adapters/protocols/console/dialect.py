"""The dialect as the shell knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.protocols.console import frames
from adapters.protocols.console.connection import ConsoleConnection
from core.dialect import Close, Endpoint, Frame, Handshake
from core.messages import Recorded

ROLES = frozenset({"operator", "auditor"})
"""Who may look."""


class ConsoleDialect:
    """One for all. A stream's state says nothing about how a record is shown."""

    name = "console"

    def connect(self, handshake: Handshake) -> ConsoleConnection:
        return ConsoleConnection(handshake)

    def render(self, record: Recorded, state: Any) -> Frame | None:  # noqa: ARG002  # the protocol's signature
        return frames.render(record)

    def farewell(self, record: Recorded, state: Any) -> Close | None:  # noqa: ARG002  # as above
        return None

    def topics(self, record: Recorded) -> Sequence[str]:
        return frames.topics_of(record)

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:
        return frames.render_in_short(record) if topic == frames.LOG else frames.render(record)


CONSOLE = ConsoleDialect()


def dialect_for(query: Mapping[str, str]) -> ConsoleDialect:  # noqa: ARG001  # as above
    return CONSOLE


def endpoints(names: Mapping[str, str]) -> Sequence[Endpoint]:  # noqa: ARG001  # as above
    return (Endpoint("/console/socket", dialect_for, roles=ROLES),)
