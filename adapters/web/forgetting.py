"""POST /api/audit/subjects/<subject>/forget: the keys of a data subject are destroyed, for ever."""

from __future__ import annotations

from functools import partial

from quart import Blueprint, Response

from actors.system import System
from adapters.forgetting import Forget, Forgotten, NotSealed
from adapters.web.accesses import record_by
from adapters.web.answers import Problem, answer
from adapters.web.auth import Role, current_visitor, require
from adapters.web.correlation import current_correlation
from adapters.web.described import described


def forgetting_blueprint(system: System, forget: Forget) -> Blueprint:
    """The route, for the role operator."""
    routes = Blueprint("forgetting", __name__)

    @routes.post("/api/audit/subjects/<path:subject>/forget")
    @described(Forgotten, 409, 503)
    async def forget_subject(subject: str) -> Response:
        """Forget a person, or a stream that is nobody's: what was sealed for them can never be read again. Doing it
        again is doing it once. 409 where the log is not sealed. For the role operator; it is recorded."""
        require(Role.OPERATOR)
        stamp = system.stamp(principal=current_visitor().principal, correlation_id=current_correlation())
        try:
            return answer((await forget([subject], partial(record_by, system, stamp)))[0])
        except NotSealed as refusal:
            raise Problem(409, str(refusal)) from None

    return routes
