"""The dialect as the shell knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.protocols.retell import frames
from adapters.protocols.retell.connection import ENDED, RetellConnection, Tally
from adapters.protocols.retell.hearing import Hearing
from core.call import CallEnded, SocketConnected
from core.dialect import Close, Endpoint, Frame, Handshake, Reach
from core.messages import Recorded

REPLACED = Close(4409, "A newer socket has taken this call over", Reach.OTHERS)

TALLY = Tally()
"""Of this process."""


class RetellDialect:
    """One for each socket, as what may leave by a socket hangs on what it has asked for last.

    Nothing is lost by that: a call has one socket, so no two share a rendered frame. A dialect nobody is connected by
    renders everything, as the log has it.
    """

    name = "retell"

    def __init__(self, tally: Tally = TALLY) -> None:
        self._hearing, self._tally = Hearing(), tally

    def connect(self, handshake: Handshake) -> RetellConnection:
        return RetellConnection(handshake, self._hearing, self._tally)

    def render(self, record: Recorded, state: Any) -> Frame | None:  # noqa: ARG002  # the protocol's signature
        shown = frames.show(record.event)
        if shown is None or not self._hearing.lets_pass(record.event):
            return None
        return Frame(frames.encode(shown))

    def farewell(self, record: Recorded, state: Any) -> Close | None:  # noqa: ARG002  # as above
        match record.event:
            case SocketConnected():
                return REPLACED
            case CallEnded():
                return ENDED
            case _:
                return None

    def topics(self, record: Recorded) -> Sequence[str]:  # noqa: ARG002  # as above
        return ()

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:  # noqa: ARG002  # as above
        return None


def dialect_for(query: Mapping[str, str]) -> RetellDialect:  # noqa: ARG001  # as above
    return RetellDialect()


def endpoints(names: Mapping[str, str]) -> Sequence[Endpoint]:
    """Without the setting the dialect is spoken nowhere: its path is its secret."""
    path = names.get("obfuscated_ws_path")
    return (Endpoint(f"/{path}/<call_id>", dialect_for, is_open=True),) if path else ()
