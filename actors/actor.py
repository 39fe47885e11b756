"""One actor: takes letters, decides, appends, evolves, answers, and keeps its effects as its state wants them.

What is in hand when something goes wrong is always answered: the letters of a turn are settled by that turn, or by
whoever ends the actor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio
from msgspec.structs import replace

from actors.backoff import Backoff
from actors.effects import Effects
from actors.mailbox import LOOK, Letter, Mailbox
from actors.planned import Planned, may_be_repeated, outcomes_of
from core.decider import AnyDecider, CommandRejected, Rejected
from core.identifiers import StreamName
from core.messages import Accepted, Decision, Outcome, Recorded, Refused, Unavailable
from core.ports import DuplicateCommand, EventStore, StoreUnavailable, WrongExpectedVersion

MOST_PER_TURN = 64
"""Letters decided and appended together at most."""
MOST_CRASHES = 3
"""A command that took its actor down so often is poisoned."""
MOST_CONFLICTS = 8
"""Times a turn is decided again because somebody else wrote, before its askers are told to come back."""

log = structlog.get_logger("callboard.actor")


@dataclass(frozen=True, slots=True)
class ActorSettings:
    """What all actors share: letters in a mailbox, pauses after crashes, and where refusals are counted, by code."""

    mailbox: int = 256
    backoff: Backoff = Backoff(lambda: 0.5)
    rejections: Counter[str] = field(default_factory=Counter)


class Actor:
    """The living form of one stream. Everything in it but the mailbox can be had again from the log."""

    __slots__ = (
        "_ended", "_settings", "_store", "busy", "crashes", "decider", "effects", "last_active", "mailbox", "recovered",
        "restarts", "retold", "state", "stream", "version",
    )  # fmt: skip

    def __init__(
        self, stream: StreamName, decider: AnyDecider, store: EventStore, effects: Effects, settings: ActorSettings,
        ended: Callable[[Actor], None],
    ) -> None:  # fmt: skip
        self.stream, self.decider, self.effects = stream, decider, effects
        self._store, self._settings, self._ended = store, settings, ended
        self.mailbox = Mailbox(settings.mailbox)
        self.state, self.version, self.recovered = decider.initial, 0, False
        self.busy, self.crashes, self.restarts, self.last_active = False, 0, 0, trio.current_time()
        self.retold = 0

    def is_idle(self) -> bool:
        """Nothing in hand, nothing waiting, nothing under way."""
        return not self.busy and not len(self.mailbox) and not self.effects.running

    def start_over(self) -> None:
        """Know nothing but what the log says from now on, before anything else is decided: it says less than it did.

        Nor are effects' results taken that are on their way: they come of what it said.
        """
        self.effects.cancel()
        self.mailbox.put_back(self._without_results(self.mailbox.take_nowait(len(self.mailbox))))
        self.state, self.recovered, self.retold = self.decider.initial, False, self.retold + 1

    def _without_results(self, letters: list[Letter]) -> list[Letter]:
        """Those that come from outside; the others are told that they are not taken."""
        for letter in letters:
            if letter.stamp.causation_id is not None:
                self._settle(letter, Unavailable("what it comes of was forgotten"))
        return [letter for letter in letters if letter.stamp.causation_id is None]

    async def run(self) -> None:
        """Live until the mailbox is closed; after a crash start again from the log, later and later."""
        structlog.contextvars.clear_contextvars()  # they are those of the request that happened to wake this actor
        try:
            while True:
                try:
                    await self._live()
                    return
                except Exception:  # supervision: whatever a decider or a store does to this actor, the others live on
                    self.crashes, self.restarts, self.recovered = self.crashes + 1, self.restarts + 1, False
                    log.exception("actor crashed", stream=self.stream, crashes=self.crashes)
                await trio.sleep(self._settings.backoff.delay(self.crashes))
        finally:
            self._leave()

    def _leave(self) -> None:
        self.effects.stop()
        self._ended(self)
        for letter in self.mailbox.take_nowait(len(self.mailbox)):
            self._settle(letter, Unavailable("the server is stopping"))

    async def _live(self) -> None:
        while letters := await self._next_letters():
            self.busy = True
            try:
                await self._turn(letters)
                self.crashes = 0
            finally:
                self.busy = False
                if not len(self.mailbox):  # else it is not idle, and the next turn says when it was last active
                    self.last_active = trio.current_time()
            if self.decider.is_terminal(self.state) and self.is_idle():
                return

    async def _next_letters(self) -> list[Letter]:
        """Wait for letters. Who lost its place in the log finds it again meanwhile: work may be wanted there."""
        failures = 0
        while not self.recovered and not len(self.mailbox):
            failures += 1
            with trio.move_on_after(self._settings.backoff.delay(failures)):
                return await self.mailbox.take(MOST_PER_TURN)
            await self._find_place()
        return await self.mailbox.take(MOST_PER_TURN)

    async def _find_place(self) -> None:
        self.busy = True  # asleep now, it would start effects beside those of its successor
        try:
            await self._recover()
        except StoreUnavailable:
            log.warning("an actor cannot recover yet", stream=self.stream)
        finally:
            self.busy = False

    async def _turn(self, letters: list[Letter]) -> None:
        """Decide and append these letters together. In the end each of them is answered, or back in the mailbox."""
        retold = self.retold
        try:
            for _ in range(MOST_CONFLICTS):
                try:
                    while not self.recovered:
                        await self._recover()
                    if retold != self.retold:
                        letters, retold = self._without_results(letters), self.retold
                    if not letters:
                        return
                    planned = self._decide(letters)
                    del letters[len(planned) :]  # those went back to the mailbox
                    await self._append(planned)
                    return
                except WrongExpectedVersion:
                    self.recovered = False
                    letters = [letter for letter in letters if not letter.settled]
            self._settle_all(letters, Unavailable("somebody else keeps writing to this stream"))
        except StoreUnavailable as reason:
            self.recovered = False
            self._settle_all(letters, Unavailable(str(reason)))
        except DecideCrashed as crash:
            self._blame(letters, crash)
        except BaseException:
            self._settle_all(letters, Unavailable("interrupted; it may have been recorded: ask again with its id"))
            raise

    def _blame(self, letters: list[Letter], crash: DecideCrashed) -> None:
        """The first letter crashes its decider: keep it first in line, count it, and let the supervisor restart us."""
        letters[0].crashes += 1
        self.mailbox.put_back(letters)
        raise crash.error

    async def _recover(self) -> None:
        retold = self.retold
        events = await self._store.read_events(self.stream)
        self.state, self.version = self.decider.fold(self.decider.initial, events), len(events)
        unstarted = self.decider.wanted(self.state) - self.effects.running.keys()
        records = await self._store.read_stream(self.stream) if unstarted else []
        if retold != self.retold:  # what was read is not what the log says any more
            self.state = self.decider.initial
            return
        self.effects.align(self, self.decider.initial, records)
        self.recovered = True

    def _decide(self, letters: list[Letter]) -> list[Planned]:
        """Plan as many of the letters as can be decided. Raises DecideCrashed when that is not even the first."""
        state, version, planned = self.state, self.version, list[Planned]()
        for letter in letters:
            try:
                plan = self._plan(letter, state, version)
            except Exception as error:
                if planned:
                    self.mailbox.put_back(letters[len(planned) :])
                    break
                raise DecideCrashed(error) from error
            state, version = plan.state, plan.version
            planned.append(plan)
        return planned

    def _plan(self, letter: Letter, state: Any, version: int) -> Planned:
        """Decide and evolve: an event that cannot be folded must never become durable."""
        if letter.command is LOOK:
            return Planned(letter, None, None, state, version)
        decided = self._decided(letter, state)
        if isinstance(decided, Rejected):
            if not version:  # there is no stream whose history could tell of it
                return Planned(letter, None, decided, state, version)
            # Told to come back, the sender may come back with the same id: then it is to be decided anew.
            stamp = letter.stamp if decided.retry_after is None else replace(letter.stamp, command_id=None)
            decision = Decision(stamp, letter.command, (CommandRejected.of(decided),))
            return Planned(letter, decision, decided, state, version + 1)
        if not decided:
            return Planned(letter, None, None, state, version)
        after = self.decider.fold(state, decided)
        return Planned(letter, Decision(letter.stamp, letter.command, decided), None, after, version + len(decided))

    def _decided(self, letter: Letter, state: Any) -> tuple[Any, ...] | Rejected:
        if letter.crashes >= MOST_CRASHES:
            return Rejected("poisoned", f"this command crashed its actor {letter.crashes} times and was set aside")
        return self.decider.decide(state, letter.command)

    async def _append(self, planned: list[Planned]) -> None:
        decisions = [plan.decision for plan in planned if plan.decision is not None]
        records: tuple[Recorded, ...] = ()
        if decisions:
            try:
                records = await self._store.append(self.stream, decisions, expected_version=self.version)
            except DuplicateCommand:
                await self._append_singly(planned)
                return
        before, self.state, self.version = self.state, planned[-1].state, self.version + len(records)
        outcomes = outcomes_of(planned, records)
        for n, plan in enumerate(planned):
            if may_be_repeated(plan):
                outcomes[n] = await self._outcome_unless_repeated(plan, outcomes[n])
        for plan, outcome in zip(planned, outcomes, strict=True):
            if type(outcome) is Refused and not outcome.repeated:
                self._settings.rejections[outcome.rejection.code] += 1
            self._settle(plan.letter, outcome)
        if records and self.recovered:  # else it was told to start over meanwhile
            self.effects.align(self, before, records)

    async def _append_singly(self, planned: list[Planned]) -> None:
        """One of the commands is in the log already: one by one, so that only that one gets its old outcome."""
        if len(planned) == 1:
            outcome = await self._first_outcome(planned[0].letter)
            self._settle(planned[0].letter, outcome or Unavailable("the log contradicts itself about this command"))
            return
        retold = self.retold
        for n, plan in enumerate(planned):
            while not self.recovered:
                await self._recover()
            if retold != self.retold and not self._without_results([plan.letter]):
                continue
            try:
                await self._append(self._decide([plan.letter]))
            except DecideCrashed:
                self.mailbox.put_back([rest.letter for rest in planned[n:]])
                return

    async def _outcome_unless_repeated(self, plan: Planned, outcome: Outcome) -> Outcome:
        """The log did not check this id, as nothing was appended under it: if it did something before, that counts."""
        try:
            return await self._first_outcome(plan.letter) or outcome
        except StoreUnavailable as reason:  # its neighbours are durable, and to be told so
            return Unavailable(str(reason))

    async def _first_outcome(self, letter: Letter) -> Outcome | None:
        """What the letter's command id led to before; None when to nothing. Raises StoreUnavailable."""
        records = await self._store.read_outcome(self.stream, letter.stamp.command_id or "")
        if not records:
            return None
        if records[-1].version > self.version:  # somebody else did it
            self.recovered = False
            await self._recover()
        first = records[0].event
        if isinstance(first, CommandRejected):
            return Refused(first.rejection(), records, repeated=True)
        return Accepted(records, self.state, self.version, repeated=True)

    def _settle_all(self, letters: list[Letter], outcome: Outcome) -> None:
        for letter in letters:
            self._settle(letter, outcome)

    def _settle(self, letter: Letter, outcome: Outcome) -> None:
        try:
            letter.settle(outcome)
        except Exception:  # the asker's fault must not become the actor's crash
            log.exception("an asker could not take its outcome", stream=self.stream)


class DecideCrashed(Exception):
    """A decider raised; `error` is what."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
