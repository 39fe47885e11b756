"""A socket whose every message is written to the server's own log, at level debug, for whoever mends a client by it.

A message is a record with its size (bytes or characters, as it came) and its beginning, without secrets.
"""

from __future__ import annotations

from functools import partial

import structlog

from adapters.redaction import redacted
from adapters.server.messages import messages_in
from adapters.web.socket import Socket
from core.dialect import Output, Write

MOST_SHOWN = 2000
"""Characters of a message that are written."""

log = structlog.get_logger("callboard.messages")


class LoggedSocket(Socket):
    """Does what a Socket does, and says what it heard and what it said."""

    __slots__ = ()

    def received(self, message: str | bytes) -> None:
        self._note("a message came", message)
        super().received(message)

    def write(self, body: bytes) -> None:
        self._note("a message leaves", body)
        super().write(body)

    def _do(self, output: Output | partial[None]) -> None:
        if isinstance(output, Write):
            self._note("a message leaves", output.body)
        super()._do(output)

    async def _show(self, frames: bytes) -> bool:
        for body in messages_in(frames):
            self._note("a message leaves", body)
        return await super()._show(frames)

    def _note(self, what: str, message: str | bytes) -> None:
        head = message[: 4 * MOST_SHOWN]  # a character has at most four bytes
        text = head if isinstance(head, str) else head.decode(errors="replace")
        log.debug(
            what,
            connection=self.connection_id,
            dialect=self.dialect,
            path=dict(self.path),
            size=len(message),
            message=redacted(text, MOST_SHOWN),
        )
