"""REST beside the dialect `streams`: who is connected to a session, closing its sockets, and a page to try it on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from quart import Blueprint, Response, request

from actors.system import System
from adapters.protocols.streams import STREAMS, stream_of
from adapters.web.answers import accepted, answer
from adapters.web.auth import current_visitor
from adapters.web.correlation import current_correlation
from adapters.web.described import HTML, NOT_MODIFIED, Content, described
from core.identifiers import MalformedStreamName
from core.messages import Refused
from core.session import DisconnectDevices, PeerState, Session

PAGE = "streams.html"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page is one file, so its script stands in it; it loads and asks nobody but us."""
NEARNESS = (PeerState.CONNECTED, PeerState.CONNECTING, PeerState.DISCONNECTED, PeerState.FAILED)
"""Of several peers the one that is furthest speaks for the session."""

Connections = Callable[[], Mapping[str, int]]
"""How many open sockets of this dialect each session has, of those that have any."""


class SessionStatus(Struct, frozen=True):
    """All but `status` are left out where nobody is connected. `connection_state` is that of the peer that is furthest,
    or `connected` where there are WebSockets alone; `active_sessions` and `total_connections` are the server's.
    """

    status: Literal["not_connected", "websocket_only", "webrtc"]
    connection_state: PeerState | UnsetType = UNSET
    websocket_connected: bool | UnsetType = UNSET
    active_sessions: list[str] | UnsetType = UNSET
    total_connections: int | UnsetType = UNSET


class Disconnected(Struct, frozen=True):
    status: Literal["disconnected"]


def streams_blueprint(system: System, connections: Connections) -> Blueprint:
    """`/api/stream/…`. Raises FileNotFoundError when the page is not where the installation should have it."""
    blueprint = Blueprint("streams", __name__, static_folder=None)
    page = (resources.files("adapters.web") / "static" / PAGE).read_bytes()
    tag = hashlib.sha256(page).hexdigest()[:32]

    @blueprint.get("/api/stream/status/<id>")
    @described(SessionStatus)
    async def status(id: str) -> Response:
        """Who is connected to a session, and how."""
        return answer(await _status(system, connections(), id))

    @blueprint.delete("/api/stream/disconnect/<id>")
    @described(Disconnected)
    async def disconnect(id: str) -> Response:
        """Close all sockets of a session, if there are any."""
        await _disconnect(system, id)
        return answer(Disconnected("disconnected"))

    @blueprint.get("/api/stream/test-page")
    @described(Content(HTML), others={NOT_MODIFIED: None})
    async def test_page() -> Response:
        """A page to try a session on."""
        response = Response(page, content_type="text/html; charset=utf-8")
        response.set_etag(tag)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        await response.make_conditional(request)
        return response

    return blueprint


async def _status(system: System, connected: Mapping[str, int], id: str) -> SessionStatus:
    """A session that nobody is connected to is as good as unknown. Raises StoreUnavailable."""
    if not connected.get(id):
        return SessionStatus("not_connected")
    state, _ = await system.look(stream_of(id))
    peer = _nearest_peer(state, system.boot)
    return SessionStatus(
        status="websocket_only" if peer is None else "webrtc",
        connection_state=PeerState.CONNECTED if peer is None else peer,
        websocket_connected=True,
        active_sessions=sorted(connected),
        total_connections=sum(connected.values()),
    )


def _nearest_peer(state: Session, boot: str) -> PeerState | None:
    """What this run's devices say of their WebRTC connections; None when nobody has one."""
    reported = {peer for device, peer in state.peers.items() if device.partition(".")[0] == boot}
    return next((peer for peer in NEARNESS if peer in reported), None)


async def _disconnect(system: System, id: str) -> None:
    """Have the session's sockets closed; sessions of other dialects are not known here. Raises Problem."""
    try:
        stream = stream_of(id)
    except MalformedStreamName:
        return
    state, _ = await system.look(stream)
    if state.opened_via != STREAMS.name:
        return
    principal, correlation_id = current_visitor().principal, current_correlation()
    stamp = system.stamp(principal=principal, correlation_id=correlation_id)
    outcome = await system.ask(stream, DisconnectDevices(system.clock.now()), stamp)
    if not isinstance(outcome, Refused):
        accepted(outcome)
