"""What those who run the server ask it: is it alive, may it get clients, and what are its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

import trio
from msgspec import Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.metrics import CONTENT_TYPE, CallStatistics, Measured, exposition
from adapters.protocols.retell import TALLY
from adapters.server.statistics import Tally
from adapters.web import auth
from adapters.web.answers import answer
from adapters.web.auth import Role
from adapters.web.described import JSON, TEXT, Content, described
from core.ports import EventStore
from eventstore.waiting import WriterStatistics

MOST_LAG = 10_000
"""Events audiences may be behind the log before new clients are better sent elsewhere."""
REASONS = (auth.NO_TOKEN, auth.INVALID_TOKEN, auth.INVALID_PAYLOAD)
"""Why a token lets nobody in; a wrong password at /token is another matter."""


class Healthy(Struct, frozen=True):
    status: Literal["healthy"]


class LogReady(Struct, frozen=True):
    """`position` is that of the newest event."""

    position: int


class AudiencesReady(Struct, frozen=True):
    """`lag` counts events that are durable but not yet shown."""

    lag: int


class Components(Struct, frozen=True):
    log: LogReady
    audiences: AudiencesReady


class Ready(Struct, frozen=True):
    status: Literal["ready"]
    components: Components


class NotReady(Struct, frozen=True):
    status: Literal["not_ready"]
    reasons: list[str]


@runtime_checkable
class WritesMeasured(Protocol):
    """A store that counts its commits. Not every one does: one in memory has none."""

    @property
    def statistics(self) -> WriterStatistics: ...


def operation_blueprint(
    system: System,
    tally: Tally,
    *,
    ready: Callable[[], bool],
    require: Callable[[Role], None] = auth.require,
) -> Blueprint:
    """/health and /ready, for everybody, and /metrics, for operators; requests without a valid token are counted.

    `ready` is asked whether the server takes new clients; False while it drains. `require` raises where the request's
    visitor lacks a role.
    """
    blueprint, one_at_a_time = Blueprint("operation", __name__), trio.CapacityLimiter(1)

    @blueprint.get("/health")
    @described(Healthy)
    async def health() -> Response:
        """The server is alive."""
        return answer(Healthy("healthy"))

    @blueprint.get("/ready")
    @described(Ready, others={503: Content(JSON, NotReady)})
    async def readiness() -> Response:
        """Whether the server may be given clients."""
        if reasons := obstacles(system, draining=not ready()):
            return _fresh(answer(NotReady("not_ready", reasons), 503))
        components = Components(LogReady(system.store.head), AudiencesReady(lag(system)))
        return _fresh(answer(Ready("ready", components)))

    @blueprint.get("/metrics")
    @described(Content(TEXT))
    async def metrics() -> Response:
        """The server's numbers, in Prometheus' text format. For the role operator."""
        require(Role.OPERATOR)
        measured = measure(system, tally, ready=not obstacles(system, draining=not ready()))
        text = await trio.to_thread.run_sync(exposition, measured, limiter=one_at_a_time)
        return _fresh(Response(text, content_type=CONTENT_TYPE))

    @blueprint.after_app_request
    async def count_refusal(response: Response) -> Response:
        if response.status_code == 401 and (reason := await _reason(response)) in REASONS:
            tally.turned_away[reason] += 1
        return response

    return blueprint


async def _reason(response: Response) -> str:
    """What a refused request was told, "" where it was told nothing."""
    told = await response.get_json(force=True, silent=True)
    return str(told.get("detail", "")) if isinstance(told, dict) else ""


def obstacles(system: System, *, draining: bool) -> list[str]:
    """Why the server should get no new clients now; nothing when it should. Cheap, as anybody may ask."""
    reasons = {
        "the server is stopping": draining,
        "the log cannot be written": writes_of(system.store).in_doubt,
        f"audiences are {lag(system)} events behind the log": lag(system) > MOST_LAG,
    }
    return [reason for reason, holds in reasons.items() if holds]


def lag(system: System) -> int:
    """Events that are durable but not yet shown."""
    return system.store.head - system.shown


def writes_of(store: EventStore) -> WriterStatistics:
    """What the store says of its commits; all zero where it counts none."""
    return store.statistics if isinstance(store, WritesMeasured) else WriterStatistics()


def measure(system: System, tally: Tally, *, ready: bool) -> Measured:
    """All numbers of this moment. Goes through all actors and outlets."""
    statistics, writer = system.statistics(), writes_of(system.store)
    calls = CallStatistics(dict(TALLY.interactions), TALLY.sockets, TALLY.seconds)
    return Measured(statistics, writer, tally.statistics(), system.store.epoch, ready, calls)


def _fresh(response: Response) -> Response:
    """An answer that is true now and not to be kept."""
    response.headers["Cache-Control"] = "no-store"
    return response
