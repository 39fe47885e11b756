"""The auditor's questions: events by what they are, whose, and what they say, in pages; how many; and one alone.

Whoever is told something is on record first: `audit.accessed` in the stream of the day, with who asked, what for, and
how much there was.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.auditing import as_object, time_asked
from adapters.setting_values import Unusable
from adapters.web.accesses import recorded
from adapters.web.answers import Problem, answer, unprocessable
from adapters.web.auth import Role, Visitor, current_visitor
from adapters.web.described import Timestamp, described
from adapters.web.requests import query_of
from core.identifiers import Category
from eventstore.audit import MOST_ON_PAGE, AuditLog, Filters, TooBroad
from eventstore.cursors import BadCursor
from eventstore.words import objection

MOST_COUNTED = 1_000_000
Text = Annotated[str, Meta(max_length=1024)]


class Asked(Struct, frozen=True):
    """All that is given must hold. `event` is a stored name with its version or without; `origin` a connection; `text`
    are words, "phrases" and beginnings*; times are ISO 8601 or µs, `until` does not belong to what is wanted."""

    stream: Text | None = None
    category: Category | None = None
    event: Text | None = None
    principal: Text | None = None
    correlation_id: Text | None = None
    causation_id: Text | None = None
    origin: Text | None = None
    command_id: Text | None = None
    since: Text | None = None
    until: Text | None = None
    text: Text | None = None
    rejected: bool | None = None

    def filters(self) -> Filters:
        """Raises Problem 422."""
        if self.text is not None and (fault := objection(self.text)):
            raise unprocessable((("query", "text"), fault))
        return Filters(
            self.stream, self.category, self.event, self.principal, self.correlation_id, self.causation_id, self.origin,
            self.command_id, _time("since", self.since), _time("until", self.until), self.text, self.rejected,
        )  # fmt: skip


class AskedPage(Asked, frozen=True):
    cursor: Text | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_ON_PAGE)] = 100
    newest_first: bool = False


class AskedCount(Asked, frozen=True):
    at_most: Annotated[int, Meta(ge=1, le=MOST_COUNTED)] = 100_000


class Audited(Struct, frozen=True):
    """An event with all the log says of it. `command` is what led to it, at the first event of each decision."""

    position: int
    stream: str
    version: int
    event: str
    payload: Any
    time: Timestamp
    correlation_id: str
    causation_id: str | None
    command_id: str | None
    principal: str
    origin: str
    command: Any
    hash: str


class AuditPage(Struct, frozen=True):
    """`next_cursor` is there while there is more to look at, even where a page has few events or none. `head` is the
    log's last position."""

    entries: list[Audited]
    next_cursor: str | None
    head: int


class AuditCount(Struct, frozen=True):
    """`complete`: there are no more than those."""

    count: int
    complete: bool
    head: int


def audit_blueprint(system: System, log: AuditLog | None) -> Blueprint:
    """The routes, for the roles auditor and operator. `log` None where the log is no file."""
    routes = Blueprint("audit", __name__)

    @routes.get("/api/audit/events")
    @described(AuditPage, 404, query=AskedPage)
    async def list_audited_events() -> Response:
        """Events that meet all conditions, page by page. For the roles auditor and operator; being told is recorded."""
        visitor, asked = auditor(), query_of(AskedPage)
        filters, file, head = asked.filters(), _file(log), system.store.head
        try:
            page = await file.page(filters, cursor=asked.cursor, limit=asked.limit, newest_first=asked.newest_first)
        except BadCursor as fault:
            raise unprocessable((("query", "cursor"), str(fault))) from None
        except TooBroad as fault:
            raise unprocessable((("query", "text"), str(fault))) from None
        await recorded(system, visitor, "search", filters, len(page.entries))
        entries = [as_object(entry) for entry in page.entries]
        return answer({"entries": entries, "next_cursor": page.next_cursor, "head": head})

    @routes.get("/api/audit/events/count")
    @described(AuditCount, 404, query=AskedCount)
    async def count_audited_events() -> Response:
        """How many events meet all conditions. For the roles auditor and operator; being told is recorded."""
        visitor, asked = auditor(), query_of(AskedCount)
        filters, file, head = asked.filters(), _file(log), system.store.head
        try:
            count, complete = await file.count(filters, asked.at_most)
        except TooBroad as fault:
            raise unprocessable((("query", "text"), str(fault))) from None
        await recorded(system, visitor, "count", filters, count)
        return answer(AuditCount(count, complete, head))

    @routes.get("/api/audit/events/<path:event>")
    @described(Audited, 404)
    async def read_audited_event(event: str) -> Response:
        """One event by its id. For the roles auditor and operator; being told is recorded."""
        visitor, file = auditor(), _file(log)
        stream, _, version = event.rpartition("@")
        number = int(version) if version.isdecimal() and len(version) < 18 else 0
        entry = await file.event(stream, number)
        await recorded(system, visitor, "event", Filters(stream=stream), int(entry is not None), version=number)
        if entry is None:
            raise Problem(404, "The log has no such event")
        return answer(as_object(entry))

    return routes


def auditor() -> Visitor:
    """Who asks, if it is an auditor or an operator. Raises Problem 403."""
    visitor = current_visitor()
    if visitor.roles.isdisjoint({Role.AUDITOR, Role.OPERATOR}):
        raise Problem(403, "The log is for the roles auditor and operator")
    return visitor


def _file(log: AuditLog | None) -> AuditLog:
    if log is None:
        raise Problem(404, "This log is in memory, and is not kept for auditors")
    return log


def _time(field: str, text: str | None) -> int | None:
    try:
        return None if text is None else time_asked(text)
    except Unusable as fault:
        raise unprocessable((("query", field), str(fault))) from None
