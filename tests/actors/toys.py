"""A decider small enough to reason about, a store that can be troubled, and askers who remember what they were told."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, assert_never

import trio
from msgspec import Struct
from msgspec.structs import replace

from actors.effects import Perform
from actors.system import System, SystemSettings, open_system
from core.conversation import conversation
from core.decider import AnyDecider, Decider, Rejected
from core.identifiers import Category, StreamName
from core.messages import Decision, Outcome, Recorded
from core.ports import Subscription
from eventstore.memory import MemoryStore

TALLY = StreamName.of(Category.SESSION, "tally")
OTHER = StreamName.of(Category.SESSION, "other")
TALK = StreamName.of(Category.CONVERSATION, "talk")


# --- the toy decider: a sum, and jobs wanted done -----------------------------------------------------------------


class Boom(Exception):
    """What the toys crash with."""


class Fuse:
    """Burns well `after` times, then raises Boom `crashes` times; `times` are the Trio times of all burnings."""

    def __init__(self, crashes: int, after: int = 0) -> None:
        self._bad = range(after, after + crashes)
        self.times: list[float] = []

    def burn(self) -> None:
        self.times.append(trio.current_time())
        if len(self.times) - 1 in self._bad:
            raise Boom(f"burnt {len(self.times)} times")


class Add(Struct, frozen=True):
    """Always accepted."""

    amount: int


class RaiseTo(Struct, frozen=True):
    """Accepted while the sum is below `total`; later there is nothing to do."""

    total: int


class AddAtMost(Struct, frozen=True):
    """Rejected when the sum would exceed `limit`."""

    amount: int
    limit: int


class AddWithFuse(Struct, frozen=True):
    """Crashes `decide` while its fuse does."""

    amount: int
    fuse: Fuse


class Spoil(Struct, frozen=True):
    """Leads to an event that cannot be folded."""


class Start(Struct, frozen=True):
    job: str


class End(Struct, frozen=True):
    """A job's result; () when nobody wants it any more."""

    job: str
    how: str


class Finish(Struct, frozen=True):
    """Nothing may come after it."""


Command = Add | RaiseTo | AddAtMost | AddWithFuse | Spoil | Start | End | Finish


class Added(Struct, frozen=True):
    amount: int


class Spoilt(Struct, frozen=True):
    pass


class Started(Struct, frozen=True):
    job: str


class Ended(Struct, frozen=True):
    job: str
    how: str


class Finished(Struct, frozen=True):
    pass


Event = Added | Spoilt | Started | Ended | Finished


class Job(Struct, frozen=True):
    """The effect."""

    name: str


class Tally(Struct, frozen=True, weakref=True):
    total: int = 0
    amounts: tuple[int, ...] = ()
    jobs: frozenset[str] = frozenset()
    ended: tuple[Ended, ...] = ()
    finished: bool = False


def decide(state: Tally, command: Command) -> tuple[Event, ...] | Rejected:
    match command:
        case _ if state.finished:
            return Rejected("finished", "there is no more to say")
        case Add(amount):
            return (Added(amount),)
        case RaiseTo(total):
            return (Added(total - state.total),) if state.total < total else ()
        case AddAtMost(amount, limit):
            return (Added(amount),) if state.total + amount <= limit else Rejected("too_much", f"at most {limit}")
        case AddWithFuse(amount, fuse):
            fuse.burn()
            return (Added(amount),)
        case Spoil():
            return (Added(1000), Spoilt())
        case Start(job):
            return (Started(job),)
        case End(job, how):
            return (Ended(job, how),) if job in state.jobs else ()
        case Finish():
            return (Finished(),)
        case _:
            assert_never(command)


def evolve(state: Tally, event: Event) -> Tally:
    match event:
        case Added(amount):
            return replace(state, total=state.total + amount, amounts=(*state.amounts, amount))
        case Spoilt():
            raise Boom("this cannot be folded")
        case Started(job):
            return replace(state, jobs=state.jobs | {job})
        case Ended(job):
            return replace(state, jobs=state.jobs - {job}, ended=(*state.ended, event))
        case Finished():
            return replace(state, finished=True, jobs=frozenset())
        case _:
            assert_never(event)


def wanted(state: Tally) -> frozenset[Job]:
    return frozenset(Job(name) for name in state.jobs)


def opens_work(event: Event) -> bool | None:
    return {Started: True, Finished: False}.get(type(event))


def give_up(effect: Job, reason: str) -> Command:
    return End(effect.name, f"gave up: {reason}")


tally: AnyDecider = Decider(
    Category.SESSION, Tally(), decide, evolve, lambda state: state.finished, wanted, opens_work, give_up
)
DECIDERS: Mapping[Category, AnyDecider] = {Category.SESSION: tally, Category.CONVERSATION: conversation}


# --- the outside --------------------------------------------------------------------------------------------------


class TrioClock:
    """`core.ports.Clock` on Trio's time, so that it is virtual where Trio's is."""

    def now(self) -> int:
        return int(trio.current_time() * 1_000_000)


class Numbers:
    """`core.ports.Identifiers`: counts. `run` keeps the ids of several runs over one store apart."""

    def __init__(self, run: int = 0) -> None:
        self._last = run * 1_000_000

    def new(self) -> str:
        self._last += 1
        return f"00000000-0000-7000-8000-{self._last:012d}"


