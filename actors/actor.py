"""One actor: takes letters, decides, appends, evolves, answers, and keeps its effects as its state wants them.

What is in hand when something goes wrong is always answered: the letters of a turn are settled by that turn, or by
whoever ends the actor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
import trio

from actors.backoff import Backoff
from actors.effects import Effects
from actors.mailbox import LOOK, Letter, Mailbox
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


class Planned:
    """A letter decided but not yet durable: what to append, and what to answer once it is."""

    __slots__ = ("decision", "letter", "rejection", "state", "version")

    def __init__(
        self, letter: Letter, decision: Decision | None, rejection: Rejected | None, state: Any, version: int
    ) -> None:
        self.letter, self.decision, self.rejection, self.state, self.version = letter, decision, rejection, state, version


@dataclass(frozen=True, slots=True)
class ActorSettings:
    """Limits and pauses of every actor: letters in a mailbox, pauses after crashes."""

    mailbox: int = 256
    backoff: Backoff = Backoff(lambda: 0.5)


class Actor:
    """The living form of one stream. Everything in it but the mailbox can be had again from the log."""

    __slots__ = (
        "_ended", "_settings", "_store", "busy", "crashes", "decider", "effects", "last_active", "mailbox", "recovered",
        "restarts", "state", "stream", "version",
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

    def is_idle(self) -> bool:
        """Nothing in hand, nothing waiting, nothing under way."""
        return not self.busy and not len(self.mailbox) and not self.effects.running

    async def run(self) -> None:
        """Live until the mailbox is closed; after a crash start again from the log, later and later."""
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
        self.effects.cancel()
        self._ended(self)
        for letter in self.mailbox.take_nowait(len(self.mailbox)):
            self._settle(letter, Unavailable("the server is stopping"))

    async def _live(self) -> None:
        while letters := await self.mailbox.take(MOST_PER_TURN):
            self.busy = True
            try:
                await self._turn(letters)
                self.crashes = 0
            finally:
                self.busy, self.last_active = False, trio.current_time()
            if self.decider.is_terminal(self.state) and self.is_idle():
                return

    async def _turn(self, letters: list[Letter]) -> None:
        """Decide and append these letters together. On every way out each of them is answered or back in the mailbox."""
        try:
            for _ in range(MOST_CONFLICTS):
                try:
                    if not self.recovered:
                        await self._recover()
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
        events = await self._store.read_events(self.stream)
        self.state = self.decider.fold(self.decider.initial, events)
        self.version, self.recovered = len(events), True
        if self.decider.wanted(self.state) - self.effects.running.keys():
            self.effects.align(self, await self._cause())

    async def _cause(self) -> Recorded:
        """The record since which all that is wanted now has been wanted: what a restarted effect was caused by."""
        records = await self._store.read_stream(self.stream)
        state, wanted, cause = self.decider.initial, self.decider.wanted(self.state), records[-1]
        for record in records:
            before = self.decider.wanted(state)
            state = self.decider.fold(state, (record.event,))
            if wanted <= self.decider.wanted(state) and not wanted <= before:
                cause = record
        return cause

    def _decide(self, letters: list[Letter]) -> list[Planned]:
        """Plan as many of the letters as can be decided, the first at least. Raises DecideCrashed when that one crashes."""
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
            decision = Decision(letter.stamp, letter.command, (CommandRejected.of(decided),))
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
        self._adopt(planned, records)
        for plan in planned:
            await self._answer_maybe_repeated(plan) if _may_be_repeated(plan) else None

    async def _append_singly(self, planned: list[Planned]) -> None:
        """One of the commands is in the log already: take them one by one, so that only that one gets its old outcome."""
        if len(planned) == 1:
            await self._answer_repeated(planned[0].letter)
            return
        for n, plan in enumerate(planned):
            try:
                await self._append(self._decide([plan.letter]))
            except DecideCrashed:
                self.mailbox.put_back([rest.letter for rest in planned[n:]])
                return

    def _adopt(self, planned: list[Planned], records: tuple[Recorded, ...]) -> None:
        """The events are durable: be what they made of us, answer, and let the effects follow."""
        self.state = planned[-1].state
        self.version += len(records)
        at = 0
        for plan in planned:
            if _may_be_repeated(plan):
                continue
            mine = records[at : at + len(plan.decision.events)] if plan.decision is not None else ()
            at += len(mine)
            self._settle(plan.letter, self._outcome(plan, mine))
        if records:
            self.effects.align(self, records[-1])

    def _outcome(self, plan: Planned, records: tuple[Recorded, ...]) -> Outcome:
        if plan.rejection is not None:
            return Refused(plan.rejection, records)
        return Accepted(records, plan.state, plan.version)

    async def _answer_maybe_repeated(self, plan: Planned) -> None:
        """Decided to nothing, but with an id: if that id did something before, that is its outcome."""
        if not await self._answer_repeated(plan.letter):
            self._settle(plan.letter, Accepted((), self.state, self.version))

    async def _answer_repeated(self, letter: Letter) -> bool:
        records = await self._store.read_outcome(self.stream, letter.stamp.command_id or "")
        if not records:
            return False
        first = records[0].event
        if isinstance(first, CommandRejected):
            self._settle(letter, Refused(first.rejection(), records, repeated=True))
        else:
            self._settle(letter, Accepted(records, self.state, self.version, repeated=True))
        return True

    def _settle_all(self, letters: list[Letter], outcome: Outcome) -> None:
        for letter in letters:
            self._settle(letter, outcome)

    def _settle(self, letter: Letter, outcome: Outcome) -> None:
        try:
            letter.settle(outcome)
        except Exception:  # the asker's fault must not become the actor's crash
            log.exception("an asker could not take its outcome", stream=self.stream)


def _may_be_repeated(plan: Planned) -> bool:
    """Decided to nothing although it has an id: it may have been done before."""
    return plan.decision is None and plan.rejection is None and plan.letter.stamp.command_id is not None


class DecideCrashed(Exception):
    """A decider raised; `error` is what."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error
