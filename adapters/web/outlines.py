"""A stream as a whole, to be drawn. For auditors; that they are told is on record first, as ever."""

from __future__ import annotations

import trio
from quart import Blueprint, Response

from actors.system import System
from adapters.outlining import StreamOutline, outlined
from adapters.web.accesses import recorded
from adapters.web.audit import auditor
from adapters.web.described import JSON, described
from adapters.web.requests import no_stream, stream_named
from eventstore.audit import Filters


def outlines_blueprint(system: System) -> Blueprint:
    """The route, for the roles auditor and operator."""
    routes = Blueprint("outlines", __name__)

    @routes.get("/api/audit/streams/<path:stream>/outline")
    @described(StreamOutline, 404)
    async def outline_stream(stream: str) -> Response:
        """When each event of a stream was, what it is called, and in which lane it stands. For the roles auditor and
        operator; being told is recorded.

        Of a stream of more than a million events these are the first million.
        """
        visitor, name = auditor(), stream_named(stream)
        outline = await outlined(system.store, name)
        await recorded(system, visitor, "outline", Filters(stream=str(name)), outline.version)
        if not outline.version:
            raise no_stream()
        return Response(await trio.to_thread.run_sync(outline.encoded), content_type=JSON)

    return routes
