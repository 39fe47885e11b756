"""Plays a dialogue over real sockets: the whole server, but for what models, tools and the outside do.

What happens outside the sockets is taken from the dialect's stage: it says which commands that is, and they are told to
the real actors. Between two lines that make something happen the server comes to rest, so that all has come that will.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args
from urllib.parse import parse_qsl

import trio
import trio.testing
from quart import websocket
from trio_websocket import ConnectionClosed, WebSocketConnection

from actors.effects import Perform
from actors.system import System, open_system
from adapters.clients.wire import open_wire
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.gateways.blobs import MemoryBlobs
from adapters.opening import DECIDERS
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits, serve
from adapters.web.app import create_app, sockets_of
from core import call, conversation, session
from core.dialect import Close, Endpoint
from core.identifiers import StreamName
from core.messages import Accepted, Outcome, Recorded
from core.ports import Subscription
from eventstore.memory import MemoryStore
from eventstore.subscription import LogSubscription
from tests.dialogues.dialogue import Closed, Connect, Get, Leave, Line, Names, Outside, Send, Step
from tests.dialogues.playing import strict
from tests.dialogues.replayed import Log, compare
from tests.dialogues.stage import Stage
from tests.dialogues.traffic import traffic_of

PATIENCE = 5.0
NOT_LIVE = (" is throttled", "* server restarts", "* an hour passes")
"""What can be said to happen on a stage alone."""


def can_live(path: Path) -> bool:
    """Whether the dialogue of this file can be played here."""
    return not any(words in path.read_text() for words in NOT_LIVE)


class Client:
    """One client; a task of its own holds its socket. `heard` are all frames that came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.got, self.heard = deque[bytes | Close](), list[bytes]()
        self.left, self.gone, self.came = trio.Event(), trio.Event(), trio.Event()
        self.wire: WebSocketConnection

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        async with open_wire(self.url) as self.wire, trio.open_nursery() as nursery:
            task_status.started()
            nursery.start_soon(self._listen)
            await self.left.wait()
            nursery.cancel_scope.cancel()
        self.gone.set()

    async def leave(self) -> None:
        self.left.set()
        await self.gone.wait()

    async def _listen(self) -> None:
        try:
            while True:
                self.heard.append(str(await self.wire.get_message()).encode())
                self._note(self.heard[-1])
        except ConnectionClosed as closed:
            reason = closed.reason
            assert reason is not None, "the connection broke"
            self._note(Close(reason.code, reason.reason or ""))

    def _note(self, what: bytes | Close) -> None:
        self.got.append(what)
        self.came.set()
        self.came = trio.Event()

    async def next(self) -> bytes | Close:
        with trio.move_on_after(PATIENCE):
            while not self.got:
                await self.came.wait()
        assert self.got, "got nothing"
        return self.got.popleft()

    async def ping(self) -> None:
        """When this returns the server has read what was sent, and what it had written by then has come."""
        if self.wire.closed is None and not self.left.is_set():
            try:
                await self.wire.ping()
            except ConnectionClosed:
                return


class GatedStore(MemoryStore):
    """Nobody hears what was recorded while the gate is closed."""

    def __init__(self, epoch: str) -> None:
        super().__init__(epoch)
        self.gate = trio.Event()
        self.gate.set()

    def subscribe(self, *, after: int = 0) -> LogSubscription:
        return cast(LogSubscription, GatedSubscription(super().subscribe(after=after), self))


class GatedSubscription:
    def __init__(self, inner: Subscription, store: GatedStore) -> None:
        self._inner, self._store = inner, store

    @property
    def position(self) -> int:
        return self._inner.position

    async def __aiter__(self) -> AsyncIterator[Sequence[Recorded]]:
        async for records in self._inner:
            await self._store.gate.wait()
            yield records


