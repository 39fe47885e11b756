"""Resume as a law, fast: the real shell, link, outlet, audiences and actors, on wires without sockets."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, assert_never

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json
from trio.testing import MockClock, wait_all_tasks_blocked
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Message, TextMessage

from actors.system import System, open_system
from actors.topic import is_for
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.protocols.conversations import CONVERSATIONS
from adapters.protocols.conversations.connection import ConversationsConnection
from adapters.server.link import Link, LinkLimits
from adapters.server.outlet import Flusher
from adapters.server.wire import Bytes
from adapters.web.settings import WebSettings
from adapters.web.socket import Socket
from adapters.web.sockets import Sockets
from core.conversation import Conversation, FinalHeard, OpenConversation, SpeechReported, UpdateTranscript, conversation
from core.decider import AnyDecider
from core.dialect import Close, Dialect, Frame, Handshake, Reach
from core.identifiers import Category, StreamName
from core.messages import Accepted, Recorded
from eventstore.memory import MemoryStore

STREAM = StreamName.of(Category.CONVERSATION, "00000000-0000-4000-8000-000000000001")
DECIDERS: Mapping[Category, AnyDecider] = {Category.CONVERSATION: conversation}
KERNEL_BYTES, OUTLET_BYTES = 2000, 4000
CLIENTS = 4
EXAMPLES = 400 if os.environ.get("CI") == "true" else 100
MOST_ROUNDS = 50
"""Losses of one client in a row, until it is taken for one that will never have all of it."""


class Reaching:
    """The conversations dialect as it would be if not everything were for everybody."""

    name = "reaching"

    def connect(self, handshake: Handshake) -> ConversationsConnection:
        return CONVERSATIONS.connect(handshake)

    def render(self, record: Recorded, state: Any) -> Frame | None:
        frame = CONVERSATIONS.render(record, state)
        return None if frame is None else Frame(frame.body, self._reach(record.event))

    def _reach(self, event: object) -> Reach:
        match event:
            case FinalHeard():
                return Reach.OTHERS
            case SpeechReported():
                return Reach.ORIGIN
            case _:
                return Reach.EVERYONE

    def farewell(self, record: Recorded, state: Any) -> Close | None:
        return CONVERSATIONS.farewell(record, state)

    def topics(self, record: Recorded) -> Sequence[str]:
        return ()

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:
        return None


REACHING = Reaching()
DIALECTS: Sequence[Dialect] = CONVERSATIONS, REACHING, CONVERSATIONS, REACHING


class Pipe:
    """A wire without a socket: what the client does not read fills a kernel of KERNEL_BYTES."""

    most = KERNEL_BYTES

    def __init__(self) -> None:
        self.inward, self._received = trio.open_memory_channel[bytes](math.inf)
        self._kernel, self._read, self._gone = bytearray(), trio.Event(), False

    def send_now(self, body: Bytes) -> int:
        if self._gone:
            raise BrokenPipeError
        taken = body[: KERNEL_BYTES - len(self._kernel)]
        if not taken:
            raise BlockingIOError
        self._kernel += taken
        return len(taken)

    async def ready(self) -> None:
        while not self._gone and len(self._kernel) == KERNEL_BYTES:
            await self._read.wait()

    async def push(self, body: Bytes) -> int:
        return self.send_now(body)

    async def receive(self) -> bytes:
        try:
            return await self._received.receive()
        except trio.EndOfChannel:
            return b""

    async def end(self) -> None:
        """The client sees no half of an end."""

    def abort(self) -> None:
        self._gone = True
        self.inward.close()
        self._wake()

    def read(self) -> bytes:
        """From the client's side: all there is."""
        found = bytes(self._kernel)
        self._kernel.clear()
        self._wake()
        return found

    def _wake(self) -> None:
        self._read.set()
        self._read = trio.Event()


