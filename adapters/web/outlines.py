"""A stream as a whole, to be drawn. For auditors; that they are told is on record first, as ever."""

from __future__ import annotations

import trio
from quart import Blueprint, Response

from actors.system import System
from adapters.auditing import access, stream_at
from adapters.outlining import StreamOutline, outlined
from adapters.web.answers import Problem, accepted
from adapters.web.audit import auditor
from adapters.web.correlation import current_correlation
from adapters.web.described import JSON, described
from core.identifiers import MalformedStreamName, StreamName
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
        stamp = system.stamp(principal=visitor.principal, correlation_id=current_correlation())
        note = access("outline", Filters(stream=str(name)), outline.version, system.store.head)
        accepted(await system.ask(stream_at(stamp.time), note, stamp))
        if not outline.version:
            raise no_stream()
        return Response(await trio.to_thread.run_sync(outline.encoded), content_type=JSON)

    return routes


def stream_named(text: str) -> StreamName:
    """Raises Problem 404 for what cannot be a stream's name."""
    try:
        return StreamName.parse(text)
    except MalformedStreamName:
        raise no_stream() from None


def no_stream() -> Problem:
    return Problem(404, "The log has no such stream")
