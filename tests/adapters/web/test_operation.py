"""/health, /ready and /metrics, as a load balancer and a Prometheus see them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from quart import Response
from quart_trio import QuartTrio

from actors.system import System, open_system
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.protocols import retell
from adapters.server.statistics import Tally
from adapters.web.answers import Problem, answer
from adapters.web.auth import OpenDoor, Role, TokenDoor, check_requests
from adapters.web.operation import MOST_LAG, operation_blueprint
from core.conversation import OpenConversation, Say, conversation
from core.decider import AnyDecider
from core.identifiers import Category, StreamName
from core.messages import Accepted
from core.ports import EventStore
from core.session import ExpireSession, OpenSession, session
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.eventstore.logs import locked

STREAM = StreamName.of(Category.CONVERSATION, "0190f1d2-7f0e-7c3e-9c1b-3f4c5d6e7f80")
PATIENCE = 5.0


@asynccontextmanager
async def running(store: EventStore) -> AsyncIterator[System]:
    clock, identifiers = SystemClock(), TimeOrderedIdentifiers()
    deciders: dict[Category, AnyDecider] = {Category.CONVERSATION: conversation, Category.SESSION: session}
    async with open_system(store, deciders=deciders, performers={}, clock=clock, identifiers=identifiers) as system:
        yield system


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(MemoryStore()) as system:
        yield system


def an_app(
    system: System, tally: Tally | None = None, *, ready: Callable[[], bool] = lambda: True,
    require: Callable[[Role], None] | None = None,
) -> QuartTrio:  # fmt: skip
    app = QuartTrio(__name__, static_folder=None)
    more = {} if require is None else {"require": require}
    app.register_blueprint(operation_blueprint(system, tally or Tally(), ready=ready, **more))

    @app.errorhandler(Problem)
    async def problem(error: Problem) -> Response:
        return error.answer()

    return app


async def ask(system: System, *commands: OpenConversation | Say) -> None:
    for command in commands:
        assert isinstance(await system.ask(STREAM, command, system.stamp()), Accepted)


async def numbers(app: QuartTrio) -> dict[str, float]:
    """The values of /metrics that have no labels."""
    response = await app.test_client().get("/metrics")
    assert response.status_code == 200
    families = text_string_to_metric_families(await response.get_data(as_text=True))
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


async def test_a_living_server_is_healthy_whatever_else(system: System) -> None:
    response = await an_app(system, ready=lambda: False).test_client().get("/health")
    assert (response.status_code, await response.get_json()) == (200, {"status": "healthy"})


async def test_a_server_that_can_work_is_ready(system: System) -> None:
    await ask(system, OpenConversation())
    await trio.testing.wait_all_tasks_blocked()
    response = await an_app(system).test_client().get("/ready")
    assert response.status_code == 200
    assert await response.get_json() == {
        "status": "ready",
        "components": {"log": {"position": 1}, "audiences": {"lag": 0}},
    }
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_server_that_drains_is_not_ready(system: System) -> None:
    response = await an_app(system, ready=lambda: False).test_client().get("/ready")
    assert response.status_code == 503
    assert await response.get_json() == {"status": "not_ready", "reasons": ["the server is stopping"]}


async def test_a_server_whose_log_cannot_be_written_is_not_ready_until_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with open_sqlite(path, lock_timeout=1) as store, running(store) as system:
        client = an_app(system).test_client()
        with locked(path):
            await system.ask(STREAM, OpenConversation(), system.stamp())
            refusal = await client.get("/ready")
            assert refusal.status_code == 503
            assert await refusal.get_json() == {"status": "not_ready", "reasons": ["the log cannot be written"]}
            assert (await numbers(an_app(system)))["callboard_log_writable"] == 0
        await ask(system, OpenConversation())
        assert (await client.get("/ready")).status_code == 200


async def test_a_server_whose_audiences_are_far_behind_is_not_ready(system: System) -> None:
    await ask(system, OpenConversation())
    await trio.testing.wait_all_tasks_blocked()
    system.shown = system.store.head - MOST_LAG
    assert (await an_app(system).test_client().get("/ready")).status_code == 200
    system.shown -= 1
    response = await an_app(system).test_client().get("/ready")
    assert (response.status_code, (await response.get_json())["reasons"]) == (
        503,
        [f"audiences are {MOST_LAG + 1} events behind the log"],
    )
    assert (await numbers(an_app(system)))["callboard_ready"] == 0


async def test_metrics_come_in_the_text_format(system: System) -> None:
    response = await an_app(system).test_client().get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"


async def test_calls_and_sessions_are_counted_in_the_metrics(system: System) -> None:
    app, stream = an_app(system), StreamName.of(Category.SESSION, "s1")
    before = await numbers(app)
    retell.TALLY.end(1.5)
    for command in (OpenSession("ada", "shipping", 0, 1_000_000), ExpireSession(1_000_000)):
        assert isinstance(await system.ask(stream, command, system.stamp()), Accepted)
    await trio.testing.wait_all_tasks_blocked()
    after = await numbers(app)
    grown = {name: value - before[name] for name, value in after.items()}
    assert grown["callboard_call_sockets_ended_total"] == 1
    assert grown["callboard_call_sockets_seconds_total"] == pytest.approx(1.5)
    assert grown["callboard_sessions_expired_total"] == 1


async def test_metrics_are_those_of_this_moment(tmp_path: Path) -> None:
    tally = Tally(lambda: (30, 20))
    async with open_sqlite(tmp_path / "log.db") as store, running(store) as system:
        app = an_app(system, tally)
        before = await numbers(app)
        await ask(system, OpenConversation())
        tally.frames_in += 7
        await trio.testing.wait_all_tasks_blocked()
        after = await numbers(app)
    assert before["callboard_actors"] == 0
    assert after["callboard_actors"] == after["callboard_log_position"] == after["callboard_commit_rows_total"] == 1
    assert after["callboard_commit_duration_seconds_count"] == after["callboard_commit_batches_total"] >= 1
    assert (after["callboard_frames_received_total"], after["callboard_outlet_waiting_bytes"]) == (7, 30)
    assert (after["callboard_ready"], after["callboard_tail_lag_events"]) == (1, 0)


async def test_many_may_ask_for_the_metrics_at_once(system: System) -> None:
    app = an_app(system)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(numbers, app)


async def test_metrics_are_for_operators_health_and_readiness_for_everybody(system: System) -> None:
    asked = list[Role]()

    def refuse(role: Role) -> None:
        asked.append(role)
        raise Problem(403, "not you")

    client = an_app(system, require=refuse).test_client()
    statuses = [(await client.get(path)).status_code for path in ("/health", "/ready", "/metrics")]
    assert (statuses, asked) == ([200, 200, 403], [Role.OPERATOR])


async def test_requests_without_a_valid_token_are_counted_by_reason_and_public_ones_are_not(system: System) -> None:
    tally = Tally()
    app = an_app(system, tally)
    check_requests(app, TokenDoor("s" * 32), system.clock)

    @app.post("/token")
    async def refuse() -> Response:
        return answer({"detail": "Incorrect username or password"}, 401)

    client = app.test_client()
    for path in ("/metrics", "/metrics", "/metrics?token=a.b.c", "/health", "/ready"):
        await client.get(path)
    assert (await client.post("/token")).status_code == 401
    assert tally.turned_away == {"Missing authentication token": 2, "Invalid or expired token": 1}


async def test_where_nobody_is_asked_everybody_may_read_the_metrics(system: System) -> None:
    app = an_app(system)
    check_requests(app, OpenDoor(), system.clock)
    assert (await app.test_client().get("/metrics")).status_code == 200