class TroubledStore:
    """An EventStore over a MemoryStore that stalls, fails and lies on request, and counts what it is asked.

    `before_append` and `after_append` hold what to raise at the next appends, None for "nothing this time"; what is
    raised after an append was durable all the same. `at_each_point` is called at every await of an actor in the store.
    """

    def __init__(self, inner: MemoryStore | None = None) -> None:
        self.inner, self.forgettings = inner or MemoryStore(), 0
        self.appends: list[tuple[Decision, ...]] = []
        self.stream_reads: list[StreamName] = []
        self.log_reads: list[int] = []
        self.before_append: deque[Exception | None] = deque()
        self.after_append: deque[Exception | None] = deque()
        self.unreadable: Exception | None = None
        self.at_each_point: Callable[[], None] = lambda: None
        self._open = trio.Event()
        self._open.set()

    @property
    def epoch(self) -> str:
        return self.inner.epoch

    @property
    def head(self) -> int:
        return self.inner.head

    def hold_appends(self) -> None:
        """From now on appends wait, before anything is durable."""
        self._open = trio.Event()

    def release_appends(self) -> None:
        self._open.set()

    async def append(
        self, stream: StreamName, decisions: Sequence[Decision], *, expected_version: int
    ) -> tuple[Recorded, ...]:
        self.appends.append(tuple(decisions))
        await self._point()
        await self._open.wait()
        _raise_next(self.before_append)
        records = await self.inner.append(stream, decisions, expected_version=expected_version)
        await self._point()
        _raise_next(self.after_append)
        return records

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        await self._reading(stream)
        return await self.inner.read_stream(stream, after=after, limit=limit)

    async def read_events(self, stream: StreamName, *, after: int = 0) -> list[Any]:
        await self._reading(stream)
        return await self.inner.read_events(stream, after=after)

    async def read_outcome(self, stream: StreamName, command_id: str) -> tuple[Recorded, ...]:
        await self._reading(stream)
        return await self.inner.read_outcome(stream, command_id)

    async def read_commands(self, stream: StreamName) -> dict[int, Any]:
        await self._reading(stream)
        return await self.inner.read_commands(stream)

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> list[Recorded]:
        self.log_reads.append(after)
        return await self.inner.read_all(after=after, limit=limit)

    def subscribe(self, *, after: int = 0) -> Subscription:
        return self.inner.subscribe(after=after)

    async def load_checkpoint(self, name: str) -> tuple[int, bytes] | None:
        return await self.inner.load_checkpoint(name)

    async def save_checkpoint(self, name: str, position: int, view: bytes) -> None:
        await self.inner.save_checkpoint(name, position, view)

    async def _reading(self, stream: StreamName) -> None:
        self.stream_reads.append(stream)
        await self._point()
        if self.unreadable is not None:
            raise self.unreadable

    async def _point(self) -> None:
        self.at_each_point()
        await trio.lowlevel.checkpoint()


def _raise_next(plan: deque[Exception | None]) -> None:
    if plan and (error := plan.popleft()) is not None:
        raise error


@asynccontextmanager
async def running(
    store: Any, performers: Mapping[type, Perform] | None = None, settings: SystemSettings | None = None, run: int = 0,
    deciders: Mapping[Category, AnyDecider] = DECIDERS,
) -> AsyncIterator[System]:  # fmt: skip
    """A system of toys and conversations over `store`."""
    async with open_system(
        store, deciders=deciders, performers=performers or {}, clock=TrioClock(), identifiers=Numbers(run),
        settings=settings,
    ) as system:  # fmt: skip
        yield system


class Askers:
    """Posts commands, and keeps every outcome each of them got, in the order the outcomes came."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.posted: list[Any] = []
        self.told: list[tuple[int, Outcome]] = []

    def post(self, stream: StreamName, command: Any, command_id: str | None = None) -> int:
        """The number of this asker, from 0."""
        number = len(self.posted)
        self.posted.append(command)
        stamp = self._system.stamp(command_id=command_id)
        self._system.post(stream, command, stamp, lambda outcome: self.told.append((number, outcome)))
        return number

    @property
    def outcomes(self) -> list[Outcome]:
        """In the order they came."""
        return [outcome for _, outcome in self.told]

    @property
    def order(self) -> list[int]:
        """Who was answered when."""
        return [number for number, _ in self.told]

    def outcome(self, number: int) -> Outcome:
        """The one outcome of this asker."""
        (outcome,) = [outcome for asker, outcome in self.told if asker == number]
        return outcome

    def all_answered_once(self) -> bool:
        return sorted(self.order) == list(range(len(self.posted)))


async def settle_down(seconds: float = 60.0) -> None:
    """Let everything that can happen without us happen, on a virtual clock."""
    await trio.sleep(seconds)


async def tell(system: System, stream: StreamName, command: Any, command_id: str | None = None) -> Outcome:
    """What becomes of the command."""
    return await system.ask(stream, command, system.stamp(command_id=command_id))


def events(records: Sequence[Recorded]) -> list[Any]:
    return [record.event for record in records]


async def logged(store: MemoryStore | TroubledStore, stream: StreamName = TALLY) -> list[Any]:
    """The events of a stream, past all trouble."""
    inner = store.inner if isinstance(store, TroubledStore) else store
    return await inner.read_events(stream)
