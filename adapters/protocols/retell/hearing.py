"""What one socket has asked for last, and so what may still leave by it."""

from __future__ import annotations

from typing import Any

from core.call import (
    GreetingGiven,
    ResponseCompleted,
    ResponseFailed,
    ResponsePieceAdded,
    ToolFailed,
    ToolRequested,
    ToolSucceeded,
)


class Hearing:
    """Known to a socket's connection, which reads what is asked, and to its renderer, which shows what was recorded.

    An answer's record may be on its way to the socket while the platform asks for a newer one: the actor has not heard
    of that yet, and the audience has the record already. So the last check is here, before each frame. `newest` is the
    newest response id that was asked for, -1 before the first. The greeting is older than all of them.
    """

    def __init__(self) -> None:
        self.newest = -1
        self._given_up: int | None = None
        self._heard: int | None = None
        self._invoked: set[str] = set()

    def require(self, response_id: int) -> None:
        """The platform asks for an answer; those before it are stale."""
        self.newest = max(self.newest, response_id)

    def give_up(self, response_id: int) -> bool:
        """The answer has been completed without the actor, and no more of it may leave. False where it is stale."""
        if self._is_stale(response_id):
            return False
        self._given_up = response_id
        return True

    def gives_again(self, response_id: int) -> bool:
        """An answer that was complete before is asked for once more: whether this socket, which heard nothing of it, is
        to have it. Then no more of it may leave."""
        return self._heard != response_id and self.give_up(response_id)

    def lets_pass(self, event: Any) -> bool:
        """Whether the platform is to see the event. Asked once for each, in the order of the log.

        A stale answer's tool call is not shown; the result of one that was shown is, as it tells of something done.
        """
        match event:
            case GreetingGiven():
                return self.newest < 0
            case ResponsePieceAdded() | ResponseCompleted() | ResponseFailed() if not self._is_stale(event.response_id):
                self._heard = event.response_id
                return True
            case ToolRequested(tool_call_id) if not self._is_stale(event.response_id):
                self._invoked.add(tool_call_id)
                return True
            case ToolSucceeded(tool_call_id) | ToolFailed(tool_call_id) if tool_call_id in self._invoked:
                self._invoked.remove(tool_call_id)
                return True
            case ResponsePieceAdded() | ResponseCompleted() | ResponseFailed():
                return False
            case ToolRequested() | ToolSucceeded() | ToolFailed():
                return False
            case _:
                return True

    def _is_stale(self, response_id: int) -> bool:
        return response_id < self.newest or response_id == self._given_up
