"""To put on record, in a server, what is done with the log: that somebody is told what it says before they are told."""

from __future__ import annotations

from actors.system import System
from adapters.auditing import access, stream_at
from adapters.web.answers import accepted
from adapters.web.auth import Visitor
from adapters.web.correlation import current_correlation
from core.audit import Command
from core.messages import Stamp
from eventstore.audit import Filters

More = str | int | bool


async def recorded(system: System, visitor: Visitor, way: str, filters: Filters, entries: int, **more: More) -> str:
    """Make it durable that the visitor is told so many entries, and return the event that says so. Raises Problem."""
    return await recorded_within(current_correlation(), system, visitor, way, filters, entries, **more)


async def recorded_within(
    correlation: str, system: System, visitor: Visitor, way: str, filters: Filters, entries: int, **more: More
) -> str:
    """The same for a request that is over, and whose answer is on its way."""
    stamp = system.stamp(principal=visitor.principal, correlation_id=correlation)
    return await record_by(system, stamp, access(way, filters, entries, system.store.head, **more))


async def record_by(system: System, stamp: Stamp, command: Command) -> str:
    """By the actor of the day. Returns the event. Raises Problem."""
    return accepted(await system.ask(stream_at(stamp.time), command, stamp)).records[-1].id
