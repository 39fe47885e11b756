"""The dialect as the shell knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.protocols.conversations import frames
from adapters.protocols.conversations.connection import ENDED, ConversationsConnection
from core.conversation import Phase, PhaseEntered
from core.dialect import Close, Endpoint, Frame, Handshake
from core.messages import Recorded


@dataclass(frozen=True, slots=True)
class ConversationsDialect:
    """Two exist, as all sockets of one dialect share their frames: the plain one, and one that also streams answers."""

    deltas: bool = False

    @property
    def name(self) -> str:
        return "conversations+deltas" if self.deltas else "conversations"

    def connect(self, handshake: Handshake) -> ConversationsConnection:
        return ConversationsConnection(handshake, deltas=self.deltas)

    def render(self, record: Recorded, state: Any) -> Frame | None:
        return frames.render(record, state, deltas=self.deltas)

    def farewell(self, record: Recorded, state: Any) -> Close | None:  # noqa: ARG002  # the protocol's signature
        event = record.event
        return ENDED if type(event) is PhaseEntered and event.phase is Phase.ENDED else None

    def topics(self, record: Recorded) -> Sequence[str]:  # noqa: ARG002  # as above
        return ()

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:  # noqa: ARG002  # as above
        return None


CONVERSATIONS = ConversationsDialect()
CONVERSATIONS_WITH_DELTAS = ConversationsDialect(deltas=True)


def endpoints(names: Mapping[str, str]) -> Sequence[Endpoint]:  # noqa: ARG001  # the protocol's signature
    return (Endpoint("/api/ws/conversations/<conversation_id>", dialect_for),)


def dialect_for(query: Mapping[str, str]) -> ConversationsDialect:
    """The dialect a client asks for: `?deltas=true` gets answers piece by piece."""
    return CONVERSATIONS_WITH_DELTAS if query.get("deltas") == "true" else CONVERSATIONS
