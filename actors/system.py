"""The system: the one nursery that owns all actors, their effects and what follows the log."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from msgspec import Struct

from actors.actor import Actor, ActorSettings
from actors.audience import Audiences
from actors.background import Background
from actors.backoff import Backoff
from actors.directory import Directory
from actors.effects import Effects, Perform, Surroundings
from actors.mailbox import LOOK, Letter
from actors.projector import BoardKeeper, follow, load_board
from core.decider import AnyDecider
from core.identifiers import Category, StreamName
from core.messages import Accepted, Outcome, Recorded, Stamp, Unavailable
from core.ports import Clock, EventStore, Identifiers, StoreUnavailable
from core.views import Board

MOST_LATEST = 10_000
"""Streams of which it is kept what was recorded last."""


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """`passivate_after` and `graceful_timeout` in seconds. `resumes`: streams where work was cut off are woken."""

    mailbox: int = 256
    passivate_after: float = 300.0
    graceful_timeout: float = 5.0
    resumes: bool = True
    backoff: Backoff = field(default=Backoff(lambda: 0.5))


class SystemStatistics(Struct, frozen=True):
    """What the system is doing at this moment, and has done since it was opened.

    `tail_lag`: events durable but not yet shown to audiences. `topics`: streams that have listeners. Since the opening:
    `restarts` of actors, `busy` answers to letters for which a mailbox had no room, and `rejections`, refusals by
    code; a command set aside for crashing its actor is refused as `poisoned`. A retry's old refusal is not counted.
    `events`: those shown to audiences since the opening, by their type. `commands`: those put into mailboxes, or that
    should have been, from outside and from effects.
    """

    actors: int
    letters: int
    deepest_mailbox: int
    effects: int
    restarts: int
    topics: int
    listeners: int
    head: int
    tail_lag: int
    board_lag: int
    busy: int = 0
    rejections: Mapping[str, int] = {}
    events: Mapping[type, int] = {}
    commands: int = 0


class System:
    """The door to all actors. Built by `open_system`.

    `latest` is, of the streams where something was recorded lately, the type of the last event, its time and version;
    the newest come last.
    """

    def __init__(
        self, store: EventStore, clock: Clock, identifiers: Identifiers, directory: Directory, audiences: Audiences,
        keeper: BoardKeeper, rejections: Mapping[str, int],
    ) -> None:  # fmt: skip
        self.store, self.clock, self.identifiers = store, clock, identifiers
        self.directory, self.audiences = directory, audiences
        self.boot = identifiers.new().replace("-", "")[-12:]
        self.shown = store.head
        self._keeper, self._rejections = keeper, rejections
        self.latest: OrderedDict[StreamName, tuple[type, int, int]] = OrderedDict()
        self._connections = self._commands = 0
        self._events: Counter[type] = Counter()

    @property
    def board(self) -> Board:
        return self._keeper.board

    async def board_current(self) -> None:
        """Wait until the board has all that was durable when this was called."""
        await self._keeper.current()

    def new_connection_id(self) -> str:
        """`<boot>.<number>`: never used before, and it tells which run of the server it belongs to."""
        self._connections += 1
        return f"{self.boot}.{self._connections}"

    def stamp(
        self, *, command_id: str | None = None, principal: str = "anonymous", origin: str = "",
        correlation_id: str | None = None,
    ) -> Stamp:  # fmt: skip
        """The stamp of a command from outside, taken now."""
        correlation_id = correlation_id or self.identifiers.new()
        return Stamp(correlation_id, self.clock.now(), command_id, None, principal, origin)

    def post(self, stream: StreamName, command: Any, stamp: Stamp, settle: Callable[[Outcome], None]) -> None:
        """Put the command into the actor's mailbox; `settle` is called exactly once, whatever happens."""
        self._commands += command is not LOOK
        self.directory.post(stream, Letter(command, stamp, settle))

    async def ask(self, stream: StreamName, command: Any, stamp: Stamp) -> Outcome:
        """What becomes of the command. Cancelled: the command may still be done."""
        answer: list[Outcome] = []
        settled = trio.Event()

        def settle(outcome: Outcome) -> None:
            answer.append(outcome)
            settled.set()

        self.post(stream, command, stamp, settle)
        await settled.wait()
        return answer[0]

    async def look(self, stream: StreamName) -> tuple[Any, int]:
        """The actor's state and version; the initial state at 0 for an unborn stream. Raises StoreUnavailable."""
        outcome = await self.ask(stream, LOOK, Stamp("", 0))
        if isinstance(outcome, Accepted):
            return outcome.state, outcome.version
        raise StoreUnavailable(outcome.reason if isinstance(outcome, Unavailable) else "the mailbox is full")

    async def start_over(self, streams: Collection[StreamName]) -> None:
        """Keep nothing in memory of what these streams said: the log does not say it any more."""
        for actor in self.directory.actors():
            if actor.stream in streams:
                actor.start_over()
                self.post(actor.stream, LOOK, Stamp("", 0), _ignore)  # what it wants done begins anew
        for stream in streams:
            self.audiences.send_away(stream)
            if self.board.conversation(stream) is not None:
                self.board.retell((await self.store.read_stream(stream, limit=1))[0])

    def statistics(self) -> SystemStatistics:
        actors = self.directory.actors()
        depths = [len(actor.mailbox) for actor in actors]
        return SystemStatistics(
            actors=len(actors),
            letters=sum(depths),
            deepest_mailbox=max(depths, default=0),
            effects=sum(len(actor.effects.running) for actor in actors),
            restarts=self.directory.restarts + sum(actor.restarts for actor in actors),
            topics=self.audiences.topics,
            listeners=self.audiences.listeners,
            head=self.store.head,
            tail_lag=self.store.head - self.shown,
            board_lag=self.store.head - self.board.position,
            busy=self.directory.turned_away,
            rejections=dict(self._rejections),
            events=dict(self._events),
            commands=self._commands,
        )

    def show(self, record: Recorded) -> None:
        """Deliver one record to its audience."""
        self.audiences.deliver(record)
        kind = type(record.event)
        self._events[kind] += 1
        self.latest[record.stream] = kind, record.stamp.time, record.version
        self.latest.move_to_end(record.stream)
        if len(self.latest) > MOST_LATEST:
            self.latest.popitem(last=False)
        self.shown = record.position

    async def resume_outstanding(self) -> None:
        """Wake every stream whose work may have been cut off by the end of the last run."""
        await self.board_current()
        for stream in sorted(self.board.outstanding):
            await self._wake(stream)

    async def _wake(self, stream: StreamName) -> None:
        while True:
            try:
                await self.look(stream)
                return
            except StoreUnavailable:
                await trio.sleep(1.0)


