"""What clients had seen at a time, for auditors; being told is recorded, as with all they are told."""

from __future__ import annotations

import time
from typing import Annotated

from msgspec import Meta, Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.auditing import time_asked
from adapters.seen import Runs, SeenBy, seen_by, seen_of
from adapters.setting_values import Unusable
from adapters.web.accesses import recorded
from adapters.web.answers import Problem, answer, unprocessable
from adapters.web.audit import auditor
from adapters.web.described import described
from adapters.web.requests import query_of
from core.identifiers import MalformedStreamName, StreamName
from eventstore.audit import Filters

Text = Annotated[str, Meta(max_length=1024)]


class AskedTime(Struct, frozen=True):
    """`at` is ISO 8601 or µs; without it, by now."""

    at: Text | None = None

    def moment(self) -> int | None:
        """Raises Problem 422."""
        try:
            return None if self.at is None else time_asked(self.at)
        except Unusable as fault:
            raise unprocessable((("query", "at"), str(fault))) from None


class AskedStream(AskedTime, frozen=True, kw_only=True):
    stream: Text


class SeenConnections(Struct, frozen=True):
    """`head` is the log's last position."""

    connections: list[SeenBy]
    head: int


def connections_blueprint(system: System, runs: Runs) -> Blueprint:
    """The routes, for the roles auditor and operator. `runs` says which run of the server was noted at a time."""
    routes = Blueprint("audit_connections", __name__)

    async def record(filters: Filters, entries: int, at: int | None) -> None:
        asked = {} if at is None else {"at": at}
        await recorded(system, auditor(), "seen", filters, entries, **asked)

    @routes.get("/api/audit/connections")
    @described(SeenConnections, query=AskedStream)
    async def list_audited_connections() -> Response:
        """Who heard a stream then, and how much of it. For the roles auditor and operator; being told is recorded."""
        auditor()
        asked = query_of(AskedStream)
        at, head = asked.moment(), system.store.head
        try:
            stream = StreamName.parse(asked.stream)
        except MalformedStreamName as fault:
            raise unprocessable((("query", "stream"), str(fault))) from None
        found = await seen_of(system.store, runs, stream, at or time.time_ns() // 1000)
        await record(Filters(stream=str(stream)), len(found), at)
        return answer(SeenConnections(found, head))

    @routes.get("/api/audit/connections/<connection>")
    @described(SeenBy, 404, query=AskedTime)
    async def read_audited_connection(connection: str) -> Response:
        """What one connection had seen at a time. For the roles auditor and operator; being told is recorded."""
        auditor()
        at = query_of(AskedTime).moment()
        found = await seen_by(system.store, connection, at)
        await record(Filters(origin=connection), int(found is not None), at)
        if found is None:
            raise Problem(404, "The log has no note of such a connection by then")
        return answer(found)

    return routes
