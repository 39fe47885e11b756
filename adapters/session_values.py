"""What programs keep in the `state` of a session, which its clients see in `session_state`."""

from __future__ import annotations

from typing import Any

from actors.system import System
from core.identifiers import Category, MalformedStreamName, StreamName
from core.messages import Accepted, Refused, Unavailable
from core.ports import StoreUnavailable
from core.session import SetValue


class SessionValues:
    """The values of all sessions. Reading never counts as activity, writing does."""

    def __init__(self, system: System) -> None:
        self._system = system

    async def update(self, session_id: str, key: str, value: Any) -> bool:
        """Whether there is such a session, not expired, and it took the value. Raises StoreUnavailable."""
        stream = _stream_of(session_id)
        if stream is None:
            return False
        system = self._system
        outcome = await system.ask(stream, SetValue(key, value, system.clock.now()), system.stamp())
        match outcome:
            case Accepted():
                return True
            case Refused():
                return False
            case Unavailable(reason):
                raise StoreUnavailable(reason)
            case _:
                raise StoreUnavailable("the mailbox is full")

    async def get(self, session_id: str, key: str) -> Any:
        """The value; None when there is none, or no such session. Raises StoreUnavailable."""
        stream = _stream_of(session_id)
        if stream is None:
            return None
        state, _ = await self._system.look(stream)
        return state.values.get(key)


def _stream_of(session_id: str) -> StreamName | None:
    try:
        return StreamName.of(Category.SESSION, session_id)
    except MalformedStreamName:
        return None
