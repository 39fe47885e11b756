"""The REST routes of the `conversations` contract."""

from __future__ import annotations

from collections.abc import Callable

from quart import Blueprint

from actors.system import System
from adapters.web.conversations.desk import Desk
from adapters.web.conversations.legacy import add_routes as add_legacy_route
from adapters.web.conversations.probes import add_routes as add_probe_routes
from adapters.web.conversations.speech import add_routes as add_speech_route
from adapters.web.conversations.state import add_routes as add_state_routes
from adapters.web.conversations.stress import add_routes as add_stress_route
from adapters.web.conversations.v2 import add_routes as add_v2_routes
from adapters.web.settings import WebSettings

__all__ = ["conversations_blueprint"]

ALWAYS: tuple[Callable[[Blueprint, Desk], None], ...] = (add_state_routes, add_v2_routes, add_legacy_route)
FOR_TESTS: tuple[Callable[[Blueprint, Desk], None], ...] = (add_probe_routes, add_speech_route, add_stress_route)


def conversations_blueprint(system: System, settings: WebSettings) -> Blueprint:
    """All routes of the contract; those for tests only where the settings switch them on."""
    blueprint = Blueprint("conversations", __name__)
    desk = Desk(system, settings)
    for add_routes in ALWAYS + (FOR_TESTS if settings.test_endpoints else ()):
        add_routes(blueprint, desk)
    return blueprint
