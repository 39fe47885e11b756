"""What caused an event and what it caused, for auditors; that they are told is on record first, as ever."""

from __future__ import annotations

from typing import Any

import trio
from msgspec import Raw, Struct, json
from quart import Blueprint, Response

from actors.system import System
from adapters.asking_why import NoSuchEvent, TooMuchToTell, story
from adapters.causes import Story, as_object, size
from adapters.web.accesses import recorded
from adapters.web.answers import Problem, answer
from adapters.web.audit import auditor
from adapters.web.described import Timestamp, described
from core.identifiers import StreamName
from eventstore.audit import AuditLog, Filters


class CausedEvent(Struct, frozen=True):
    version: int
    event: str
    payload: Any


class Decided(Struct, frozen=True):
    """A command and the events it led to. Without `causation_id` it came from outside. `effects` are what those events
    caused, in their order; they are told of the event's own decision alone. Of what is nested too deep to be told
    `more_below` says how many decisions there are."""

    stream: str
    command: Any
    command_id: str | None
    time: Timestamp
    principal: str
    origin: str
    causation_id: str | None
    events: list[CausedEvent]
    effects: list[Decided]
    more_below: int


class Causes(Struct, frozen=True):
    """`causes` go from the command that came from outside to the one that led to the event's own `decision`. `others`
    came from outside as well, in the same correlation."""

    event: str
    correlation_id: str
    causes: list[Decided]
    decision: Decided
    others: list[Decided]


def causes_blueprint(system: System, log: AuditLog | None) -> Blueprint:
    """The route, for the roles auditor and operator. `log` None where the log is no file."""
    routes = Blueprint("causes", __name__)

    @routes.get("/api/audit/causes/<path:event>")
    @described(Causes, 404)
    async def read_causes_of_event(event: str) -> Response:
        """What led to an event, and all that came of it, across streams. For the roles auditor and operator; being told
        is recorded."""
        visitor, (stream, _, version) = auditor(), event.rpartition("@")
        if log is None:
            raise Problem(404, "This log is in memory, and is not kept for auditors")
        number = int(version) if version.isdecimal() and len(version) < 18 else 0
        told, problem = None, ""
        try:
            told = await story(system.store, log, StreamName(stream), number)
        except (NoSuchEvent, TooMuchToTell) as reason:
            problem = str(reason)
        entries = 0 if told is None else await trio.to_thread.run_sync(size, told)
        await recorded(system, visitor, "causes", Filters(stream=stream), entries, version=number)
        if told is None:
            raise Problem(404, problem)
        return answer(await trio.to_thread.run_sync(_encoded, told))

    return routes


def _encoded(told: Story) -> Raw:
    return Raw(json.encode(as_object(told)))