class Theatre:
    """A server whose effects wait for the dialogue, and the clients of one endpoint."""

    def __init__(self, stage: Stage, system: System, store: GatedStore, url: str, path: str) -> None:
        self._stage, self._system, self._store, self._url, self._path = stage, system, store, url, path
        self._told: list[tuple[StreamName, Any, str | None, str]] = []
        self._clients: dict[str, Client] = {}
        self._connected: dict[str, Client] = {}
        self._commands: dict[str, Any] = {}
        stage.tell = self._remember  # type: ignore[method-assign]  # what the stage would do is done by the system
        self._post, system.post = system.post, self._intercept  # type: ignore[method-assign]  # for outcomes one cannot cause

    def _remember(self, stream: StreamName, command: Any, command_id: str | None = None, origin: str = "") -> Outcome:
        self._told.append((stream, command, command_id, origin))
        return Accepted((), self._stage.actor(stream.id).state, 0)

    def _intercept(self, stream: StreamName, command: Any, stamp: Any, settle: Any) -> None:
        self._commands[stamp.correlation_id] = command
        if stamp.origin and self._stage.next_outcomes:
            settle(self._stage.next_outcomes.popleft())
        else:
            self._post(stream, command, stamp, settle)

    async def perform(self, step: Step, names: Names, nursery: trio.Nursery) -> None:
        match step:
            case Get(who, frame):
                got = await self._clients[who].next()
                assert isinstance(got, bytes), f"expected a frame, got {got}"
                assert not names.differences(frame, strict(got)), got.decode()
                traffic_of(self._stage.dialect).sent(got)
            case Closed(who, code, reason):
                assert await self._clients[who].next() == Close(code, reason)
            case _:
                await self.rest()
                self.nothing_unread()
                await self._act(step, names, nursery)

    async def _act(self, step: Connect | Send | Leave | Outside, names: Names, nursery: trio.Nursery) -> None:
        match step:
            case Connect(who, address):
                await self._connect(who, names.fill(address), nursery)
            case Send(who, text):
                binary, content = text.startswith("<binary> "), names.fill(text.removeprefix("<binary> "))
                frame = content.encode() if binary else content
                traffic_of(self._stage.dialect).received(frame)
                await self._clients[who].wire.send_message(frame)
            case Leave(who):
                await self._clients[who].leave()
            case Outside(what):
                await self._happen(names.fill(what))

    async def _connect(self, who: str, address: str, nursery: trio.Nursery) -> None:
        path, _, query = address.partition("?")
        id = path.strip("/") or self._stage.id
        place = self._path.replace(f"<{self._stage.parameter}>", id)
        client = self._clients[who] = Client(f"{self._url}{place}{'?' + query if query else ''}")
        self._connected[f"{self._system.boot}.{len(self._connected) + 1}"] = client
        await nursery.start(client.run)

    async def _happen(self, what: str) -> None:
        self._stage.mirror(await self._store.read_all(limit=100_000))
        self._stage.outside(what)
        told, self._told = self._told, []
        for stream, command, command_id, origin in told:
            await self._system.ask(stream, command, self._system.stamp(command_id=command_id, origin=origin))
        if self._stage.lagging is None:
            self._store.gate.set()
        elif self._store.gate.is_set():
            self._store.gate = trio.Event()

    async def rest(self) -> None:
        """Wait until nothing is on its way."""
        await self._ping_all()
        for record in await self._store.read_all(limit=100_000):
            await self._system.look(record.stream)
        with trio.fail_after(PATIENCE):
            while self._stage.lagging is None and self._system.shown < self._store.head:
                await trio.lowlevel.checkpoint()
        await self._ping_all()
        await trio.testing.wait_all_tasks_blocked(0.002)

    async def _ping_all(self) -> None:
        for client in list(self._clients.values()):
            await client.ping()

    def nothing_unread(self) -> None:
        unread = {who: list(client.got) for who, client in self._clients.items() if client.got}
        assert not unread, f"got more than the dialogue says: {unread}"

    async def compare_with_the_log(self) -> None:
        """What everybody was sent, against what a replay of the log tells that they were."""
        records = await self._store.read_all(limit=100_000)
        for connection_id, client in self._connected.items():
            query = dict(parse_qsl(client.url.partition("?")[2]))
            log = Log(records, self._commands, self._store.epoch)
            compare(log, self._stage.dialect, connection_id, query, client.heard)

    async def leave(self) -> None:
        for client in self._clients.values():
            await client.leave()


async def play_live(lines: Sequence[Line], stage: Stage, names: Names, endpoint: Endpoint, called: str) -> None:
    """Raises AssertionError, with the line of the dialogue `called` so, where something else happens than it says."""
    async with _theatre(stage, endpoint) as theatre, trio.open_nursery() as nursery:
        for line in lines:
            try:
                await theatre.perform(line.step, names, nursery)
            except AssertionError as error:
                error.add_note(f"at {called}:{line.number}: {line.step}")
                raise
        await theatre.rest()
        theatre.nothing_unread()
        await theatre.compare_with_the_log()
        await theatre.leave()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def _theatre(stage: Stage, endpoint: Endpoint) -> AsyncIterator[Theatre]:
    store = GatedStore(stage.epoch)
    async with (
        open_system(
            store, deciders=DECIDERS, performers=_waiting(), clock=SystemClock(), identifiers=TimeOrderedIdentifiers()
        ) as system,
        trio.open_nursery() as nursery,
    ):
        app, shutdown = create_app(system, deciders=DECIDERS, blobs=MemoryBlobs()), trio.Event()
        sockets = sockets_of(app)

        async def talk(**path: str) -> None:
            await sockets.talk(endpoint.dialect_for(websocket.args), path)

        if endpoint.path not in {rule.rule for rule in app.url_map.iter_rules()}:
            app.add_websocket(endpoint.path, "live", talk)
        limits = ServerLimits(LinkLimits(), graceful_timeout=0.1)
        child = partial(serve, app, ["127.0.0.1:0"], shutdown, limits=limits, drain=sockets.drain, tally=sockets.tally)
        urls = await nursery.start(child)
        yield Theatre(stage, system, store, urls[0].replace("http", "ws"), endpoint.path)
        shutdown.set()


def _waiting() -> Mapping[type, Perform]:
    """Effects that are done by the dialogue, if at all."""

    async def wait(effect: Any, state: Any, tell: Any) -> None:
        del effect, state, tell
        await trio.sleep_forever()

    kinds = (kind for module in (conversation, session, call) for kind in _effects(module.Effect))
    return dict.fromkeys(kinds, wait)


def _effects(union: Any) -> Sequence[type]:
    return get_args(union) or (union,)