@dataclass
class Visit:
    """One connection of a client. `since` is None where it asked for no resume."""

    connection_id: str
    since: int | None
    pipe: Pipe = field(default_factory=Pipe)
    greeting: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[int, str]] = field(default_factory=list)
    code: int | None = None
    reads: bool = True
    _parser: Connection = field(default_factory=lambda: Connection(ConnectionType.CLIENT))
    _text: str = ""

    def say(self, frame: object, times: int) -> None:
        for _ in range(times):
            self.pipe.inward.send_nowait(bytes(self._parser.send(TextMessage(json.encode(frame).decode()))))

    def read(self) -> bool:
        """Take in what came; whether anything did."""
        heard = self.pipe.read() if self.reads and self.code is None else b""
        if heard:
            self._parser.receive_data(heard)
            for event in self._parser.events():
                self._attend(event)
        return bool(heard)

    def _attend(self, event: object) -> None:
        match event:
            case Message():
                self._text += str(event.data)
                if event.message_finished:
                    self._note(self._text)
                    self._text = ""
            case CloseConnection(code=code):
                self.code = code
                self.pipe.inward.send_nowait(bytes(self._parser.send(event.response())))
                self.pipe.abort()
            case _:
                raise AssertionError(f"a server sends no such thing: {event}")

    def _note(self, text: str) -> None:
        frame = json.decode(text)
        if not self.greeting:
            self.greeting = frame
        elif "seq" in frame:
            self.seen.append((frame["seq"], text))

    def lose(self) -> None:
        self.code = self.code or 1006
        self.pipe.abort()


@dataclass
class Client:
    dialect: Dialect
    visits: list[Visit] = field(default_factory=list)

    @property
    def visit(self) -> Visit | None:
        """The connection it has, as far as it knows."""
        return self.visits[-1] if self.visits and self.visits[-1].code is None else None

    @property
    def version(self) -> int | None:
        return next((visit.seen[-1][0] for visit in reversed(self.visits) if visit.seen), None)


@dataclass
class Server:
    """One run of the server, up to its end."""

    system: System
    sockets: Sockets
    flusher: Flusher
    nursery: trio.Nursery

    def connect(self, client: Client) -> None:
        """What the shell does once a handshake is answered."""
        if client.visit is not None:
            return
        since = client.version
        query = {} if since is None else {"since": str(since), "epoch": self.system.store.epoch}
        path = {"conversation_id": STREAM.id}
        handshake = Handshake(self.system.new_connection_id(), path, query, "anonymous", self.system.store.epoch)
        visit = Visit(handshake.connection_id, since)
        link = Link(visit.pipe, LinkLimits(outlet_bytes=OUTLET_BYTES), self.flusher, self.nursery, lambda: None)
        link.expect()
        Socket(self.sockets, client.dialect, client.dialect.connect(handshake), handshake, link).open()
        self.nursery.start_soon(link.run)
        client.visits.append(visit)


@asynccontextmanager
async def serving(store: MemoryStore) -> AsyncIterator[Server]:
    """A server that is gone at the end without a word, as one that was killed."""
    clock, identifiers = SystemClock(), TimeOrderedIdentifiers()
    with trio.CancelScope() as life:
        async with (
            trio.open_nursery() as nursery,
            open_system(store, deciders=DECIDERS, performers={}, clock=clock, identifiers=identifiers) as system,
        ):
            flusher = Flusher(nursery.start_soon, write_deadline=math.inf)
            nursery.start_soon(flusher.run)
            yield Server(system, Sockets(system, DECIDERS, WebSettings()), flusher, nursery)
            life.cancel()


# --- schedules -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Say:
    who: int
    type: str
    times: int


@dataclass(frozen=True)
class Do:
    """Clients connect, are lost, stop reading or go on. `settled`: only once nothing moves any more."""

    what: str
    who: frozenset[int]
    settled: bool


Step = Say | Do

SPOKEN: dict[str, dict[str, Any]] = {
    "transcript_update": {"final_transcript": "again"},
    "speech_event": {"event_type": "noise", "data": {}},
    "state_change_request": {"state": "listening"},
}
some = st.frozensets(st.integers(0, CLIENTS - 1), min_size=1)
deeds = st.builds(Do, st.sampled_from(("connect", "connect", "lose", "pause", "go on")), some, st.booleans())
words = st.builds(Say, st.integers(0, CLIENTS - 1), st.sampled_from(sorted(SPOKEN)), st.integers(1, 12))
steps = st.lists(st.one_of(deeds, words), max_size=15)


