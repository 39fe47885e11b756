"""Effects: the work a state wants done. What runs is kept equal to what is wanted; results come back as commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog
import trio

from actors.background import Starter
from actors.backoff import Backoff
from core.decider import AnyDecider
from core.messages import Busy, Outcome, Recorded, Stamp, Unavailable

if TYPE_CHECKING:
    from actors.actor import Actor

MOST_TRIES = 3
"""Times an effect is performed before it is given up, when it crashes or ends without a result."""

log = structlog.get_logger("callboard.effects")

Tell = Callable[[Any], Awaitable[Outcome]]
"""Asks the effect's own actor; Busy and Unavailable are retried behind it."""
Perform = Callable[[Any, Any, Tell], Awaitable[None]]
"""Does an effect: gets the effect, the state it was wanted in, and `tell`, which asks the effect's own actor."""


class Surroundings:
    """What every actor's effects share: the nursery, the performers by effect class, and the way to the actors."""

    def __init__(
        self, nursery: Starter, performers: Mapping[type, Perform],
        ask: Callable[[str, Any, Stamp], Awaitable[Outcome]], stamp: Callable[[Recorded], Stamp], backoff: Backoff,
    ) -> None:  # fmt: skip
        self.nursery, self.performers, self.ask, self.stamp, self.backoff = nursery, performers, ask, stamp, backoff


class Effects:
    """One actor's effects under way."""

    __slots__ = ("_stopped", "_surroundings", "running")

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings, self._stopped = surroundings, False
        self.running: dict[Any, trio.CancelScope] = {}

    def align(self, actor: Actor, before: Any, records: Sequence[Recorded]) -> None:
        """Cancel what is no longer wanted in the actor's state, start what is not yet under way.

        `records` brought the actor from the state `before` to its own; each effect's cause is among them.
        """
        wanted = actor.decider.wanted(actor.state)
        if not wanted and not self.running:  # nearly always
            return
        for effect in self.running.keys() - wanted:
            self.running.pop(effect).cancel()
        unstarted = wanted - self.running.keys()
        if not unstarted or not records or self._stopped:
            return
        causes = wanted_since(actor.decider, before, records)
        for effect in unstarted:
            scope = self.running[effect] = trio.CancelScope()
            cause = causes.get(effect, records[-1])
            self._surroundings.nursery.start_soon(self._keep, actor, effect, cause, scope)

    def stop(self) -> None:
        """Cancel everything, and start nothing any more."""
        self._stopped = True
        self.cancel()

    def cancel(self) -> None:
        """Cancel everything; what is wanted then begins anew."""
        for scope in self.running.values():
            scope.cancel()
        self.running = {}

    async def _keep(self, actor: Actor, effect: Any, cause: Recorded, scope: trio.CancelScope) -> None:
        """See to the effect until it is wanted no more. Its failures, also on its way out, end nothing but itself."""
        with scope:
            try:
                await self._persevere(actor, effect, cause, scope)
            except* Exception:  # beside a Cancelled, which goes on its way
                log.exception("effect failed", stream=actor.stream, effect=effect)
        if self.running.get(effect) is scope:
            del self.running[effect]

    async def _persevere(self, actor: Actor, effect: Any, cause: Recorded, scope: trio.CancelScope) -> None:
        reason = ""
        for tries in range(1, MOST_TRIES + 1):
            reason = await self._perform(actor, effect, cause)
            if self.running.get(effect) is not scope or effect not in actor.decider.wanted(actor.state):
                return
            log.error("effect ended without its result", stream=actor.stream, effect=effect, reason=reason, tries=tries)
            await trio.sleep(self._surroundings.backoff.delay(tries))
        await self._give_up(actor, effect, cause, reason)

    async def _perform(self, actor: Actor, effect: Any, cause: Recorded) -> str:
        """Returns why the effect ended, for the case that it should not have."""
        try:
            perform = self._surroundings.performers[type(effect)]
            await perform(effect, actor.state, self._teller(actor, cause))
        except Exception as crash:  # an effect's crash is a failure of that effect alone
            log.exception("effect crashed", stream=actor.stream, effect=effect)
            return f"{type(crash).__name__}: {crash}"
        return "it ended without a result"

    async def _give_up(self, actor: Actor, effect: Any, cause: Recorded, reason: str) -> None:
        if actor.decider.give_up is not None:
            await self._teller(actor, cause)(actor.decider.give_up(effect, reason))

    def _teller(self, actor: Actor, cause: Recorded) -> Tell:
        """`tell` for one effect: its commands carry the cause, and an id, so that trying again cannot do them twice."""

        async def tell(command: Any) -> Outcome:
            stamp, failures = self._surroundings.stamp(cause), 0
            while True:
                outcome = await self._surroundings.ask(actor.stream, command, stamp)
                if not isinstance(outcome, Busy | Unavailable):
                    return outcome
                failures += 1
                await trio.sleep(self._surroundings.backoff.delay(failures))

        return tell


def wanted_since(decider: AnyDecider, state: Any, records: Sequence[Recorded]) -> dict[Any, Recorded]:
    """By effect, the record since which it has been wanted, of those that come after `state`."""
    since, before = dict[Any, Recorded](), decider.wanted(state)
    for record in records:
        state = decider.fold(state, (record.event,))
        wanted = decider.wanted(state)
        since.update(dict.fromkeys(wanted - before, record))
        before = wanted
    return since
