"""The web application: one Quart-Trio app around a running system.

The app owns no tasks: sockets live in their own requests, and all else lives in the system. The framework's nursery,
in which one failure would take down everything that hangs on it, is never used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog
import trio
from quart import Blueprint, Response, request, websocket
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from actors.system import System
from adapters.dialects import endpoints
from adapters.web.answers import Problem, answer, unavailable
from adapters.web.auth import ANYBODY, Door, OpenDoor, check_requests, current_visitor
from adapters.web.console import console_blueprint
from adapters.web.conversations import conversations_blueprint
from adapters.web.correlation import correlate_requests
from adapters.web.cors import allow_origins
from adapters.web.limits import Principals
from adapters.web.log_stream import log_stream_blueprint
from adapters.web.operation import operation_blueprint
from adapters.web.origins import is_ours, may_come_from
from adapters.web.reference import reference_blueprint
from adapters.web.settings import WebSettings
from adapters.web.sockets import Sockets
from adapters.web.static import static_blueprint
from core.conversation import conversation
from core.decider import AnyDecider
from core.dialect import Endpoint
from core.identifiers import Category
from core.ports import BlobStore, StoreUnavailable

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, and whose answers a page of another origin cannot read."""
RECORDED = ("/api/audit/", "/api/log/")
"""Where reading is recorded in the log, so that a request adds to it also where nobody can read the answer."""
DECIDERS: Mapping[Category, AnyDecider] = {Category.CONVERSATION: conversation}
SOCKETS = "callboard.sockets"
"""Where the app keeps its `Sockets`, in `app.extensions`."""

log = structlog.get_logger("callboard.web")


def create_app(
    system: System,
    settings: WebSettings | None = None,
    *,
    deciders: Mapping[Category, AnyDecider] = DECIDERS,
    door: Door | None = None,
    blobs: BlobStore | None = None,
    more: Iterable[Blueprint] = (),
) -> QuartTrio:
    """The app over `system`, `door` deciding who comes in (everybody, without one); with `more` routes. What
    clients send to be kept as bytes goes to `blobs`.

    It is served by `adapters.server.serve`, which gives every WebSocket its link; and once: a drained app stays so.
    """
    settings, door = settings or WebSettings(), door or OpenDoor()
    app = QuartTrio(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_frame_bytes
    sockets = app.extensions[SOCKETS] = Sockets(system, deciders, settings, door, blobs)
    correlate_requests(app, system.identifiers)
    _answer_errors(app)
    _add_websockets(app, sockets, settings.path_names)
    allow_origins(app, settings.cors_origins)
    _refuse_strangers(app, settings)
    check_requests(app, door, system.clock)
    _limit_requests(app, sockets.principals)
    routes = (
        operation_blueprint(system, sockets.tally, ready=lambda: not sockets.draining),
        conversations_blueprint(system, settings),
        log_stream_blueprint(system, sockets.drained, is_recorded=Category.AUDIT in deciders),
        static_blueprint(),
        console_blueprint(),
        reference_blueprint(),
        *more,
    )
    for blueprint in routes:
        app.register_blueprint(blueprint)
    return app


def _refuse_strangers(app: QuartTrio, settings: WebSettings) -> None:
    """A page of another origin gets nothing done; and without auth no name that was pointed here is answered."""
    allowed, trusted = frozenset(settings.cors_origins), settings.trust_host

    @app.before_request
    async def check() -> Response | None:
        origin, host = request.headers.get("Origin"), request.headers.get("Host")
        if not is_ours(host, allowed, trust_host=trusted):
            return _forbidden("This host is not served without auth")
        may_come = may_come_from(origin, host, allowed, trust_host=trusted)
        if request.path.startswith(RECORDED) and _is_foreign() and not (origin and may_come):
            return _forbidden("Pages of this origin may not read the log")
        if request.method in READING or may_come:
            return None
        return _forbidden("Pages of this origin may not do this")


def _is_foreign() -> bool:
    """Whether a browser says that a page of another origin asks; also where it sends no Origin, as for an image."""
    return request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}


def _forbidden(what: str) -> Response:
    return Problem(403, f"{what}; its origin may be named in CALLBOARD_CORS_ORIGINS").answer()


def _limit_requests(app: QuartTrio, principals: Principals) -> None:
    """A principal's requests count with what it sends over its sockets. Who has no name has no limit of its own."""

    @app.before_request
    async def limit() -> Response | None:
        principal = current_visitor().principal
        if principal == ANYBODY.principal:
            return None
        wait = principals.take(principal, trio.current_time())
        return Problem(429, "Too many requests", wait).answer() if wait else None


def sockets_of(app: QuartTrio) -> Sockets:
    """The app's open WebSockets, to be drained before it ends."""
    sockets: Sockets = app.extensions[SOCKETS]
    return sockets


def _add_websockets(app: QuartTrio, sockets: Sockets, names: Mapping[str, str]) -> None:
    def route(endpoint: Endpoint) -> Callable[..., Awaitable[None]]:
        async def talk(**path: str) -> None:
            dialect, is_open, roles = endpoint.dialect_for(websocket.args), endpoint.is_open, endpoint.roles
            await sockets.talk(dialect, path, is_open=is_open, roles=roles)

        return talk

    for endpoint in endpoints(names):
        app.add_websocket(endpoint.path, endpoint=endpoint.path, view_func=route(endpoint))


def _answer_errors(app: QuartTrio) -> None:
    """Every error is JSON, and none shows a stack trace."""

    @app.errorhandler(Problem)
    async def problem(error: Problem) -> Response:
        return error.answer()

    @app.errorhandler(StoreUnavailable)
    async def no_log(error: StoreUnavailable) -> Response:
        log.warning("a request met an unavailable log", reason=str(error))
        return unavailable().answer()

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        response = answer({"detail": error.name}, error.code or 500)
        for name, value in error.get_headers():
            if name.lower() not in {"content-type", "content-length"}:
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    async def crash(error: Exception) -> Response:
        log.error("a request crashed", exc_info=error)
        return answer({"detail": "Internal Server Error"}, 500)
