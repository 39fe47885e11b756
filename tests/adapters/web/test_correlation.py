"""One id for a request: in its answer, its events, and every line it leaves in the log."""

from __future__ import annotations

import json
import string
from collections.abc import AsyncIterator
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st
from quart import Response, request
from quart_trio import QuartTrio
from structlog.testing import capture_logs
from trio.testing import MockClock

from actors.system import System, open_system
from adapters import logs
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.web.answers import Problem, answer
from adapters.web.conversations import conversations_blueprint
from adapters.web.correlation import SANE, correlate_requests, current_correlation
from adapters.web.cors import allow_origins
from adapters.web.settings import WebSettings
from core.conversation import conversation
from core.identifiers import Category, StreamName
from eventstore.memory import MemoryStore


class Numbers:
    def __init__(self) -> None:
        self.given = 0

    def new(self) -> str:
        self.given += 1
        return f"new-{self.given}"


def an_app() -> QuartTrio:
    app = QuartTrio(__name__, static_folder=None)
    correlate_requests(app, Numbers())
    allow_origins(app, ("http://localhost:3000",))

    @app.get("/correlation/<name>")
    async def tell(name: str) -> Response:
        await trio.sleep(0.25)
        structlog.get_logger("inside").info("inside", name=name)
        return answer([current_correlation(), current_correlation()])

    @app.get("/problem")
    async def refuse() -> Response:
        raise Problem(403, "no")

    @app.get("/health")
    async def health() -> Response:
        return answer({"status": "healthy"})

    @app.get("/metrics")
    async def metrics() -> Response:
        return answer({})

    @app.errorhandler(Problem)
    async def problem(error: Problem) -> Response:
        return error.answer()

    return app


@pytest.fixture
def app() -> QuartTrio:
    return an_app()


async def test_a_sane_request_id_is_answered_and_is_the_requests_correlation(
    app: QuartTrio, autojump_clock: MockClock
) -> None:
    response = await app.test_client().get("/correlation/a", headers={"X-Request-ID": "call-7"})
    assert response.headers["X-Request-ID"] == "call-7"
    assert await response.get_json() == ["call-7", "call-7"]


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "umläut", "tab\t.", "\x7f"])
async def test_any_other_request_id_is_replaced(app: QuartTrio, autojump_clock: MockClock, given: str) -> None:
    response = await app.test_client().get("/correlation/a", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == "new-1"
    assert await response.get_json() == ["new-1", "new-1"]


@given(st.text(string.ascii_letters + string.punctuation + string.digits, min_size=1, max_size=128))
def test_printable_ascii_without_spaces_is_sane(text: str) -> None:
    assert SANE.fullmatch(text)


@given(st.text(max_size=140))
def test_nothing_else_is_sane(text: str) -> None:
    expected = 1 <= len(text) <= 128 and text.isascii() and text.isprintable() and " " not in text
    assert bool(SANE.fullmatch(text)) == expected


async def test_each_request_without_an_id_gets_another(app: QuartTrio, autojump_clock: MockClock) -> None:
    client = app.test_client()
    ids = {(await client.get("/correlation/a")).headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3


async def test_there_is_one_line_for_each_request_with_what_was_asked_and_how_it_went(
    app: QuartTrio, autojump_clock: MockClock
) -> None:
    with capture_logs() as lines:
        await app.test_client().get("/correlation/secret-name?token=abcdef", headers={"X-Request-ID": "r-1"})
    inside, access = lines
    assert inside["event"] == "inside"
    assert access == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/correlation/<name>",
        "status": 200,
        "duration_ms": pytest.approx(250.0),
        "correlation_id": "r-1",
    }


async def test_errors_and_preflights_leave_their_line_too(app: QuartTrio) -> None:
    client = app.test_client()
    with capture_logs() as lines:
        refused = await client.get("/problem")
        missing = await client.get("/nowhere")
        preflight = await client.options("/problem", headers={"Access-Control-Request-Method": "GET"})
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/problem", 403),
        ("/nowhere", 404),
        ("/problem", 204),
    ]
    assert all("X-Request-ID" in response.headers for response in (refused, missing, preflight))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/x/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "/x/[redacted]"),
        ("/x%0Aforged", "/x\\nforged"),
        ("/" + "y" * 500, "/" + "y" * 199 + "… (301 more)"),
    ],
)
async def test_a_path_no_route_knows_is_shown_without_secrets_on_one_line_and_cut(
    app: QuartTrio, path: str, shown: str
) -> None:
    with capture_logs() as lines:
        await app.test_client().get(path)
    assert [line["route"] for line in lines] == [shown]


async def test_what_is_asked_every_few_seconds_leaves_no_line(app: QuartTrio) -> None:
    with capture_logs() as lines:
        for path in ("/health", "/metrics", "/ready", "/api/console/board"):
            assert "X-Request-ID" in (await app.test_client().get(path)).headers
    assert lines == []


async def test_the_id_is_in_every_line_of_its_request_and_in_no_other(
    app: QuartTrio, autojump_clock: MockClock
) -> None:
    out, client = StringIO(), app.test_client()
    with redirect_stderr(out):
        logs.configure(as_json=True)
        async with trio.open_nursery() as nursery:
            for name in ("a", "b", "c"):
                headers = {"X-Request-ID": f"of-{name}"}
                nursery.start_soon(
                    lambda name, headers: client.get(f"/correlation/{name}", headers=headers), name, headers
                )
        structlog.get_logger("outside").info("outside")
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.getvalue().splitlines()]
    inside = {line["name"]: line["correlation_id"] for line in lines if line["event"] == "inside"}
    assert inside == {"a": "of-a", "b": "of-b", "c": "of-c"}
    assert sorted(line["correlation_id"] for line in lines if line["event"] == "request") == ["of-a", "of-b", "of-c"]
    assert "correlation_id" not in lines[-1]


async def test_outside_a_request_each_call_gives_a_new_id() -> None:
    assert len({current_correlation() for _ in range(3)}) == 3


async def test_where_it_was_not_installed_each_call_gives_a_new_id() -> None:
    app = QuartTrio(__name__, static_folder=None)

    @app.get("/")
    async def tell() -> Response:
        assert request.headers["X-Request-ID"] == "r-1"
        return answer([current_correlation(), current_correlation()])

    first, second = await (await app.test_client().get("/", headers={"X-Request-ID": "r-1"})).get_json()
    assert len({first, second, "r-1"}) == 3


# --- in the event log -------------------------------------------------------------------------------------------


@pytest.fixture
async def system() -> AsyncIterator[System]:
    deciders = {Category.CONVERSATION: conversation}
    async with open_system(
        MemoryStore(), deciders=deciders, performers={}, clock=SystemClock(), identifiers=TimeOrderedIdentifiers()
    ) as system:
        yield system


async def test_the_events_of_a_request_carry_its_id(system: System) -> None:
    app = QuartTrio(__name__, static_folder=None)
    correlate_requests(app, system.identifiers)
    app.register_blueprint(conversations_blueprint(system, WebSettings(model="none")))
    client = app.test_client()
    opened = await client.post("/api/v2/conversations", json={}, headers={"X-Request-ID": "opening"})
    id = (await opened.get_json())["id"]
    ended = await client.put(f"/api/v2/conversations/{id}/end")
    records = await system.store.read_stream(StreamName.of(Category.CONVERSATION, id))
    assert records[0].stamp.correlation_id == "opening"
    assert records[-1].stamp.correlation_id == ended.headers["X-Request-ID"] != "opening"
