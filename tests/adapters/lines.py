"""The real shell, audiences and actors with a link that is a list: what a client sent and got, in one order."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import trio
from msgspec import json

from actors.effects import Perform
from actors.system import System, SystemSettings, open_system
from adapters.clock import TimeOrderedIdentifiers
from adapters.gateways.call_tools import Tool
from adapters.gateways.calls import call_performers
from adapters.protocols.retell import RetellDialect, Tally
from adapters.server.link import Link
from adapters.web.limits import Rate
from adapters.web.settings import WebSettings
from adapters.web.socket import Socket
from adapters.web.sockets import Sockets
from core.call import call
from core.decider import AnyDecider
from core.dialect import Handshake
from core.identifiers import Category, StreamName
from core.ports import EventStore, LanguageModel
from tests.actors.toys import TrioClock

DECIDERS: Mapping[Category, AnyDecider] = {Category.CALL: call}
BOUNDLESS = WebSettings(rate=Rate(1e9, 1_000_000_000))


class Line:
    """One client's end. `story` holds what it sent, `(">", frame)`, what it got, `("<", frame)`, and the close code.

    It stands in for `adapters.server.link.Link`: what is written has left, at that very moment.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self.story: list[tuple[str, Any]] = []
        self.code: int | None = None
        self.socket: Socket | None = None
        self._nursery, self._moved = nursery, trio.Event()

    # --- the link ---

    @property
    def closing(self) -> bool:
        return self.code is not None

    @property
    def close_code(self) -> int | None:
        return self.code

    def begin(self, talker: object) -> None:
        pass

    def say(self, body: bytes) -> None:
        self._note("<", json.decode(body))

    def write(self, frame: bytes) -> None:
        self.say(frame[frame.index(b'{"') :])

    def close(self, code: int, reason: str = "") -> None:
        if self.code is None:
            self.code = code
            self._note("!", (code, reason))
            assert self.socket is not None
            self.socket.left()

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(task)

    # --- the client ---

    def send(self, interaction_type: str, **fields: Any) -> None:
        if self.code is None:
            self.story.append((">", {"interaction_type": interaction_type, **fields}))
            assert self.socket is not None
            self.socket.received(json.encode(self.story[-1][1]).decode())

    def require(self, response_id: int, *said: str, kind: str = "response_required") -> None:
        transcript = [{"role": "user", "content": content} for content in said]
        self.send(kind, response_id=response_id, transcript=transcript)

    def leave(self) -> None:
        self.close(1006)

    @property
    def got(self) -> list[dict[str, Any]]:
        return [frame for mark, frame in self.story if mark == "<"]

    def answers(self, response_id: int) -> list[dict[str, Any]]:
        return [frame for frame in self.got if frame.get("response_id") == response_id]

    def answered(self, response_id: int) -> str | None:
        """The whole answer, None while it is not complete."""
        frames = self.answers(response_id)
        return "".join(frame["content"] for frame in frames) if frames and frames[-1]["content_complete"] else None

    async def until(self, is_so: Callable[[], bool]) -> None:
        with trio.fail_after(1000):
            while not is_so():
                await self._moved.wait()

    def _note(self, mark: str, what: Any) -> None:
        self.story.append((mark, what))
        self._moved.set()
        self._moved = trio.Event()


class Exchange:
    """A whole server without a network, on Trio's clock."""

    def __init__(self, system: System, nursery: trio.Nursery) -> None:
        self.system, self.tally = system, Tally()
        self._nursery, self._sockets = nursery, Sockets(system, DECIDERS, BOUNDLESS)

    def dial(self, call_id: str) -> Line:
        line, dialect = Line(self._nursery), RetellDialect(self.tally)
        handshake = Handshake(self.system.new_connection_id(), {"call_id": call_id}, {}, "anonymous", "memory")
        link = cast(Link, line)
        line.socket = Socket(self._sockets, dialect, dialect.connect(handshake), handshake, link)
        line.socket.open()
        return line

    async def state(self, call_id: str) -> Any:
        return (await self.system.look(StreamName.of(Category.CALL, call_id)))[0]


@asynccontextmanager
async def exchange(
    store: EventStore, model: LanguageModel, tools: Sequence[Tool] = (), **settings: Any
) -> AsyncIterator[Exchange]:
    """A server over `store`. Whoever cancels it from outside kills it: nothing is finished then."""
    running: list[System] = []
    performers: dict[type, Perform] = call_performers(
        model, tools, boot=lambda: running[0].boot, clock=TrioClock(), **settings
    )
    async with (
        open_system(
            store, deciders=DECIDERS, performers=performers, clock=TrioClock(),
            identifiers=TimeOrderedIdentifiers(), settings=SystemSettings(passivate_after=math.inf),
        ) as system,
        trio.open_nursery() as nursery,
    ):  # fmt: skip
        running.append(system)
        yield Exchange(system, nursery)
        nursery.cancel_scope.cancel()
