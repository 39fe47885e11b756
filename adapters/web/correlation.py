"""What belongs to one REST request bears one id: its events, the lines it leaves in the log, and its answer.

The id is the request's own `X-Request-ID` when that can be written anywhere as it is, else a new one.
"""

from __future__ import annotations

import re
import uuid

import structlog
import trio
from quart import Quart, Response, g, has_request_context, request

from adapters.redaction import redacted, without_controls
from core.ports import Identifiers

HEADER = "X-Request-ID"
SANE = re.compile(r"[\x21-\x7e]{1,128}")
"""Printable ASCII without spaces, 1 to 128 characters."""
UNLOGGED_PATHS = frozenset({"/health", "/ready", "/metrics", "/api/console/board"})
"""Asked every few seconds or more often, for ever."""
MOST_PATH = 200
"""Characters of a path that no route knows."""

log = structlog.get_logger("callboard.access")


def current_correlation() -> str:
    """The correlation id of the current REST request; a new one each time where there is none."""
    given: str | None = g.get("correlation_id") if has_request_context() else None
    return given or str(uuid.uuid4())


def correlate_requests(app: Quart, identifiers: Identifiers) -> None:
    """Give every REST request a correlation id, and leave one line of it in the log.

    To be called before anything else that may answer a request (auth, CORS): what comes later is inside.
    """

    async def begin() -> None:
        given = request.headers.get(HEADER, "")
        g.correlation_id = given if SANE.fullmatch(given) else identifiers.new()
        g.began = trio.current_time()
        # In the request's own task: nobody else sees it, and the lines after the answer bear it too.
        structlog.contextvars.bind_contextvars(correlation_id=g.correlation_id)

    async def end(response: Response) -> Response:
        response.headers[HEADER] = g.correlation_id
        if request.path not in UNLOGGED_PATHS:
            _leave_line(response.status_code)
        return response

    app.before_request(begin)
    app.after_request(end)


def _leave_line(status: int) -> None:
    duration = (trio.current_time() - g.began) * 1000
    log.info(
        "request",
        method=request.method,
        route=_route(),
        status=status,
        duration_ms=round(duration, 3),
        correlation_id=g.correlation_id,
    )


def _route() -> str:
    """The route's template, which says what was asked and not of whom; of an unknown one the path, as far as fit."""
    if request.url_rule is not None:
        return request.url_rule.rule
    return without_controls(redacted(request.path, MOST_PATH))
