"""What the console's page asks first: who looks, what lives now and how the server is, and which streams there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.config import Auth
from adapters.metrics import VERSION
from adapters.stream_names import FoundStream, FoundStreams, find_streams, fits
from adapters.web.answers import answer
from adapters.web.audit import auditor
from adapters.web.board_now import BoardNow, KeptBoard, known_of
from adapters.web.described import JSON, described
from adapters.web.requests import query_of
from adapters.web.sockets import Sockets
from core.identifiers import Category, StreamName
from eventstore.sqlite import SQLiteStore

MOST_FOUND = 200


class Me(Struct, frozen=True):
    """Who asks, and whom."""

    principal: str
    roles: list[str]
    auth: Auth
    version: str
    epoch: str


class AskedStreams(Struct, frozen=True):
    """`q` is a part of the name."""

    q: Annotated[str, Meta(max_length=256)] = ""
    category: Category | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_FOUND)] = 50


def console_board_blueprint(system: System, sockets: Sockets, auth: Auth) -> Blueprint:
    """`/api/console/me`, `…/board` and `…/streams`, for the roles auditor and operator."""
    routes, board = Blueprint("console_board", __name__), KeptBoard(system, sockets)

    @routes.get("/api/console/me")
    @described(Me)
    async def read_me() -> Response:
        """Who one is here, and what runs. For the roles auditor and operator."""
        visitor = auditor()
        return _fresh(Me(visitor.principal, sorted(visitor.roles), auth, VERSION, system.store.epoch))

    @routes.get("/api/console/board")
    @described(BoardNow)
    async def read_board() -> Response:
        """What lives and who listens, and the server's vital signs. For the roles auditor and operator."""
        auditor()
        return _uncached(Response(board.told(), content_type=JSON))

    @routes.get("/api/console/streams")
    @described(FoundStreams, query=AskedStreams)
    async def find_streams_by_name() -> Response:
        """Streams of the log with this in their names; the work is bounded, and says when that ended it. For the roles
        auditor and operator."""
        auditor()
        asked, store = query_of(AskedStreams), system.store
        if isinstance(store, SQLiteStore):
            return _fresh(await store.look(lambda select: find_streams(select, asked.q, asked.category, asked.limit)))
        return _fresh(await _find_known(system, asked))

    return routes


async def _find_known(system: System, asked: AskedStreams) -> FoundStreams:
    """Where the log has no index of names: those that live or lately did, the newest first."""
    names = [name for name in _known(system) if fits(name, asked.q, asked.category)]
    told = [await _found(system, name) for name in names[: asked.limit]]
    return FoundStreams([each for each in told if each is not None], len(names) > asked.limit)


async def _found(system: System, name: StreamName) -> FoundStream | None:
    """By its first event and its last, however many there are in between."""
    _, version = known_of(system, name)
    ends = [record for at in (1, version) for record in await system.store.read_stream(name, after=at - 1, limit=1)]
    return FoundStream(str(name), version, ends[0].stamp.time, ends[-1].stamp.time) if version else None


def _known(system: System) -> Iterator[StreamName]:
    yield from reversed(system.latest)
    yield from (actor.stream for actor in system.directory.actors() if actor.stream not in system.latest)


def _fresh(told: Struct) -> Response:
    return _uncached(answer(told))


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