@dataclass
class Stage:
    server: Server
    clients: list[Client]

    async def do(self, step: Step) -> None:
        match step:
            case Say(who, type, times):
                if visit := self.clients[who].visit:
                    visit.say({"type": type, "payload": SPOKEN[type]}, times)
                await trio.lowlevel.checkpoint()
            case Do(what, who, settled):
                if settled:
                    await self.settle()
                for number in sorted(who):
                    self._let(self.clients[number], what)
            case _:
                assert_never(step)

    def _let(self, client: Client, what: str) -> None:
        visit = client.visit
        if what == "connect":
            self.server.connect(client)
        elif visit is not None and what == "lose":
            visit.lose()
        elif visit is not None:
            visit.reads = what == "go on"

    async def settle(self) -> None:
        """All who read, read, until nothing comes any more."""
        while True:
            await wait_all_tasks_blocked()
            if not [client for client in self.clients if client.visit and client.visit.read()]:
                return

    async def catch_up(self) -> None:
        """All that is under way comes to its end, then something is said to all, and everybody comes back for it."""
        await self.settle()
        await record(self.server.system, UpdateTranscript(interim="the end"))
        for _ in range(MOST_ROUNDS):
            for client in self.clients:
                self._let(client, "go on")
                self._let(client, "connect")
            await self.settle()
            if all(client.visit for client in self.clients):
                return
        raise AssertionError("somebody cannot catch up")


async def record(system: System, command: object) -> None:
    assert isinstance(await system.ask(STREAM, command, system.stamp()), Accepted)


async def play(store: MemoryStore, history: int, lives: Sequence[Sequence[Step]]) -> list[Client]:
    """The clients after it all happened, in a conversation that had some history already."""
    clients = [Client(dialect) for dialect in DIALECTS]
    for number, steps in enumerate(lives, start=1):
        async with serving(store) as server:
            stage = Stage(server, clients)
            if number == 1:
                await begin(server.system, history)
            for step in steps:
                await stage.do(step)
            if number == len(lives):
                await stage.catch_up()
        for client in clients:
            if client.visit is not None:
                client.visit.lose()
    return clients


async def begin(system: System, history: int) -> None:
    await record(system, OpenConversation())
    for n in range(history):
        await record(system, UpdateTranscript(interim=str(n)))


# --- the law -------------------------------------------------------------------------------------------------------


Told = tuple[int, str]
"""A frame's version and text."""


def told_to(visit: Visit, dialect: Dialect, records: Sequence[Recorded]) -> tuple[Conversation, list[Told]]:
    """The state its greeting tells of, and every frame behind it that is for this connection."""
    state, told, greeted = conversation.initial, [], conversation.initial
    greeting = visit.greeting["seq"]
    for item in records:
        state = conversation.fold(state, (item.event,))
        greeted = state if item.version == greeting else greeted
        frame = dialect.render(item, state)
        is_new = item.version > greeting or (item.version == greeting and visit.since is None)
        if is_new and frame and is_for(frame.to, item.stamp.origin, visit.connection_id):
            told.append((item.version, frame.body.decode()))
    return greeted, told


def check(client: Client, records: Sequence[Recorded]) -> None:
    """Each visit is a part of the log without a gap, begins behind the one before, and the last one ends at the end."""
    version: int | None = None
    for visit in client.visits:
        assert visit.since == version
        if visit.greeting:
            check_greeting(visit)
            state, told = told_to(visit, client.dialect, records)
            assert visit.seen == told[: len(visit.seen)]
            assert visit.greeting["payload"]["transcript"]["final_transcript"] == state.transcript
            assert visit.greeting["payload"]["current_state"] == state.phase
        version = visit.seen[-1][0] if visit.seen else version
    last = client.visits[-1]
    assert last.seen == told_to(last, client.dialect, records)[1], "all of it"


def check_greeting(visit: Visit) -> None:
    assert visit.greeting["recovered"] is (visit.since is not None)
    assert visit.since in {None, visit.greeting["seq"]}


@settings(max_examples=EXAMPLES, print_blob=True)
@given(st.sampled_from((0, 3, 90, 99, 101, 205)), st.lists(steps, min_size=1, max_size=3))
def test_whatever_happens_each_visit_is_told_what_the_log_says(history: int, lives: list[list[Step]]) -> None:
    """A life of the server is what happens between two kills."""
    store = MemoryStore()
    clients = trio.run(play, store, history, lives, clock=MockClock())
    records = trio.run(store.read_stream, STREAM)
    for client in clients:
        check(client, records)
