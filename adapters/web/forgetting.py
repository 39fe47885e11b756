"""POST /api/audit/subjects/<subject>/forget: the keys of a data subject are destroyed, for ever."""

from __future__ import annotations

from collections.abc import Callable, Collection

from quart import Blueprint, Response

from actors.system import System
from adapters.forgetting import Forgetting, Forgotten, NotSealed, recorded_by
from adapters.web.answers import Problem, answer
from adapters.web.auth import Role, current_visitor, require
from adapters.web.correlation import current_correlation
from adapters.web.described import described
from core.identifiers import StreamName


def forgetting_blueprint(
    system: System, forgetting: Forgetting, forget_shown: Callable[[Collection[StreamName]], None]
) -> Blueprint:
    """The route, for the role operator. `forget_shown` drops what was kept of frames that streams' listeners saw."""
    routes = Blueprint("forgetting", __name__)

    async def start_over(streams: Collection[StreamName]) -> None:
        forget_shown(streams)
        await system.start_over(streams)

    @routes.post("/api/audit/subjects/<path:subject>/forget")
    @described(Forgotten, 409, 503)
    async def forget_subject(subject: str) -> Response:
        """Forget a person, or a stream that is nobody's: what was sealed for them can never be read again. Doing it
        again is doing it once. 409 where the log is not sealed. For the role operator; it is recorded."""
        require(Role.OPERATOR)
        stamp = system.stamp(principal=current_visitor().principal, correlation_id=current_correlation())
        try:
            return answer(await forgetting.forget(subject, recorded_by(system, stamp), start_over))
        except NotSealed as refusal:
            raise Problem(409, str(refusal)) from None

    return routes
