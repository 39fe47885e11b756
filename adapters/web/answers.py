"""Answers of REST routes: JSON bodies, and the errors that stand for what an actor or a body made impossible."""

from __future__ import annotations

import math
from typing import Any, assert_never

import msgspec
from quart import Response

from core.decider import Rejected
from core.messages import Accepted, Busy, Outcome, Refused, Unavailable

STATUS_OF_REJECTION = {
    "conversation_not_found": 404,
    "conversation_ended": 409,
    "conversation_exists": 409,
    "illegal_transition": 409,
    "not_legacy": 409,
    "busy": 429,
    "rate_limited": 429,
    "too_long": 422,
    "poisoned": 500,
}


class Problem(Exception):
    """A request that is answered with an error: `{"detail": …}`, and when to come back where that helps."""

    def __init__(self, status: int, detail: Any, retry_after: float | None = None) -> None:
        super().__init__(status, detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after

    def answer(self) -> Response:
        response = answer({"detail": self.detail}, self.status)
        if self.retry_after is not None:
            # The header knows whole seconds only, and zero would ask for a busy loop.
            response.headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return response


def not_found() -> Problem:
    return Problem(404, "Conversation not found")


def unavailable(retry_after: float = 1.0) -> Problem:
    return Problem(503, "The log cannot be read or written now", retry_after)


def unprocessable(*faults: tuple[tuple[str, ...], str]) -> Problem:
    """422 with the offending fields: pairs of where and what."""
    return Problem(422, [{"loc": list(where), "msg": what} for where, what in faults])


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(value), status, content_type="application/json")


def accepted(outcome: Outcome) -> Accepted:
    """What was accepted. Raises Problem for every other outcome."""
    match outcome:
        case Accepted():
            return outcome
        case Refused(rejection):
            raise refusal(rejection)
        case Busy(retry_after):
            raise Problem(429, "Too many commands are waiting", retry_after)
        case Unavailable(_, retry_after):
            raise unavailable(retry_after)
        case _:
            assert_never(outcome)


def refusal(rejection: Rejected) -> Problem:
    """The error that stands for a decider's no."""
    status = STATUS_OF_REJECTION.get(rejection.code, 409)
    if status == 422:
        return unprocessable((("body",), rejection.message))
    return Problem(status, rejection.message, rejection.retry_after if status != 429 else rejection.retry_after or 1.0)