def _ignore(outcome: Outcome) -> None:
    """For those who need no answer."""


@asynccontextmanager
async def open_system(
    store: EventStore, *, deciders: Mapping[Category, AnyDecider], performers: Mapping[type, Perform], clock: Clock,
    identifiers: Identifiers, settings: SystemSettings | None = None,
) -> AsyncIterator[System]:  # fmt: skip
    """A running system over an open store. On leaving: takes no more, finishes the mailboxes, saves the board."""
    settings = settings or SystemSettings()
    board = await load_board(store, Board(deciders), lambda saved: Board.from_saved(saved, deciders))
    keeper = BoardKeeper(store, board, settings.backoff)
    async with trio.open_nursery() as nursery:

        def follow_up(cause: Recorded) -> Stamp:
            """An effect's command comes by the connection that its cause came by, so that an answer finds its asker."""
            correlation, origin = cause.stamp.correlation_id, cause.stamp.origin
            return Stamp(correlation, clock.now(), identifiers.new(), cause.id, "system", origin)

        def build(stream: StreamName, ended: Callable[[Actor], None]) -> Actor:
            return Actor(stream, deciders[stream.category], store, Effects(surroundings), actor_settings, ended)

        def ask(*letter: Any) -> Awaitable[Outcome]:
            return system.ask(*letter)

        background = Background(nursery)
        surroundings = Surroundings(background, performers, ask, follow_up, settings.backoff)
        actor_settings = ActorSettings(settings.mailbox, settings.backoff)
        directory, audiences, refused = Directory(background, build), Audiences(deciders), actor_settings.rejections
        system = System(store, clock, identifiers, directory, audiences, keeper, refused)
        nursery.start_soon(follow, store, store.head, system.show, settings.backoff)
        nursery.start_soon(keeper.keep)
        nursery.start_soon(system.directory.passivate_idle, settings.passivate_after)
        if settings.resumes:
            nursery.start_soon(system.resume_outstanding)
        try:
            yield system
        finally:
            with trio.move_on_after(settings.graceful_timeout, shield=True):
                await system.directory.close()
                await keeper.save()
            nursery.cancel_scope.cancel()
