"""Is the log what was recorded? Told line by line while a process of its own looks, at the lowest priority.

One looks at a time. It ends with its answer: a client that goes away ends it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from msgspec import json, msgpack
from quart import Blueprint, Response, request

from actors.system import System
from adapters.apart import Apart
from adapters.verification.messages import Fails, Holds, Message, Progress, Question
from adapters.web.accesses import recorded
from adapters.web.answers import Problem
from adapters.web.audit import auditor
from adapters.web.described import Content, described
from adapters.web.made_apart import MadeApart, streamed
from adapters.web.turns import Turns
from eventstore.audit import Filters

WORKER = "adapters.verification.worker"
LINES = Content("application/x-ndjson")
COME_BACK = 10.0
"""Seconds after which whoever came while another looked may ask again."""
REST = 0.005
"""Seconds after each page of events in which the disk is there for the living alone."""

_to_message = msgpack.Decoder(Message).decode


class Verified(MadeApart):
    """The answer, a line for each message."""

    def __init__(self, path: Path, turn: Turns) -> None:
        self._apart = Apart(WORKER, msgpack.encode(Question(str(path), REST)))
        self._turn, self._is_over = turn, False
        super().__init__(self._apart)

    def leave(self) -> None:
        self._turn.give_back(self)

    async def __anext__(self) -> bytes:
        """The next line. Raises Lost: then the answer is cut off, and has no verdict."""
        if self._is_over:
            raise StopAsyncIteration
        message: Message = _to_message(await self._apart.message())
        self._is_over = not isinstance(message, Progress)
        return _line(message)


def verification_blueprint(system: System, path: Path | None) -> Blueprint:
    """The route, for the roles auditor and operator. `path`: where the log is, None where it is no file."""
    routes, turn = Blueprint("verification", __name__), Turns(1)

    @routes.get("/api/audit/verify")
    @described(LINES, 404)
    async def verify_log() -> Response:
        """Hold the log against its chain and its checkpoints. For the roles auditor and operator; it is recorded.

        The answer has a line of JSON every now and then, `{"done": …, "of": …}` in events, and then the verdict,
        `{"ok": true, "events": …, "head": …, "checkpoints": …}` or `{"ok": false, "event": …, "position": …,
        "reason": …}`. An answer that is cut off has none. `checkpoints` are those that hold: `{"held": …, "newest": …,
        "signed": …, "keys": […]}`, or null.
        """
        visitor = auditor()
        if path is None:
            raise Problem(404, "This log is in memory, and has no chain")
        looking = Verified(path, turn)
        if not turn.take(looking):
            raise Problem(429, "The log is being verified for somebody else", COME_BACK)
        if request.method == "HEAD":  # the answer to it tells nobody anything
            turn.give_back(looking)
            return streamed(b"", LINES.kind)
        try:
            await recorded(system, visitor, "verify", Filters(), 0)
        except BaseException:
            turn.give_back(looking)
            raise
        return streamed(looking, LINES.kind)

    return routes


def _line(message: Message) -> bytes:
    match message:
        case Progress(done, of):
            told: dict[str, object] = {"done": done, "of": of}
        case Holds(events, head, checkpoints):
            told = {"ok": True, "events": events, "head": head, "checkpoints": checkpoints}
        case Fails(reason, position, event):
            told = {"ok": False, "event": event, "position": position, "reason": reason}
        case _:
            assert_never(message)
    return json.encode(told) + b"\n"
