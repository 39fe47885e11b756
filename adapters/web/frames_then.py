"""What a stream's clients were sent of an event. For auditors; that they are told is on record first, as ever."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.reels import MOST_PLAYED, FramesThen, Reels
from adapters.web.accesses import recorded
from adapters.web.answers import Problem, answer
from adapters.web.audit import auditor
from adapters.web.described import described
from adapters.web.requests import query_of, stream_named
from eventstore.audit import Filters


class AskedFrames(Struct, frozen=True):
    """`at` is the event's version."""

    at: Annotated[int, Meta(ge=1, le=MOST_PLAYED)]


def frames_blueprint(system: System, reels: Reels) -> Blueprint:
    """The route, for the roles auditor and operator."""
    routes = Blueprint("frames_then", __name__)

    @routes.get("/api/audit/streams/<path:stream>/frames")
    @described(FramesThen, 404, query=AskedFrames)
    async def read_frames_of_event(stream: str) -> Response:
        """What a stream's clients were sent of an event, by each dialect that is spoken there, as clients get it that
        ask for nothing more. For the roles auditor and operator; being told is recorded.

        The stream is played from its beginning: what was not played yet takes some seconds for tens of thousands of
        events, and what follows takes none.
        """
        visitor, asked, name = auditor(), query_of(AskedFrames), stream_named(stream)
        told = await reels.told(name, asked.at)
        found = 0 if told is None else told.frames
        await recorded(system, visitor, "frames", Filters(stream=str(name)), found, version=asked.at)
        if told is None:
            raise Problem(404, "The log has no such event")
        return answer({"stream": str(name), "at": asked.at, "dialects": Raw(told.dialects)})

    return routes
